"""The parts of the claims' statistics that can be computed by hand."""

import math

import numpy as np
import pytest

from pliant._checks import InputError
from pliant.paper.protocols import AFTER, BEFORE, SEEN_UNTRAINED, TRAININGS, Protocol, protocols
from pliant.paper.replicate import Absent, mean_over_layers
from pliant.paper.statistics import half_reached, rise_within_fall
from pliant.paper.verdict import Above, Below, Inside, number, ratio

STEPS = np.array([0.0, 1.0, 10.0, 100.0])


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([2.0, 1.5, 1.2, 1.0], 0.01),
        ([2.0, 1.9, 1.5, 1.0], 0.10),
        # Half of the way between 10 and 100 along ln(1 + step): sqrt(11 * 101) - 1.
        ([2.0, 2.0, 2.0, 1.0], (math.sqrt(11 * 101) - 1) / 100),
        # Reached twice: the first time counts.
        ([2.0, 1.5, 2.0, 1.0], 0.01),
    ],
)
def test_when_half_of_the_fall_is_reached(curve, expected):
    assert half_reached(STEPS, np.array(curve)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [([2.0, 1.5, 1.2, 1.0], 0.0), ([2.0, 2.1, 1.5, 1.0], 0.1), ([2.0, 1.0, 1.5, 1.0], 0.5)],
)
def test_the_largest_rise_within_the_fall(curve, expected):
    assert rise_within_fall(np.array(curve)) == pytest.approx(expected)


@pytest.mark.parametrize("curve", [[1.0, 1.0, 1.0, 1.0], [1.0, 0.5, 1.2, 1.1], [1.0, 0.5, 1.2, math.nan]])
def test_what_does_not_fall_has_no_course(curve):
    assert math.isnan(half_reached(STEPS, np.array(curve)))
    assert math.isnan(rise_within_fall(np.array(curve)))


def test_the_mean_is_over_layers_that_all_nets_have():
    nan = math.nan
    assert mean_over_layers(np.array([[1.0, nan, 3.0], [10.0, 20.0, 30.0]])).tolist() == [2.0, 20.0]
    with pytest.raises(Absent) as error:
        mean_over_layers(np.array([[1.0, nan], [nan, 2.0]]))
    assert (error.value.verdict, error.value.reason) == ("undecided", "undefined: no layer has a value in all nets")


@pytest.mark.parametrize(
    ("rule", "values", "verdict", "reason"),
    [
        # The 95% intervals are +-4.303 / sqrt(3) times the deviation around the mean, the 90% ones 2.920 / sqrt(3).
        (Below(number(0)), [-3.0, -4.0, -5.0], "supported", "the 95% interval [-6.484, -1.516] lies below 0"),
        (Below(number(0)), [3.0, 4.0, 5.0], "refuted", "the 95% interval [1.516, 6.484] lies above 0"),
        (Below(number(0)), [0.0, 1.0, 2.0], "undecided", "the 95% interval [-1.484, 3.484] holds 0"),
        (Above(ratio(1.25)), [3.0, 4.0, 5.0], "supported", "the 95% interval [1.516, 6.484] lies above ln 1.25"),
        (Above(ratio(1.25)), [-3.0, -4.0, -5.0], "refuted", "the 95% interval [-6.484, -1.516] lies below ln 1.25"),
        (Above(ratio(1.25)), [0.0, 1.0, 2.0], "undecided", "the 95% interval [-1.484, 3.484] holds ln 1.25"),
        (Inside(number(2.4)), [-0.3, 0.7, 1.7], "supported", "the 90% interval [-0.986, 2.386] lies inside ±2.4"),
        (Inside(number(1.5)), [3.0, 4.0, 5.0], "refuted", "the 95% interval [1.516, 6.484] lies outside ±1.5"),
        (
            Inside(number(1.5)),
            [-3.0, -4.0, -5.0],
            "refuted",
            "the 95% interval [-6.484, -1.516] lies outside ±1.5",
        ),
        (
            Inside(number(1.0)),
            [0.0, 1.0, 2.0],
            "undecided",
            "the 90% interval [-0.686, 2.686] is neither inside nor outside ±1",
        ),
        # The 90% interval lies outside, the 95% one does not: not refuted.
        (
            Inside(number(2.0)),
            [3.0, 4.0, 5.0],
            "undecided",
            "the 95% interval [1.516, 6.484] is neither inside nor outside ±2",
        ),
        (Inside(number(1.0)), [0.0], "undecided", "one seed: an interval needs at least 2"),
        (Above(number(0)), [9.0], "undecided", "one seed: an interval needs at least 2"),
    ],
)
def test_rules(rule, values, verdict, reason):
    assert rule.judge(np.array(values)) == (verdict, reason)


def test_rules_read_as_sentences():
    assert str(Below(number(0.1))) == "the 95% interval lies below 0.1"
    assert str(Above(ratio(0.8))) == "the 95% interval lies above ln 0.8"
    assert str(Inside(ratio(1.25))) == "the 90% interval lies inside ±ln 1.25 (two one-sided tests at 5%)"


def test_a_ratio_of_nothing_has_no_logarithm():
    with pytest.raises(InputError) as error:
        ratio(0.0)
    assert str(error.value) == "ratio(0.0): above 0 and finite, it has no logarithm"


def test_measuring_choices_are_crossed_and_training_choices_are_not():
    found = protocols(AFTER, TRAININGS)
    assert [str(protocol) for protocol in found] == [
        "reference",
        "border padding",
        "euclidean distance",
        "euclidean distance, border padding",
        "no weight decay",
        "flips and crops",
        "standardised by data set",
    ]
    assert [len(protocol.changes) for protocol in found] == [0, 1, 1, 2, 1, 1, 1]
    assert len(protocols(BEFORE)) == 8
    assert protocols() == (Protocol(),)


def test_untrained_nets_depend_on_what_they_see():
    assert SEEN_UNTRAINED == ("standardised by data set",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Protocol(distance="cosin"), "unknown distance 'cosin'. Did you mean 'cosine'?"),
        (lambda: Protocol(batch_norm="x"), "unknown batch norm 'x'. Known: calibrated, untouched."),
        (lambda: protocols(("images",)), "unknown choice of measuring 'images'. Known: batch_norm, distance, padding."),
    ],
)
def test_unknown_choices(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
