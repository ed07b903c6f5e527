"""Bootstrap over images where the statistic holds a median over pairs of images."""

import math

import numpy as np
from jaxtyping import Float, Int, UInt

from pliant.stats.interval import FEWEST, tails

_MOST_UNDEFINED = 0.1
_STRETCH = 32  # pairs whose sum in a replicate says whether its median is among them


class PairBootstrap:
    """One resampling of a block of `n` images, shared by all layers measured on the block.

    Replicate r draws n images with replacement; image i stands in it `counts[r, i]` times, and the pair i < j
    `counts[r, i] * counts[r, j]` times. An image is never paired with its own copy: the distance 0 of such a pair
    says nothing about the images, and would pull the median down.

    The 95% interval of a mean over a pair median holds the truth, simulated, in 93 to 95 samples of 100, with 8 to 64
    images, one block of 128 or two. With 5 to 7 images its ends are nearly the smallest and the largest of 1,000
    replicates: more replicates make it steadier.
    """

    def __init__(self, n: int, replicates: int, seed: int, block: int = 0):
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, block], dtype=np.uint64)))
        drawn = generator.integers(0, n, (replicates, n)) + n * np.arange(replicates)[:, None]
        # All pairs of a replicate together stand in it fewer than n * n / 2 times: the narrowest type that holds this.
        counts = np.bincount(drawn.ravel(), minlength=n * replicates).astype(np.min_scalar_type(n * n // 2))
        self.counts = counts.reshape(replicates, n)
        # Images run along the first axis, so that putting pairs in order moves whole rows; no replicate holds the last.
        self._of_image = np.zeros((n + 1, replicates), counts.dtype)
        self._of_image[:n] = self.counts.T
        self._totals = (n * n - np.square(self.counts, dtype=np.int64).sum(axis=1)) // 2

    def sums(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " replicates"]:
        """The sum of `values` (one an image) over the images of each replicate."""
        return self.counts @ values.astype(np.float64)

    def image_medians(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " replicates"]:
        """The median of `values` (one an image) over the images of each replicate."""
        order = np.argsort(values, kind="stable")
        reached = self.counts[:, order].cumsum(axis=1, dtype=np.int64)
        n = len(values)
        lower, upper = ((reached <= rank).sum(axis=1) for rank in ((n - 1) // 2, n // 2))
        return (values[order][lower] + values[order][upper]) / 2

    def means(self, distances: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " replicates"]:
        """The mean over the pairs of each replicate of `distances`, pairs as in `medians`; NaN where there is none."""
        n = self.counts.shape[1]
        square = np.zeros((n, n))
        square[np.triu_indices(n, k=1)] = distances
        counts = self.counts.astype(np.float64)
        with np.errstate(invalid="ignore"):
            return ((counts @ square) * counts).sum(axis=1) / self._totals

    def medians(self, distances: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " replicates"]:
        """The median over the pairs of each replicate of `distances`, pairs i < j in row order.

        NaN where a replicate holds copies of a single image only, and so no pair.
        """
        n, there = self.counts.shape[1], self._totals > 0
        lower = ((self._totals - there) // 2).astype(self.counts.dtype)
        upper = (self._totals // 2).astype(self.counts.dtype)
        order = np.argsort(distances)
        pairs = np.pad(np.stack(np.triu_indices(n, k=1))[:, order], ((0, 0), (0, _STRETCH)), constant_values=n)
        # Replicates have their medians near that of the images: pairs far below it are counted all at once.
        step = max(1, len(order) // 8)
        start = max(0, len(order) // 2 - step)
        while ((below := self._standing(pairs[:, :start])) > lower).any():
            start = max(0, start - step)
        reached = [below]
        for place in range(start, len(order), _STRETCH):
            first, second = pairs[:, place : place + _STRETCH]
            counts = self._of_image.take(first, axis=0)
            counts *= self._of_image.take(second, axis=0)
            reached.append(reached[-1] + counts.sum(axis=0, dtype=counts.dtype))
            if not (there & (reached[-1] <= upper)).any():
                break
        ordered, sums = distances[order], np.array(reached)
        found = [ordered[self._locate(rank, pairs, start, sums)] for rank in (lower, upper)]
        return np.where(there, (found[0] + found[1]) / 2, np.nan)

    def _standing(self, pairs: Int[np.ndarray, "2 some"]) -> UInt[np.ndarray, " replicates"]:
        """How often some of the pairs stand in each replicate, together."""
        n = self.counts.shape[1]
        exact = np.float32 if n * n // 2 <= 1 << 24 else np.float64
        square = np.zeros((n, n), exact)
        square[pairs[0], pairs[1]] = 1
        counts = self.counts.astype(exact)
        return np.einsum("ij,ij->i", counts @ square, counts).astype(self.counts.dtype)

    def _locate(
        self,
        rank: UInt[np.ndarray, " replicates"],
        pairs: Int[np.ndarray, "2 padded"],
        start: int,
        reached: UInt[np.ndarray, "ends replicates"],
    ) -> Int[np.ndarray, " replicates"]:
        """Position, among the ordered pairs, of the pair of the given rank in each replicate.

        start: of the first stretch of pairs. reached: how many stand before it, and up to the end of each stretch.
        """
        replicate = np.arange(len(rank))
        found = (reached[1:] <= rank).sum(axis=0).clip(max=len(reached) - 2)
        position = start + found * _STRETCH + np.arange(_STRETCH)[:, None]
        first, second = (self._of_image.take((of * len(rank))[position] + replicate) for of in pairs)
        passed = (first * second).cumsum(axis=0, dtype=first.dtype) <= rank - reached[found, replicate]
        return (position[0] + passed.sum(axis=0)).clip(max=pairs.shape[1] - _STRETCH - 1)


def percentile(replicates: Float[np.ndarray, " replicates"], level: float, images: int) -> tuple[float, float]:
    """Lower and upper end of the percentile interval at `level`, of a number of so many images; see `tails`.

    Both ends are NaN for fewer than 5 images, whatever the replicates drew. Undefined replicates are left out; where
    they are more than 1 in 10, as in blocks of 2 images or of a ratio to nearly nothing, what is left says nothing of
    other images, and both ends are NaN, too.
    """
    if images < FEWEST or np.isnan(replicates).mean() > _MOST_UNDEFINED:
        return math.nan, math.nan
    low, high = np.nanquantile(replicates, tails(level, images))
    return float(low), float(high)
