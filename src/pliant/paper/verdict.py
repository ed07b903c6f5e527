"""Rules that turn one value for each seed into a verdict, the threshold named before the values are seen.

Each claim is judged for itself: nothing is corrected for their number.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from pliant._checks import require
from pliant.stats import Interval, equivalent, student

Verdict = Literal["supported", "refuted", "undecided", "not run", "not fitted"]
DECIDED: tuple[Verdict, ...] = ("supported", "refuted", "undecided")
"""The verdicts of claims that there is something to judge by."""
LEVEL = 0.95
ALPHA = 0.05


@dataclass(frozen=True)
class Threshold:
    """A number, and how it reads: "ln 1.25"."""

    value: float
    said: str

    def __str__(self) -> str:
        return self.said


def number(value: float) -> Threshold:
    """A threshold that reads as itself."""
    return Threshold(value, f"{value:g}")


def ratio(value: float) -> Threshold:
    """The threshold of a logarithm: ratio(1.25) is ln 1.25."""
    require(0 < value < math.inf, f"ratio({value}): above 0 and finite, it has no logarithm")
    return Threshold(math.log(value), f"ln {value:g}")


@dataclass(frozen=True)
class Below:
    """Supported where the interval lies below the threshold, refuted where it lies above, else undecided."""

    threshold: Threshold

    def __str__(self) -> str:
        return f"the {LEVEL:.0%} interval lies below {self.threshold}"

    def judge(self, values: Float[np.ndarray, " seeds"]) -> tuple[Verdict, str]:
        """The verdict, and why."""
        return _beside(student(values, LEVEL), self.threshold, ("supported", "refuted"))


@dataclass(frozen=True)
class Above:
    """Supported where the interval lies above the threshold, refuted where it lies below, else undecided."""

    threshold: Threshold

    def __str__(self) -> str:
        return f"the {LEVEL:.0%} interval lies above {self.threshold}"

    def judge(self, values: Float[np.ndarray, " seeds"]) -> tuple[Verdict, str]:
        """The verdict, and why."""
        return _beside(student(values, LEVEL), self.threshold, ("refuted", "supported"))


@dataclass(frozen=True)
class Inside:
    """Equivalence to 0: supported by two one-sided tests at 5%, refuted where the 95% interval lies wholly outside."""

    margin: Threshold

    def __str__(self) -> str:
        return f"the {1 - 2 * ALPHA:.0%} interval lies inside ±{self.margin} (two one-sided tests at {ALPHA:.0%})"

    def judge(self, values: Float[np.ndarray, " seeds"]) -> tuple[Verdict, str]:
        """The verdict, and why."""
        if len(values) < 2:
            return "undecided", _ONE_SEED
        narrow = student(values, 1 - 2 * ALPHA)
        if equivalent(values, self.margin.value, ALPHA):
            return "supported", f"the {_ends(narrow)} lies inside ±{self.margin}"
        wide = student(values, LEVEL)
        if wide.low > self.margin.value or wide.high < -self.margin.value:
            return "refuted", f"the {_ends(wide)} lies outside ±{self.margin}"
        crossed = narrow.low <= self.margin.value <= narrow.high or narrow.low <= -self.margin.value <= narrow.high
        shown = narrow if crossed else wide
        return "undecided", f"the {_ends(shown)} is neither inside nor outside ±{self.margin}"


Rule = Below | Above | Inside

_ONE_SEED = "one seed: an interval needs at least 2"


def _beside(found: Interval, threshold: Threshold, sides: tuple[Verdict, Verdict]) -> tuple[Verdict, str]:
    """The verdict of an interval below, above or across a threshold; `sides` are those of below and above."""
    if found.n < 2:
        return "undecided", _ONE_SEED
    if found.high < threshold.value:
        return sides[0], f"the {_ends(found)} lies below {threshold}"
    if found.low > threshold.value:
        return sides[1], f"the {_ends(found)} lies above {threshold}"
    return "undecided", f"the {_ends(found)} holds {threshold}"


def _ends(found: Interval) -> str:
    return f"{found.level:.0%} interval [{found.low:.3f}, {found.high:.3f}]"
