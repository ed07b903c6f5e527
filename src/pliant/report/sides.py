"""Models side by side: what each layer of one differs by from the first model's, in numbers and in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from pliant._checks import require
from pliant.profile import Difference, Profile
from pliant.report import wording
from pliant.report.left_out import LeftOut
from pliant.stats import Interval, MeanBootstrap

_REPLICATES = 1000


@dataclass(frozen=True, eq=False)
class Fact:
    """What is known of a model as a whole: a number with its interval, or words.

    profile: whose last layer the number is of; images: (n,) what it is the mean of. Either makes differences paired.
    """

    shown: Interval | str
    profile: Profile | None = None
    images: Float[np.ndarray, " n"] | None = None

    def minus(self, other: "Fact") -> Interval | None:
        """By how much this number lies above that of another model on the same images; None where it is not known."""
        if self.profile is not None and other.profile is not None:
            return _finite(self.profile.minus(other.profile)[-1])
        if self.images is None or other.images is None or not isinstance(self.shown, Interval):
            return None
        means = MeanBootstrap(1, _REPLICATES, 0, self.shown.level)
        means.add((self.images - other.images)[:, None])
        estimate, low, high = (float(ends[0]) for ends in means.interval())
        return Interval(estimate, low, high, self.shown.level, means.images)


@dataclass(frozen=True)
class Side:
    """One of several models: its profile, where it and its images come from, and what else is known of it, by name."""

    title: str
    profile: Profile
    source: str
    facts: Mapping[str, Fact]
    skipped: Sequence[LeftOut] = ()

    @property
    def kind(self) -> str:
        """What its colour is chosen by."""
        return self.title


@dataclass(frozen=True)
class Line:
    """A layer of the first model beside those of the others: names, values, and differences from the first."""

    names: tuple[str, ...]
    values: tuple[Interval | None, ...]
    differences: tuple[Interval | None, ...]

    @property
    def name(self) -> str:
        """One name for all of them, or each of the different ones."""
        return " / ".join(dict.fromkeys(self.names))


class Sides:
    """Several models measured alike; the first is what the others are compared with.

    Raises `InputError` for fewer than two, or profiles that are not comparable.
    """

    def __init__(self, sides: Sequence[Side]) -> None:
        require(len(sides) >= 2, f"{len(sides)} models: there is nothing to compare")
        self.all = tuple(sides)
        self.first, self.others = sides[0], tuple(sides[1:])

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Of each other model, less the first."""
        return tuple(side.profile.minus(self.first.profile) for side in self.others)

    @cached_property
    def lines(self) -> list[Line]:
        """The layers that the first model shares with all others, in its order."""
        shared = [
            {theirs: (place, mine) for place, (mine, theirs) in enumerate(found.layers)} for found in self.differences
        ]
        lines = []
        for layer in self.first.profile.layers:
            if not all(layer in of for of in shared):
                continue
            places = [of[layer] for of in shared]
            names = (layer, *(mine for _, mine in places))
            lines.append(
                Line(
                    names,
                    tuple(wording.defined(side.profile, name) for side, name in zip(self.all, names, strict=True)),
                    tuple(_finite(found[place]) for found, (place, _) in zip(self.differences, places, strict=True)),
                )
            )
        return lines

    @cached_property
    def facts(self) -> list[tuple[str, list[Interval | str], list[Interval | None]]]:
        """What else is known: its name, its value for every model, and the differences from the first."""
        found = []
        for name in dict.fromkeys(name for side in self.all for name in side.facts):
            facts = [side.facts.get(name, Fact("")) for side in self.all]
            found.append((name, [fact.shown for fact in facts], [fact.minus(facts[0]) for fact in facts[1:]]))
        return found

    @property
    def unmatched(self) -> list[str]:
        """Layers of any model that stand in no line."""
        known = {(place, name) for line in self.lines for place, name in enumerate(line.names)}
        return [
            f"{name} ({side.title})"
            for place, side in enumerate(self.all)
            for name in side.profile.layers
            if (place, name) not in known
        ]

    def sentences(self) -> list[str]:
        """Of each other model: where it is furthest from the first, and at how many layers it lies below and above."""
        return [self._sentence(number) for number in range(len(self.others))]

    def _sentence(self, number: int) -> str:
        other, quantity = self.others[number], self.first.profile.quantity
        found = [
            (line, difference, line.values[0], line.values[number + 1])
            for line in self.lines[1:]  # not the input
            if (difference := line.differences[number]) is not None
        ]
        if len(self.lines) < 2:
            return f"No layer of {other.title} could be matched with one of {self.first.title}: their names differ."
        if not found:
            return f"{other.title} and {self.first.title} share no layer that has {wording.with_article(quantity)}."
        line, most, before, after = max(found, key=lambda each: abs(each[1].estimate))
        assert before is not None
        assert after is not None
        furthest = f"urthest apart at {line.name}: {before.estimate:.3f} -> {after.estimate:.3f} ({signed(most)})."
        why = wording.no_interval(self.first.profile.images)
        judged = sum(difference.has_ends for _, difference, _, _ in found)
        if not judged:
            return (
                f"No intervals {why}: nothing says where {quantity} of {other.title} and {self.first.title} differs by "
                f"more than chance. F{furthest}"
            )
        below = sum(difference.high < 0 for _, difference, _, _ in found)
        above = sum(difference.low > 0 for _, difference, _, _ in found)
        without = f"No interval at {len(found) - judged} more, {why}. " if judged < len(found) else ""
        return (
            f"{wording.capitalised(quantity)} of {other.title} lies below that of {self.first.title} at {below} of "
            f"{judged} layers, above at {above}, at the others the interval holds 0. {without}F{furthest}"
        )


def signed(difference: Interval) -> str:
    """A difference with its interval, each number with its sign."""
    return f"{difference.estimate:+.3f} {difference.brackets('+.3f')}"


def _finite(difference: Interval) -> Interval | None:
    return difference if np.isfinite(difference.estimate) else None
