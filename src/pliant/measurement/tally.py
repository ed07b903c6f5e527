"""`Tally`: what one layer has said so far under one metric, a block at a time."""

from math import nan

import numpy as np

from pliant.measurement.pool import Parts, Pool
from pliant.metrics import Metric, Reading, Signs
from pliant.stats import percentile


class Tally:
    """What one layer has said so far: raw numbers, the unit of each block, and the sums of the bootstrap."""

    def __init__(self, metric: Metric, replicates: int):
        self.metric = metric
        self.distances: list[np.ndarray] = []
        self.medians: list[float] = []
        self.undefined = ""
        self._varied, self._unitless = False, False
        self._own, self._unit = Pool(replicates), Pool(replicates)
        self._replicates = replicates

    def begin(self, n: int) -> None:
        """Make room for a block of `n` images, before large activations come: what outlives them lies below them."""
        self.distances.append(np.empty(n))

    def hear(self, reading: Reading, signs: Signs, parts: Parts) -> None:
        """Take in what the metric read of one block."""
        self._note(reading, parts)
        self.undefined = self.undefined or self.fault(reading, signs, parts)
        if not self.undefined:
            self._pool(reading, parts, not signs.constant)

    def take(self, reading: Reading, parts: Parts, varied: bool) -> None:
        """Take in what was read of one block elsewhere. varied: the layer does not say the same of all its images."""
        self._note(reading, parts)
        self.undefined = self.undefined or reading.fault
        if not self.undefined:
            self._pool(reading, parts, varied)

    def fault(self, reading: Reading, signs: Signs, parts: Parts) -> str:
        """Why a block has no numbers; empty where it has."""
        if reading.fault or not signs.finite:
            return reading.fault or "NaN or infinite activations"
        sound = all(parts.of(sample).finite for sample in reading.samples)
        return "" if sound else self.metric.gap(signs)

    def _note(self, reading: Reading, parts: Parts) -> None:
        """Keep the raw numbers of a block."""
        self.distances[-1][:] = parts.of(reading.own).values
        nothing = nan if reading.fault else 1.0
        self.medians.append(nothing if reading.unit is None else parts.of(reading.unit).value)

    def _pool(self, reading: Reading, parts: Parts, varied: bool) -> None:
        """Add the numbers of a block to those of the others."""
        self._varied |= varied
        self._own.add(parts.of(reading.own))
        self._unitless = reading.unit is None
        if reading.unit is not None:
            self._unit.add(parts.of(reading.unit))

    def interval(self, level: float) -> tuple[float, float, float]:
        """Estimate, low and high; NaN where undefined, and `undefined` then says why."""
        if not self.undefined and not self._unitless and self._unit.total == 0:
            self.undefined = self.metric.still if self._varied else "constant: the same for all images"
        if self.undefined:
            return nan, nan, nan
        estimate = self._own.value if self._unitless else self._own.value / self._unit.value
        images = sum(map(len, self.distances))
        return estimate, *(percentile(self.replicates, level, images) if self._replicates else (nan, nan))

    @property
    def replicates(self) -> np.ndarray:
        """The estimate of each replicate of the bootstrap; NaN where undefined."""
        if self.undefined:
            return np.full(self._replicates, nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._own.replicates if self._unitless else self._own.replicates / self._unit.replicates
