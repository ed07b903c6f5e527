"""The stability of a model's layers, of its answers, and in the worst case; once, and along its training."""

from pliant.measurement.accuracies import accuracy_under
from pliant.measurement.ascent import worst_case
from pliant.measurement.chain import lie_derivative
from pliant.measurement.channels import ChannelPooling, channel_pooling
from pliant.measurement.entry import measure
from pliant.measurement.internal_shifts import shift_map
from pliant.measurement.one_pass import measure_each
from pliant.measurement.options import Options
from pliant.measurement.shifts import shift_consistency
from pliant.measurement.watching import Watch, logarithmic
from pliant.measurement.worst import WorstCase

__all__ = [
    "ChannelPooling",
    "Options",
    "Watch",
    "WorstCase",
    "accuracy_under",
    "channel_pooling",
    "lie_derivative",
    "logarithmic",
    "measure",
    "measure_each",
    "shift_consistency",
    "shift_map",
    "worst_case",
]
