"""Bootstrap over images where the statistic holds a median over pairs of images."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

_MOST_UNDEFINED = 0.01
_STEPS = 12


class PairBootstrap:
    """One resampling of a block of `n` images, shared by all layers measured on the block.

    Replicate r draws n images with replacement; image i stands in it `counts[r, i]` times, and the pair i < j
    `counts[r, i] * counts[r, j]` times. An image is never paired with its own copy: the distance 0 of such a pair
    says nothing about the images, and would pull the median down.
    """

    def __init__(self, n: int, replicates: int, seed: int, block: int = 0):
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, block], dtype=np.uint64)))
        drawn = generator.integers(0, n, (replicates, n)) + n * np.arange(replicates)[:, None]
        # All pairs of a replicate together stand in it fewer than n * n / 2 times: the narrowest types that hold this.
        most = n * n // 2
        self.counts = np.bincount(drawn.ravel(), minlength=n * replicates).reshape(replicates, n)
        self.counts = self.counts.astype(np.float32 if most < 1 << 24 else np.float64)
        self._of_image = np.ascontiguousarray(self.counts.T).astype(np.min_scalar_type(most))
        self._first, self._second = np.triu_indices(n, k=1)
        self._totals = self._standing(np.ones(len(self._first), dtype=bool))

    def sums(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " replicates"]:
        """The sum of `values` (one an image) over the images of each replicate."""
        return self.counts @ values.astype(np.float64)

    def medians(self, distances: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " replicates"]:
        """The median over the pairs of each replicate of `distances`, pairs i < j in row order.

        NaN where a replicate holds copies of a single image only, and so no pair.
        """
        order = np.argsort(distances, kind="stable")
        ordered, position = distances[order], np.argsort(order)
        ranks = (self._totals - 1).clip(min=0) // 2, self._totals // 2
        # The medians of all replicates lie near the middle: products of matrices tell how many pairs stand below and
        # above a stretch that holds them all, and only its pairs are looked at one by one.
        middle, step = len(order) // 2, max(1, len(order) // _STEPS)
        start, stop = max(0, middle - step), min(len(order), middle + step)
        while ((below := self._standing(position < start)) > ranks[0]).any():
            start = max(0, start - step)
        while stop < len(order) and (self._standing(position < stop) <= ranks[1]).any():
            stop = min(len(order), stop + step)
        between = order[start:stop]
        counts = self._of_image[self._first[between]] * self._of_image[self._second[between]]
        lower, upper = (ordered[start + place] for place in _places(counts, below, ranks))
        with np.errstate(invalid="ignore"):
            return np.where(self._totals > 0, (lower + upper) / 2, np.nan)

    def _standing(self, chosen: Bool[np.ndarray, " pairs"]) -> Int[np.ndarray, " replicates"]:
        """How often the chosen pairs, together, stand in each replicate."""
        n = self.counts.shape[1]
        among = np.zeros((n, n), self.counts.dtype)
        among[self._first, self._second] = chosen
        return np.einsum("ri,ri->r", self.counts @ among, self.counts).astype(np.int64)


def _places(
    counts: UInt[np.ndarray, "pairs replicates"],
    below: Int[np.ndarray, " replicates"],
    ranks: Sequence[Int[np.ndarray, " replicates"]],
) -> list[Int[np.ndarray, " replicates"]]:
    """The row of the pair of each rank in each replicate, where `below` pairs stand before the first row."""
    # Sums over stretches of rows find the stretch that holds the pair; only that one is then looked through.
    stretch = max(1, int(np.sqrt(len(counts))))
    sums = [counts[a : a + stretch].sum(axis=0, dtype=counts.dtype) for a in range(0, len(counts), stretch)]
    reached = below + np.cumsum(sums, axis=0, dtype=np.int64)
    replicate = np.arange(len(below))
    places = []
    for rank in ranks:
        found = (reached <= rank).sum(axis=0).clip(max=len(reached) - 1)
        before = np.where(found > 0, reached[found - 1, replicate], below)
        rows = found[:, None] * stretch + np.arange(stretch)
        inside = rows < len(counts)
        standing = np.where(inside, counts[rows.clip(max=len(counts) - 1), replicate[:, None]], 0)
        passed = before[:, None] + standing.cumsum(axis=1, dtype=np.int64) <= rank[:, None]
        places.append((found * stretch + passed.sum(axis=1)).clip(max=len(counts) - 1))
    return places


def percentile(replicates: Float[np.ndarray, " replicates"], level: float) -> tuple[float, float]:
    """Lower and upper end of the percentile interval at `level`.

    Undefined replicates are left out; where they are more than 1 in 100, as with fewer than 5 images, both ends are
    NaN: what is left says nothing of other images.
    """
    if np.isnan(replicates).mean() > _MOST_UNDEFINED:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = np.nanquantile(replicates, (tail, 1 - tail))
    return float(low), float(high)
