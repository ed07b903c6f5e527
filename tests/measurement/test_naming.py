"""What is no metric leads on to the function that measures it."""

import inspect

import pytest
import torch
from torch import nn

import pliant
from pliant import measurement
from pliant._checks import InputError
from pliant.measurement.naming import ELSEWHERE, metric_named
from pliant.metrics import METRICS


def test_every_function_of_its_own_is_named_with_how_it_is_called():
    functions = {
        name
        for name in measurement.__all__
        if inspect.isfunction(getattr(measurement, name))
        and "model" in inspect.signature(getattr(measurement, name)).parameters
    }
    assert functions - METRICS.keys() - {"measure", "measure_each"} == set(ELSEWHERE)
    for name, how in ELSEWHERE.items():
        assert how.startswith(f"call pliant.{name}(model, images")
        given = how.partition("(")[2].partition(")")[0].split(", ")
        inspect.signature(getattr(pliant, name)).bind(*given)
        assert list(inspect.signature(getattr(pliant, name)).parameters)[: len(given)] == given


def test_metrics_are_found_by_their_names():
    assert {name: metric_named(name) for name in METRICS} == METRICS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "shift_consistency",
            "metric='shift_consistency' is measured by a function of its own: call pliant.shift_consistency(model, "
            "images), of a model that puts out logits; on the command line pliant measure --shift 14%",
        ),
        (
            "accuracy_under",
            "metric='accuracy_under' is measured by a function of its own: call pliant.accuracy_under(model, images, "
            "labels); on the command line pliant compare shows accuracy, of images whose classes are known",
        ),
        ("worst_cas", "unknown metric 'worst_cas'. Did you mean 'worst_case'?"),
        ("cosin", "unknown metric 'cosin'. Did you mean 'cosine', 'consistency' or 'correlation'?"),
    ],
)
def test_what_is_said_of_other_names(name, said):
    model, images = nn.Sequential(nn.Conv2d(3, 4, 3)), torch.rand(4, 3, 8, 8)
    with pytest.raises(InputError) as error:
        pliant.channel_pooling(model, images, metric=name)
    assert str(error.value) == said
    with pytest.raises(InputError) as error:
        pliant.measure_each(model, images, metrics=(name,))
    assert str(error.value) == said
