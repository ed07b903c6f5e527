"""The measures take the same options in one order, under one name and with one default."""

from inspect import Parameter, signature

import pytest

from pliant.measurement import (
    Watch,
    accuracy_under,
    channel_pooling,
    lie_derivative,
    measure,
    measure_each,
    shift_consistency,
    shift_map,
    worst_case,
)

KEYWORDS = {name: one for name, one in signature(measure_each).parameters.items() if one.kind is Parameter.KEYWORD_ONLY}
SHARED = {name: one for name, one in signature(measure).parameters.items() if name != "options"} | KEYWORDS
DATA = {"labels", "metrics"}  # beside the images; in the place of `metric`
OWN_DEFAULTS = {
    accuracy_under: [],
    channel_pooling: ["metric"],  # the paper's
    lie_derivative: ["deformation", "layers"],  # a direction; a chain
    measure_each: [],
    shift_consistency: [],
    shift_map: [],
    Watch: [],
    worst_case: ["layers"],  # each is searched by itself
}


def unlike(function):
    """In what the options that a function shares with `measure` are not taken as `measure` takes them."""
    ours = signature(function).parameters
    names = [name for name in ours if name in SHARED]
    return [
        *(["order"] if names != [name for name in SHARED if name in names] else []),
        *(f"kind of {name}" for name in names if ours[name].kind is not SHARED[name].kind),
        *(f"default of {name}" for name in names if ours[name].default != SHARED[name].default),
    ]


def test_what_is_unlike_is_seen():
    def other(images, model, metric="cosine", *, seed=0, draw=1):
        pass

    assert unlike(other) == ["order", "kind of seed", "default of draw"]


@pytest.mark.parametrize("function", OWN_DEFAULTS)
def test_shared_options_are_taken_as_measure_takes_them(function):
    assert unlike(function) == [f"default of {name}" for name in OWN_DEFAULTS[function]]
    assert {"images", "seed"} <= signature(function).parameters.keys()


@pytest.mark.parametrize("function", OWN_DEFAULTS)
def test_own_options_go_by_name_and_stand_before_those_that_are_shared(function):
    ours = signature(function).parameters
    keywords = [name for name, one in ours.items() if one.kind is Parameter.KEYWORD_ONLY]
    own = [name for name in ours if name not in SHARED and name not in DATA and name != "options"]
    assert keywords[: len(own)] == own


@pytest.mark.parametrize("function", OWN_DEFAULTS)
def test_a_default_of_its_own_has_a_reason_in_the_docstring(function):
    for name in OWN_DEFAULTS[function]:
        said = function.__doc__.partition(f"\n    {name}: ")[2].partition("\n    ")[0]
        assert "if not given" in said or "are taken if not given" in function.__doc__
