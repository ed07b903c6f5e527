"""The interval of a mean of few values, such as one number for each seed; and when a mean counts as none."""

import math

import numpy as np
from jaxtyping import Float
from scipy import special

from pliant._checks import require
from pliant.stats.interval import Interval


def student(values: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of `values`, independent and of one normal distribution; n is their count.

    Student 1908, "The probable error of a mean". One value has no interval: low and high are NaN. Raises `InputError`
    for no values, for values that are not finite, and for a level outside of 0 ... 1.
    """
    require(0 < level < 1, f"level={level}: a confidence level lies between 0 and 1")
    n = len(values)
    require(n >= 1, "the mean of no values: at least 1 is needed, and 2 for an interval")
    require(
        bool(np.isfinite(values).all()),
        f"values {values.tolist()} are not all finite: leave out what is undefined, and say so",
    )
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, level, n)
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, level, n)


def equivalent(values: Float[np.ndarray, " n"], margin: float, alpha: float = 0.05) -> bool:
    """Whether the mean of `values` is shown to lie within -margin ... margin: two one-sided t tests, each at `alpha`.

    The same as a (1 - 2 alpha) interval inside of the margin; Schuirmann 1987, "A comparison of the two one-sided
    tests procedure". One value shows nothing. Raises `InputError` for a margin that is not above 0, an alpha outside of
    0 ... 0.5, and as `student` does.
    """
    require(margin > 0, f"margin={margin}: above 0, and named before the values are seen")
    require(0 < alpha < 0.5, f"alpha={alpha}: between 0 and 0.5")
    found = student(values, 1 - 2 * alpha)
    return -margin < found.low and found.high < margin
