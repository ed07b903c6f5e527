"""Bootstrap over images where the statistic holds a median over pairs of images."""

import math

import numpy as np
from jaxtyping import Float, Int

from pliant.stats.interval import FEWEST, tails

_MOST_UNDEFINED = 0.1


class PairBootstrap:
    """One resampling of a block of `n` images, shared by all layers measured on the block.

    Replicate r draws n images with replacement; image i stands in it `counts[r, i]` times, and the pair i < j
    `counts[r, i] * counts[r, j]` times. An image is never paired with its own copy: the distance 0 of such a pair
    says nothing about the images, and would pull the median down.

    How often the 95% interval of a mean over a pair median holds the truth, simulated: in
    93 to 95 samples of 100 with 8 to 64 images, one block of 128 or two.
    """

    def __init__(self, n: int, replicates: int, seed: int, block: int = 0):
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, block], dtype=np.uint64)))
        drawn = generator.integers(0, n, (replicates, n)) + n * np.arange(replicates)[:, None]
        # All pairs of a replicate together stand in it fewer than n * n / 2 times: the narrowest type that holds this.
        counts = np.bincount(drawn.ravel(), minlength=n * replicates).astype(np.min_scalar_type(n * n // 2))
        self.counts = counts.reshape(replicates, n)
        first, second = np.triu_indices(n, k=1)
        of_image = np.ascontiguousarray(self.counts.T)
        # Pairs run along the first axis, so that putting them in order moves whole rows.
        self._pair_counts = of_image[first] * of_image[second]
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
        order = np.argsort(distances, kind="stable")
        ordered = distances[order]
        # Sums over stretches of pairs find the stretch that holds the median; only that one is then looked through.
        stretch = max(1, int(np.sqrt(len(order))))
        in_order = self._pair_counts[order]
        sums = [in_order[a : a + stretch].sum(axis=0, dtype=in_order.dtype) for a in range(0, len(order), stretch)]
        reached = np.cumsum(sums, axis=0, dtype=np.int64)
        lower = self._locate((self._totals - 1) // 2, order, reached, stretch)
        upper = self._locate(self._totals // 2, order, reached, stretch)
        with np.errstate(invalid="ignore"):
            return np.where(self._totals > 0, (ordered[lower] + ordered[upper]) / 2, np.nan)

    def _locate(
        self,
        rank: Int[np.ndarray, " replicates"],
        order: Int[np.ndarray, " pairs"],
        reached: Int[np.ndarray, "stretches replicates"],
        stretch: int,
    ) -> Int[np.ndarray, " replicates"]:
        """Position, among the ordered pairs, of the pair of the given rank in each replicate."""
        replicate = np.arange(len(rank))
        found = (reached <= rank).sum(axis=0).clip(max=len(reached) - 1)
        before = np.where(found > 0, reached[found - 1, replicate], 0)
        position = found[:, None] * stretch + np.arange(stretch)
        inside = position < len(order)
        position = position.clip(max=len(order) - 1)
        counts = np.where(inside, self._pair_counts[order[position], replicate[:, None]], 0)
        passed = before[:, None] + counts.cumsum(axis=1, dtype=np.int64) <= rank[:, None]
        return (found * stretch + passed.sum(axis=1)).clip(max=len(order) - 1)


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
