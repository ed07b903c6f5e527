"""Metrics of `measure` by their names, and where that is found which is no metric."""

from pliant._checks import InputError, unknown
from pliant.metrics import METRICS, Metric

ELSEWHERE = {
    "accuracy_under": "call pliant.accuracy_under(model, images, labels); on the command line pliant compare shows "
    "accuracy, of images whose classes are known",
    "channel_pooling": "call pliant.channel_pooling(model, images), of a model with convolutions",
    "shift_consistency": "call pliant.shift_consistency(model, images), of a model that puts out logits; on the "
    "command line pliant measure --shift 14%",
    "shift_map": "call pliant.shift_map(model, images), of layers that put out maps",
    "worst_case": "call pliant.worst_case(model, images, deformation); on the command line pliant measure --worst-case",
}
"""What a function of its own measures, by that function's name: how it is called, and what it needs."""


def metric_named(name: str) -> Metric:
    """The metric of `measure` of that name.

    Raises `InputError` for an unknown one, and for what a function of its own measures: it says which.
    """
    if name in ELSEWHERE:
        raise InputError(f"metric={name!r} is measured by a function of its own: {ELSEWHERE[name]}")
    if name not in METRICS:
        raise unknown("metric", name, {*METRICS, *ELSEWHERE})
    return METRICS[name]
