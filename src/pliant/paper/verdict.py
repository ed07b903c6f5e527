"""Rules that turn one value for each seed into a verdict, the threshold named before the values are seen.

Each claim is judged for itself: nothing is corrected for their number.
"""

import math
from collections.abc import Mapping
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
class Judged:
    """What a rule makes of the values: the verdict, the interval that decided it at the level the rule used, and why.

    The ends of the interval of one seed are NaN. `shown`: which of several statistics the interval is of; "" if there
    is but one.
    """

    verdict: Verdict
    interval: Interval
    reason: str
    shown: str = ""


@dataclass(frozen=True)
class Below:
    """Supported where the interval lies below the threshold, refuted where it lies above, else undecided."""

    threshold: Threshold

    def __str__(self) -> str:
        return f"the {percent(LEVEL)} interval lies below {self.threshold}"

    def judge(self, values: Float[np.ndarray, " seeds"]) -> Judged:
        """The verdict, and why."""
        return _beside(student(values, LEVEL), self.threshold, ("supported", "refuted"))


@dataclass(frozen=True)
class Above:
    """Supported where the interval lies above the threshold, refuted where it lies below, else undecided."""

    threshold: Threshold

    def __str__(self) -> str:
        return f"the {percent(LEVEL)} interval lies above {self.threshold}"

    def judge(self, values: Float[np.ndarray, " seeds"]) -> Judged:
        """The verdict, and why."""
        return _beside(student(values, LEVEL), self.threshold, ("refuted", "supported"))


@dataclass(frozen=True)
class Inside:
    """Equivalence to 0: supported by two one-sided tests at 5%, refuted where the 95% interval lies wholly outside."""

    margin: Threshold

    def __str__(self) -> str:
        return f"the {percent(1 - 2 * ALPHA)} interval ({_TWO_TESTS}) lies inside ±{self.margin}"

    def judge(self, values: Float[np.ndarray, " seeds"]) -> Judged:
        """The verdict, and why."""
        narrow, wide, margin = student(values, 1 - 2 * ALPHA), student(values, LEVEL), self.margin.value
        if len(values) < 2:
            return Judged("undecided", narrow, _ONE_SEED)
        if equivalent(values, margin, ALPHA):
            return Judged("supported", narrow, f"the {_ends(narrow, f' ({_TWO_TESTS})')} lies inside ±{self.margin}")
        if wide.low > margin or wide.high < -margin:
            return Judged("refuted", wide, f"the {_ends(wide)} lies outside ±{self.margin}")
        neither = f"is neither inside nor outside ±{self.margin}"
        if narrow.low <= margin <= narrow.high or narrow.low <= -margin <= narrow.high:
            return Judged("undecided", narrow, f"the {_ends(narrow, f' ({_TWO_TESTS})')} {neither}")
        return Judged("undecided", wide, f"the {_ends(wide)} {neither}")


@dataclass(frozen=True)
class AllBelow:
    """Of several statistics, each lies below the threshold.

    Supported where the interval of each does: an intersection-union test, of the level of one of them (Berger 1982,
    "Multiparameter hypothesis testing and acceptance sampling"). Refuted where that of one lies above at a level
    corrected for the number of statistics (Bonferroni). Else undecided. Shown is the statistic with the largest mean
    among those that decide: all where supported, those above where refuted, those not below where undecided.
    """

    threshold: Threshold

    def __str__(self) -> str:
        return f"each {percent(LEVEL)} interval lies below {self.threshold}"

    def judge(self, values: Mapping[str, Float[np.ndarray, " seeds"]]) -> Judged:
        """The verdict, and why. `values`: of each statistic by its name; their numbers of seeds may differ."""
        each = {name: student(column, LEVEL) for name, column in values.items()}
        corrected = {name: student(column, 1 - (1 - LEVEL) / len(values)) for name, column in values.items()}

        def worst(names: list[str]) -> str:
            return max(names, key=lambda name: each[name].estimate)

        above = [name for name, found in corrected.items() if found.low > self.threshold.value]
        if above:
            name = worst(above)
            said = _ends(corrected[name], f" of {name} (one of {len(values)}, corrected for their number)")
            return Judged("refuted", corrected[name], f"the {said} lies above {self.threshold}", name)
        unsettled = [name for name, found in each.items() if not found.high < self.threshold.value]
        if not unsettled:
            name = worst(list(each))
            said = f"each of {len(each)} lies below {self.threshold}, the highest: {_ends(each[name], f' of {name}')}"
            return Judged("supported", each[name], said, name)
        name = worst(unsettled)
        found = each[name]
        if all(other.n < 2 for other in each.values()):
            return Judged("undecided", found, _ONE_SEED, name)
        verb = "is" if len(unsettled) == 1 else "are"
        count = f"{len(unsettled)} of {len(each)} {verb} not shown to lie below {self.threshold}"
        if found.n < 2:
            return Judged("undecided", found, f"{count}: {name}, {_ONE_SEED}", name)
        said = f" of {name}"
        if found.low > self.threshold.value:
            found, said = corrected[name], f" of {name} (one of {len(values)}, corrected for their number)"
        return Judged("undecided", found, f"{count}: the {_ends(found, said)} holds {self.threshold}", name)


Rule = Below | Above | Inside | AllBelow

_ONE_SEED = "one seed: an interval needs at least 2"
_TWO_TESTS = f"two one-sided tests at {ALPHA:.0%}"


def percent(level: float) -> str:
    """A confidence level as it reads: "95%", "98.33%"."""
    return f"{100 * level:.4g}%"


def _beside(found: Interval, threshold: Threshold, sides: tuple[Verdict, Verdict]) -> Judged:
    """The verdict of an interval below, above or across a threshold; `sides` are those of below and above."""
    if found.n < 2:
        return Judged("undecided", found, _ONE_SEED)
    if found.high < threshold.value:
        return Judged(sides[0], found, f"the {_ends(found)} lies below {threshold}")
    if found.low > threshold.value:
        return Judged(sides[1], found, f"the {_ends(found)} lies above {threshold}")
    return Judged("undecided", found, f"the {_ends(found)} holds {threshold}")


def _ends(found: Interval, said: str = "") -> str:
    return f"{percent(found.level)} interval{said} [{found.low:.3f}, {found.high:.3f}]"
