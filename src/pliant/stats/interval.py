"""A number with its uncertainty: what every result of pliant travels as."""

from dataclasses import dataclass
from math import isfinite

FEWEST = 5
"""Images, from which on a bootstrap has intervals: of 4, 1 replicate in 64 draws a single image, and so no pair."""


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
