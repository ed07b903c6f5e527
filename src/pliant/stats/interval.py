"""A number with its uncertainty: what every result of pliant travels as."""

from dataclasses import dataclass
from math import isfinite, sqrt

from scipy import special

FEWEST = 5
"""Images, from which on a bootstrap has intervals: of 4, 1 replicate in 64 draws a single image, and so no pair."""


def tails(level: float, n: int) -> tuple[float, float]:
    """Which quantiles of a bootstrap's replicates are the ends of an interval at `level`, of `n` units.

    Somewhat further out than (1 - level) / 2, by the factor sqrt(n / (n - 1)) and Student's t in the place of the
    normal quantile: those of few units scatter too little. The expanded percentile interval of Hesterberg 2015, "What
    teachers should know about the bootstrap", arXiv:1411.5279.
    """
    below = float(special.ndtr(-sqrt(n / (n - 1)) * special.stdtrit(n - 1, (1 + level) / 2)))
    return below, 1 - below


@dataclass(frozen=True)
class Interval:
    """An estimate with the confidence interval [low, high] at `level`, from `n` independent units.

    Both ends are NaN where there are too few units for an interval.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int

    @property
    def has_ends(self) -> bool:
        """There is an interval, not an estimate alone."""
        return isfinite(self.low) and isfinite(self.high)

    def brackets(self, spec: str = ".3f") -> str:
        """Both ends in brackets, each formatted by `spec`: "[0.096, 0.106]"; "[none]" where there are none."""
        return f"[{self.low:{spec}}, {self.high:{spec}}]" if self.has_ends else "[none]"

    def __str__(self) -> str:
        return f"{self.estimate:.3f} {self.brackets()} ({self.level:.0%}, n = {self.n})"
