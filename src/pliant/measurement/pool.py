"""Means and medians of blocks, each computed once however many metrics share it, and their mean over blocks."""

from collections.abc import Mapping
from functools import cached_property
from math import nan

import numpy as np

from pliant.metrics import Sample
from pliant.stats import PairBootstrap


class Part:
    """What one block's sample comes to: its mean or median, and that of each replicate of the bootstrap.

    values: those of the sample.
    """

    def __init__(self, sample: Sample, values: np.ndarray, resampling: PairBootstrap | None):
        self.values = values
        self._over, self._take, self._resampling = sample.over, sample.take, resampling

    @cached_property
    def finite(self) -> bool:
        """No value is missing."""
        return bool(np.isfinite(self.values).all())

    @cached_property
    def value(self) -> float:
        """The mean or median; NaN of nothing."""
        if not len(self.values):  # a last block of one image has no pairs
            return nan
        return float(np.median(self.values) if self._take == "median" else self.values.mean())

    @cached_property
    def total(self) -> float:
        """The value, weighted by the number of images or pairs."""
        if not len(self.values):
            return 0.0
        return float(self.values.sum()) if self._take == "mean" else len(self.values) * self.value

    @cached_property
    def replicates(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The same of each replicate, and its weight."""
        count, by = len(self.values), self._resampling
        if by is None or not count:
            return None
        if self._over == "images":
            totals = by.sums(self.values) if self._take == "mean" else count * by.image_medians(self.values)
            return totals, np.full(totals.shape, float(count))
        values = by.means(self.values) if self._take == "mean" else by.medians(self.values)
        # A replicate that drew one image of a small block alone has no pair there, but has pairs in other blocks.
        return count * np.nan_to_num(values), count * np.isfinite(values)


class Parts:
    """The parts of one layer and block: of a sample that several metrics share, one.

    values: those of samples that have been brought over from their device already.
    """

    def __init__(self, resampling: PairBootstrap | None, values: Mapping[Sample, np.ndarray] | None = None):
        self._resampling = resampling
        self._known = {sample: Part(sample, array, resampling) for sample, array in (values or {}).items()}

    def of(self, sample: Sample) -> Part:
        """What the sample comes to."""
        if sample not in self._known:
            self._known[sample] = Part(sample, sample.values.cpu().numpy(), self._resampling)
        return self._known[sample]


class Pool:
    """The mean of parts over blocks, weighted by their numbers of images or pairs."""

    def __init__(self, replicates: int):
        self.total, self.count = 0.0, 0
        self._totals, self._weights = np.zeros((2, replicates))

    def add(self, part: Part) -> None:
        """Take in the part of another block."""
        self.total += part.total
        self.count += len(part.values)
        if part.replicates is not None:
            totals, weights = part.replicates
            self._totals += totals
            self._weights += weights

    @property
    def value(self) -> float:
        """The pooled value."""
        return self.total / self.count

    @property
    def replicates(self) -> np.ndarray:
        """Of each replicate; NaN where none of its parts had a value."""
        with np.errstate(invalid="ignore"):
            return self._totals / self._weights
