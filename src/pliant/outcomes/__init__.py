"""What the measures beside `measure` come to: numbers with their intervals and protocol. Loads no torch."""

from pliant.outcomes.accuracy_curve import AccuracyCurve
from pliant.outcomes.shift_consistency import ShiftConsistency
from pliant.outcomes.shift_map import ShiftMap

__all__ = ["AccuracyCurve", "ShiftConsistency", "ShiftMap"]
