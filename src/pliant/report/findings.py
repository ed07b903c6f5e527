"""What a run has found, in words: one sentence, and a small table for a README."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pliant.report.nets import AFTER, BEFORE, MOMENTS, Comparison, Net
from pliant.report.wording import defined
from pliant.stats import Interval

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
CLEARLY = 0.8
"""A spread is called smaller where it is at most this share of what it was; larger, the other way round."""
NAMED = 3
"""Exceptions that a sentence names before it only counts them."""


@dataclass(frozen=True)
class Spread:
    """The smallest and the largest of a few sensitivities."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Largest minus smallest."""
        return self.high - self.low

    @property
    def ratio(self) -> float:
        """Largest over smallest; infinite where the smallest is 0."""
        return self.high / self.low if self.low > 0 else float("inf")

    def __str__(self) -> str:
        return span(self.low, self.high)


def headline(folder: Path | str) -> str:
    """What a run shows, in one sentence: how the spread of the nets at the last layer changes with training.

    Compares largest minus smallest sensitivity, and largest over smallest, before training with calibrated batch norm
    and after it. Nets whose last layer is undefined are left out, and counted. Errors are those of `Comparison.read`.
    """
    return headline_of(Comparison.read(folder))


def headline_of(run: Comparison) -> str:
    """`headline` of a run that was read already."""
    measured = [(net, last(net, BEFORE), last(net, AFTER)) for net in run.nets]
    whole = [(net, a.estimate, b.estimate) for net, a, b in measured if a is not None and b is not None]
    if not whole:
        return "No net has a defined sensitivity of the last layer both before and after training: nothing to compare."
    test = [net.record["accuracy"]["test"]["estimate"] for net, *_ in whole]
    accuracies = f"{'accuracies' if len(whole) > 1 else 'accuracy'} of {span(min(test), max(test))}"
    left_out = len(run.nets) - len(whole)
    without = f" ({_count(left_out, 'net')} left out: undefined)" if left_out else ""
    before = Spread(min(a for _, a, _ in whole), max(a for _, a, _ in whole))
    after = Spread(min(b for *_, b in whole), max(b for *_, b in whole))
    if len(whole) == 1:
        return (
            f"Before training (calibrated batch norm) the last layer's sensitivity of {whole[0][0].title}{without} is "
            f"{before}; after training it is {after}, at a test {accuracies}."
        )
    return (
        f"Before training (calibrated batch norm) the last layer's sensitivity of the {_count(len(whole), 'net')}"
        f"{without} spreads over {before}; after training over {after}, at test {accuracies}: "
        f"{_verdict(before, after)} (one training of each)."
    )


def last(net: Net, moment: tuple[str, str]) -> Interval | None:
    """The sensitivity of the net's last layer at that moment; None where it was not measured or is undefined."""
    profile = net.profiles.get(moment)
    return None if profile is None else defined(profile, profile.layers[-1])


def smoothing(run: Comparison) -> str:
    """In how many of their 3x3 layers the nets' filters ended smoother than they began, and which did not."""
    total, rough = 0, []
    for net in run.nets:
        start = {row["layer"]: row["value"] for row in net.smoothness("initial")}
        for row in net.smoothness("trained"):
            first, end = start.get(row["layer"]), row["value"]
            if first is None or end is None:
                continue
            total += 1
            if end >= first:
                rough.append(f"{row['layer']} of {net.title} ({first:.4f} before, {end:.4f} after)")
    if not rough:
        return f"After training the filters of all {total} layers are smoother than the same layer's were before."
    more = [f"{len(rough) - NAMED} more"] if len(rough) > NAMED else []
    shown = _joined([*rough[:NAMED], *more])
    return (
        f"After training the filters of {total - len(rough)} of {total} layers are smoother than the same layer's were "
        f"before; not of {shown}."
    )


def table(folder: Path | str) -> str:
    """A Markdown table: each net's last layer before and after training with intervals, and its test accuracy.

    Errors are those of `Comparison.read`.
    """
    run = Comparison.read(folder)
    level = run.study.measuring.level
    header = ["net", *(f"last layer {MOMENTS[moment]}" for moment in run.moments), "test accuracy"]
    lines = [header, ["---", *("---:" for _ in header[1:])]]
    for net in run.nets:
        cells = [_cell(last(net, moment), 3, moment in net.profiles) for moment in run.moments]
        lines.append([net.title.replace("|", "\\|"), *cells, _cell(net.accuracy("test"), 3)])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    tested = _listed({net.record["accuracy"]["test"]["n"] for net in run.nets})
    measured = _listed({profile.images for net in run.nets for profile in net.profiles.values()})
    return (
        f"{body}\n\nSensitivity (0: invariant, 1: as far as an unrelated image) on n = {measured} images, accuracy on "
        f"n = {tested}; in brackets the {level:.0%} intervals.\n"
    )


def span(low: float, high: float) -> str:
    """ "0.17–0.60", or one number where both ends read the same; a third decimal where the lower is below 0.01."""
    decimals = 3 if low < 0.01 else 2
    ends = f"{low:.{decimals}f}", f"{high:.{decimals}f}"
    return ends[0] if ends[0] == ends[1] else "–".join(ends)


def _verdict(before: Spread, after: Spread) -> str:
    if after.width >= CLEARLY * before.width:
        change = "widens" if before.width < CLEARLY * after.width else "hardly changes"
        return f"they do not come together, the spread {change}"
    if after.ratio <= CLEARLY * before.ratio:
        return "they come together"
    return (
        "they come closer in absolute terms, but not relative to their size (largest over smallest: "
        f"{before.ratio:.1f} before, {after.ratio:.1f} after)"
    )


def _cell(interval: Interval | None, decimals: int, measured: bool = True) -> str:
    if interval is None:
        return "undefined" if measured else "not measured"
    return f"{interval.estimate:.{decimals}f} {interval.brackets(f'.{decimals}f')}"


def _listed(counts: set[int]) -> str:
    return " or ".join(f"{count:,}" for count in sorted(counts))


def _count(number: int, noun: str) -> str:
    word = _WORDS[number] if number < len(_WORDS) else str(number)
    return f"{word} {noun}{'' if number == 1 else 's'}"


def _joined(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
