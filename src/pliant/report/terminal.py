"""A profile in the terminal: one line a layer, and where sensitivity rises most; the worst case; what was left out."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pliant.profile import Profile
from pliant.report import wording, worst
from pliant.report.left_out import LeftOut
from pliant.report.sides import Side, Sides, signed
from pliant.report.wording import rises_most
from pliant.stats import Interval

__all__ = ["rises_most", "show", "show_left_out", "show_rises", "show_sides", "show_worst"]

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_NARROWEST = 60
_LONGEST_BAR = 40


def show(profile: Profile, console: Console) -> None:
    """Print the profile: number, layer, bar, estimate and interval of each layer; and how it was measured.

    Bars share one scale, from 0 to the highest estimate. Lines fit the console, 60 columns at least. Names are printed
    as they are: brackets in them are no markup.
    """
    width = max(console.width, _NARROWEST)
    numbers = [_numbers(profile, layer) for layer in profile.layers]
    index_width, number_width = len(str(len(profile.layers) - 1)), max(map(len, numbers))
    room = width - index_width - number_width - 5
    name_width = min(max(map(len, profile.layers)), room * 2 // 3)
    bar_width = min(_LONGEST_BAR, room - name_width)
    highest = max((profile[name].estimate for name in profile.layers if name not in profile.undefined), default=0.0)
    for i, layer in enumerate(profile.layers):
        line = Text(f"{i:>{index_width}} {shorten(layer, name_width):<{name_width}}  ")
        if layer in profile.undefined:
            line.append(_cut(f"undefined: {profile.undefined[layer]}", width - len(line.plain)), "yellow")
        else:
            drawn = bar(profile[layer].estimate, highest, bar_width)
            line.append(f"{drawn:<{bar_width}}", "cyan").append(f"  {numbers[i]:>{number_width}}")
        console.print(line, no_wrap=True, overflow="crop", highlight=False)
    console.print(Text(f"{_how(profile)}; the longest bar is {highest:.3f}", "dim"), highlight=False)
    if said := wording.without_intervals(profile):
        console.print(said)


def show_rises(profiles: Sequence[Profile], console: Console) -> None:
    """Print the layer where sensitivity, or what else is held, rises most; of several, under which batch norm."""
    for profile in profiles:
        under = f"Batch norm {wording.batch_norm(profile.protocol)}: " if len(profiles) > 1 else ""
        console.print(Text(f"{under}{wording.rise(profile)}", "bold"), highlight=False)


def show_left_out(skipped: Sequence[LeftOut], console: Console) -> None:
    """Print how many images were left out, and each with its reason; nothing where there are none."""
    if skipped:
        console.print(f"Left out {len(skipped)} image{'' if len(skipped) == 1 else 's'}:")
    for one in skipped:
        console.print(Text(f"  {one.file}: {one.reason}"), soft_wrap=True, highlight=False)


def show_sides(sides: Sequence[Side], console: Console) -> None:
    """Print models side by side: every layer with its differences from the first model, what else is known, and where
    they are furthest apart. A difference whose interval does not reach 0 is bold.
    """
    found = Sides(sides)
    letters = [chr(ord("A") + place) for place in range(len(found.all))]
    for letter, side in zip(letters, found.all, strict=True):
        console.print(Text(f"{letter}: {side.title}. {side.source}"), highlight=False, soft_wrap=True)
        if side.skipped:
            console.print(Text(f"   Left out: {', '.join(one.file for one in side.skipped)}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for letter in letters:
        table.add_column(letter, justify="right")
    for letter in letters[1:]:
        table.add_column(f"{letter} - {letters[0]}", justify="right")
    for line in found.lines:
        values = [Text("undefined" if value is None else f"{value.estimate:.3f}") for value in line.values]
        table.add_row(Text(line.name), *values, *map(_difference, line.differences))
    for name, shown, differences in found.facts:
        table.add_row(Text(name), *map(_shown, shown), *map(_difference, differences))
    console.print(table, highlight=False)
    profile = found.first.profile
    console.print(Text(_how(profile), "dim"), highlight=False)
    if found.unmatched:
        console.print(Text(f"Without a counterpart: {', '.join(found.unmatched)}", "dim"), highlight=False)
    for sentence in found.sentences():
        console.print(Text(sentence, "bold"), highlight=False)


def _shown(value: Interval | str) -> Text:
    return Text(value if isinstance(value, str) else f"{value.estimate:.3f} {value.brackets()}")


def _difference(value: Interval | None) -> Text:
    if value is None:
        return Text("")
    return Text(signed(value), "bold" if value.low * value.high > 0 else "")


def show_worst(found: worst.Found, console: Console) -> None:
    """Print random and worst deformations side by side: of each layer how far they move it, and below how far they move
    the image; how it was searched; the largest factor.
    """
    table = Table(box=None, pad_edge=False)
    draws = found.worst.protocol["draws"]
    table.add_column("layer", overflow="fold")
    for title in (f"random, mean of {draws}", f"best of {draws}", "worst case"):
        table.add_column(title, no_wrap=True)
    for place, layer in enumerate(found.worst.layers):
        numbers = (_numbers(profile, layer) for profile in (found.random, found.best_of, found.worst))
        table.add_row(Text(layer), *map(Text, numbers))
        if layer not in found.worst.undefined:
            table.add_row("", *(Text(moved, "dim") for moved in worst.moved(found, place)))
    console.print(table, highlight=False)
    for layer, reason in found.worst.undefined.items():
        console.print(Text(f"{layer}: undefined: {reason}", "yellow"), highlight=False)
    console.print(Text(f"Worst case: {worst.how(found)}; there may be worse ones", "dim"), highlight=False)
    console.print(Text(worst.BOUND, "dim"), highlight=False)
    console.print(Text(worst.furthest(found), "bold"), highlight=False)


def bar(value: float, highest: float, width: int) -> str:
    """A bar of at most `width` characters, drawn to an eighth of one; a value above 0 is seen as a sliver at least."""
    eighths = round(8 * width * max(0.0, value) / highest) if highest > 0 else 0
    whole, part = divmod(min(max(eighths, int(value > 0)), 8 * width), 8)
    return _EIGHTHS[8] * whole + (_EIGHTHS[part] if part else "")


def shorten(name: str, width: int) -> str:
    """The name in at most `width` characters, its middle left out if it is longer: the ends tell layers apart."""
    if len(name) <= width:
        return name
    tail = (width - 1) * 2 // 3
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"


def _numbers(profile: Profile, layer: str) -> str:
    found = wording.defined(profile, layer)
    return "" if found is None else f"{found.estimate:.3f} {found.brackets()}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _how(profile: Profile) -> str:
    measure = f"{profile.metric} distance" if wording.is_sensitivity(profile) else f"metric {profile.metric}"
    return (
        f"{profile.scale}. {profile.images} images; "
        f"{wording.deformation(profile.protocol)}; block {profile.protocol.get('block')}; "
        f"batch norm {wording.batch_norm(profile.protocol)}; {measure}; "
        f"folds {wording.folds_of(profile)}; {profile.level:.0%} intervals"
    )
