"""`Claim`: a sentence that can be wrong. `Ruling`: its verdict under one protocol. `Finding`: under all of them."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pliant.paper.protocols import Protocol
from pliant.paper.replicate import Absent, Curves, Replicate
from pliant.paper.verdict import DECIDED, AllBelow, Rule, Verdict
from pliant.stats import Interval

Value = float | dict[str, float]
"""A statistic of one seed, or several by their names."""

_NAMED = 3
_ONLY = ""
_OF_NONE: tuple[Verdict, ...] = ("not fitted", "not run", "undecided")
"""Verdicts where no seed has a value: the first that any of them gives."""


@dataclass(frozen=True)
class Claim:
    """A claim of the study.

    id: short and unique. title: the claim, one sentence. source: the paper's claim and figure. statistic: in words.
    unit: of the statistic. rule: what makes it supported. of: the nets of one seed -> the statistic, or, where the rule
    is `AllBelow`, several by their names. protocols: those that make a difference to it, the reference first.
    """

    id: str
    title: str
    source: str
    statistic: str
    unit: str
    rule: Rule
    of: Callable[[Replicate], Value]
    protocols: tuple[Protocol, ...]


@dataclass(frozen=True)
class Ruling:
    """The verdict on a claim under one protocol.

    values: seed -> statistic. interval: Student's t of their mean, the one that the rule decided by, at the level that
    the rule took, the ends NaN for one seed; None where there are no values. It is over seeds: images are another
    source of spread and not in it. reason: of the verdict, and what was left out. parts: of a claim on several
    statistics all of them, name -> seed -> value; `values` and `interval` are then those of the one that
    the reason names.
    """

    protocol: Protocol
    verdict: Verdict
    interval: Interval | None
    values: dict[int, float]
    reason: str
    parts: dict[str, dict[int, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the ends of an interval that has none are null."""
        return {
            "protocol": asdict(self.protocol),
            "differs_in": list(self.protocol.changes),
            "verdict": self.verdict,
            "interval": None if self.interval is None else _without_nan(asdict(self.interval)),
            "values": _keyed(self.values),
            "parts": {name: _keyed(values) for name, values in self.parts.items()},
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Finding:
    """What a study says of a claim: its rulings under all protocols, the reference first."""

    claim: Claim
    rulings: tuple[Ruling, ...]

    @property
    def reference(self) -> Ruling:
        """The ruling under the reference protocol."""
        return self.rulings[0]

    @property
    def verdict(self) -> Verdict:
        """The verdict under the reference protocol."""
        return self.reference.verdict

    @property
    def holds(self) -> tuple[int, int]:
        """Under how many protocols the claim is supported, and under how many there was something to judge by."""
        verdicts = [ruling.verdict for ruling in self.rulings if ruling.verdict in DECIDED]
        return verdicts.count("supported"), len(verdicts)

    @property
    def flips(self) -> tuple[str, ...]:
        """The single choices that give another verdict than the reference: "batch norm untouched: refuted"."""
        if self.verdict not in DECIDED:
            return ()
        return tuple(
            f"{ruling.protocol}: {ruling.verdict}"
            for ruling in self.rulings
            if len(ruling.protocol.changes) == 1 and ruling.verdict in DECIDED and ruling.verdict != self.verdict
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object: the claim, the verdict under the reference, how far it holds, and every ruling."""
        holds, judged = self.holds
        return {
            "id": self.claim.id,
            "title": self.claim.title,
            "source": self.claim.source,
            "statistic": self.claim.statistic,
            "unit": self.claim.unit,
            "supported_where": str(self.claim.rule),
            "verdict": self.verdict,
            "holds": holds,
            "judged": judged,
            "flips": list(self.flips),
            "rulings": [ruling.to_json() for ruling in self.rulings],
        }


def rule_on(claim: Claim, curves: Curves, protocol: Protocol) -> Ruling:
    """The ruling on a claim under one protocol. Where no seed has a value: "not fitted" if in one of them a net did not
    learn its task, else "not run" if in one a net is missing, else "undecided", the statistic being undefined.
    """
    values, absent, undefined = _gathered(claim, curves, protocol)
    left_out = [error.reason for error in absent]
    if not values:
        worst = min(absent, key=lambda error: _OF_NONE.index(error.verdict)).verdict
        return Ruling(protocol, worst, None, {}, _listed([error.reason for error in absent if error.verdict == worst]))
    parts = _by_name(values)
    columns = {name: np.array(list(by_seed.values())) for name, by_seed in parts.items()}
    rule = claim.rule
    judged = rule.judge(columns) if isinstance(rule, AllBelow) else rule.judge(columns[_ONLY])
    reason = judged.reason
    if left_out:
        reason += f"; left out: {_listed(left_out)}"
    if undefined:
        reason += f"; undefined and left out: {_listed(undefined)}"
    several = {} if _ONLY in parts else parts
    return Ruling(protocol, judged.verdict, judged.interval, parts[judged.shown], reason, several)


def _gathered(claim: Claim, curves: Curves, protocol: Protocol) -> tuple[dict[int, Value], list[Absent], list[str]]:
    """Seed -> value; why other seeds have none; the layers that are undefined."""
    values: dict[int, Value] = {}
    absent: list[Absent] = []
    undefined: list[str] = []
    for seed in curves.seeds:
        replicate = Replicate(curves, protocol, seed)
        try:
            values[seed] = claim.of(replicate)
        except Absent as error:
            absent.append(error)
        else:
            undefined += replicate.undefined
    return values, absent, undefined


def _by_name(values: dict[int, Value]) -> dict[str, dict[int, float]]:
    """Name -> seed -> value; a statistic that stands alone has no name."""
    parts: dict[str, dict[int, float]] = {}
    for seed, value in values.items():
        for name, number in (value if isinstance(value, dict) else {_ONLY: value}).items():
            parts.setdefault(name, {})[seed] = number
    return parts


def _keyed(values: dict[int, float]) -> dict[str, float]:
    return {str(seed): value for seed, value in values.items()}


def _listed(reasons: list[str]) -> str:
    once = list(dict.fromkeys(reasons))
    more = [f"{len(once) - _NAMED} more"] if len(once) > _NAMED else []
    return ", ".join([*once[:_NAMED], *more])


def _without_nan(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in numbers.items()}
