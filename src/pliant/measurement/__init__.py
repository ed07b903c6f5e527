"""The stability of a model's layers, in one pass over the images."""

from pliant.measurement.one_pass import measure, measure_each

__all__ = ["measure", "measure_each"]
