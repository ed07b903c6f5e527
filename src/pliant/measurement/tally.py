"""`Tally`: what one layer has said so far under one metric, a block at a time."""

from math import nan

import numpy as np

from pliant.measurement.pool import Part, Parts, Pool
from pliant.metrics import Block, Metric
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

    def hear(self, block: Block, parts: Parts) -> None:
        """Reduce one block to numbers."""
        reading = self.metric.read(block)
        own = parts.of(reading.own)
        unit = None if reading.unit is None else parts.of(reading.unit)
        self.distances[-1][:] = own.values
        nothing = nan if reading.fault else 1.0
        self.medians.append(nothing if unit is None else unit.value)
        if not self.undefined:
            self.undefined = reading.fault or self._fault(block, own, unit)
        if self.undefined:
            return
        self._varied |= not block.constant
        self._own.add(own)
        self._unitless = unit is None
        if unit is not None:
            self._unit.add(unit)

    def _fault(self, block: Block, own: Part, unit: Part | None) -> str:
        """Why a block has no numbers; empty where it has."""
        if not block.finite:
            return "NaN or infinite activations"
        return "" if own.finite and (unit is None or unit.finite) else self.metric.gap(block)

    def interval(self, level: float) -> tuple[float, float, float]:
        """Estimate, low and high; NaN where undefined, and `undefined` then says why."""
        if not self.undefined and not self._unitless and self._unit.total == 0:
            self.undefined = self.metric.still if self._varied else "constant: the same for all images"
        if self.undefined:
            return nan, nan, nan
        estimate = self._own.value if self._unitless else self._own.value / self._unit.value
        return estimate, *(percentile(self.replicates, level) if self._replicates else (nan, nan))

    @property
    def replicates(self) -> np.ndarray:
        """The estimate of each replicate of the bootstrap; NaN where undefined."""
        if self.undefined:
            return np.full(self._replicates, nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._own.replicates if self._unitless else self._own.replicates / self._unit.replicates
