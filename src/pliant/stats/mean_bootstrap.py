"""Bootstrap of means over images that come a few at a time, in memory that does not grow with them."""

import numpy as np
from jaxtyping import Float

from pliant._checks import require
from pliant.stats.interval import FEWEST, tails


class MeanBootstrap:
    """The means of `k` numbers an image, with percentile intervals at `level` (see `tails`), over all images added.

    In each replicate an image stands as often as its own Poisson number of mean 1 says (Hanley and MacGibbon 2006,
    "Creating non-parametric bootstrap samples using Poisson frequencies"), so that the size of the batches does not
    matter. The numbers of one image share its Poisson numbers: what is compared is paired. Replicates that hold no
    image are left out.
    """

    def __init__(self, k: int, replicates: int, seed: int, level: float):
        require(replicates >= 0 and 0 < level < 1, f"replicates={replicates}, level={level}: no such interval")
        require(0 <= seed < 1 << 64, f"seed={seed}: a seed is an integer from 0 to 2^64 - 1")
        self.images = 0
        self._generator = np.random.Generator(np.random.Philox(key=np.array([seed, 0], dtype=np.uint64)))
        self._level = level
        self._total = np.zeros(k)
        self._sums, self._counts = np.zeros((replicates, k)), np.zeros(replicates)

    def add(self, values: Float[np.ndarray, "n k"]) -> None:
        """Take in the numbers of more images; all finite."""
        counts = self._generator.poisson(1.0, (len(values), len(self._counts))).astype(np.float64)
        self.images += len(values)
        self._total += values.sum(axis=0)
        self._sums += counts.T @ values
        self._counts += counts.sum(axis=0)

    def interval(self) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """Mean, low and high of each number; low and high are NaN without replicates and for fewer than 5 images."""
        mean = self._total / self.images
        drawn = self._counts > 0
        if self.images < FEWEST or not drawn.any():
            return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
        ends = tails(self._level, self.images)
        low, high = np.quantile(self._sums[drawn] / self._counts[drawn, None], ends, axis=0)
        return mean, low, high
