"""Intervals and verdicts: numpy in, plain numbers out; no torch."""

from pliant.stats.bootstrap import PairBootstrap, percentile
from pliant.stats.few_values import equivalent, student
from pliant.stats.interval import Interval
from pliant.stats.mean_bootstrap import MeanBootstrap
from pliant.stats.wilson import proportion

__all__ = ["Interval", "MeanBootstrap", "PairBootstrap", "equivalent", "percentile", "proportion", "student"]
