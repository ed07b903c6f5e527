"""The stability of a model's layers, in one pass over the images; and of its answers."""

from pliant.measurement.accuracies import accuracy_under
from pliant.measurement.internal_shifts import shift_map
from pliant.measurement.one_pass import measure, measure_each
from pliant.measurement.shifts import shift_consistency

__all__ = ["accuracy_under", "measure", "measure_each", "shift_consistency", "shift_map"]
