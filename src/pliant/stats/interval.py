"""A number with its uncertainty: what every result of pliant travels as."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with the confidence interval [low, high] at `level`, from `n` independent units."""

    estimate: float
    low: float
    high: float
    level: float
    n: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.level:.0%}, n = {self.n})"
