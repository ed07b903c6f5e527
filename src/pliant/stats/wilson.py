"""The interval of a proportion, such as an accuracy."""

import math
from statistics import NormalDist

from pliant._checks import require
from pliant.stats.interval import Interval


def proportion(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of `successes` among `n` (Wilson 1927, "Probable inference").

    It never leaves 0 ... 1. A 95% interval holds the truth in 93 to 97 samples of 100 for proportions of 5 to 95% and n
    from 256 on; where less than one success or failure is to be expected in 84 at worst. Raises `InputError` for n < 1
    or successes outside 0 ... n.
    """
    require(n >= 1 and 0 <= successes <= n, f"a proportion of {successes} among {n} is none")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), level, n)
