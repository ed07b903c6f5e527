"""`Tally`: what one layer has said so far under one distance, a block at a time."""

from math import nan

import numpy as np

from pliant.metrics import Distance, Geometry
from pliant.stats import PairBootstrap, percentile


class Tally:
    """What one layer has said so far: raw distances, pair medians, and the sums of the bootstrap."""

    def __init__(self, distance: Distance, replicates: int):
        self.distance = distance
        self.distances: list[np.ndarray] = []
        self.medians: list[float] = []
        self.undefined = ""
        self._varied = self._resampled = False
        self._numerators, self._divisors, self._weights = np.zeros((3, replicates))
        self._sum = self._divisor = 0.0

    def begin(self, n: int) -> None:
        """Make room for a block of `n` images, before large activations come: what outlives them lies below them."""
        self.distances.append(np.empty(n))

    def hear(self, block: Geometry, resampling: PairBootstrap | None) -> None:
        """Reduce one block's geometry to numbers."""
        paired, pairs = self.distances[-1], self.distance.pairs(block).cpu().numpy()
        paired[:] = self.distance.paired(block).cpu().numpy()
        self.medians.append(float(np.median(pairs)) if len(pairs) else nan)
        if self.undefined:
            return
        self.undefined = _fault(block.finite, not block.clean.any(), paired, pairs)
        if self.undefined:
            return
        self._varied |= not block.constant
        self._sum += paired.sum()
        if len(pairs):  # a last block of one image has none
            self._divisor += len(pairs) * self.medians[-1]
        if resampling is not None:
            self._resample(paired, pairs, resampling)

    def _resample(self, paired: np.ndarray, pairs: np.ndarray, resampling: PairBootstrap) -> None:
        self._resampled = True
        self._numerators += resampling.sums(paired)
        if len(pairs):
            medians = resampling.medians(pairs)
            # A replicate that drew one image of a small block alone has no pair there, but has pairs in other blocks.
            self._divisors += len(pairs) * np.nan_to_num(medians)
            self._weights += len(pairs) * np.isfinite(medians)

    def interval(self, level: float) -> tuple[float, float, float]:
        """Estimate, low and high; NaN where undefined, and `undefined` then says why."""
        if not self.undefined and self._divisor == 0:
            what = (
                "at least half of the pairs of images coincide" if self._varied else "constant: the same for all images"
            )
            self.undefined = what
        if self.undefined:
            return nan, nan, nan
        images = sum(map(len, self.distances))
        pairs = sum(len(part) * (len(part) - 1) // 2 for part in self.distances)
        estimate = self._sum / images / (self._divisor / pairs)
        if not self._resampled:
            return estimate, nan, nan
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = self._numerators / images / (self._divisors / self._weights)
        return estimate, *percentile(replicates, level)


def _fault(finite: bool, zero: bool, paired: np.ndarray, pairs: np.ndarray) -> str:
    """Why a block's activations have no distances; empty where they have."""
    if not finite:
        return "NaN or infinite activations"
    if not np.isfinite(paired).all() or not np.isfinite(pairs).all():
        return f"zero for {'all' if zero else 'some'} images of a block: no direction, take euclidean"
    return ""
