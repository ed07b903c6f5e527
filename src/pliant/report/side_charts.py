"""The charts of models side by side as Altair specifications: each by layer, and how far from the first model."""

from typing import TYPE_CHECKING, Any

from pliant.report import palette
from pliant.report.profile_curve import by_profile, ends
from pliant.report.sheet import Look, Sheet, by_layer, told
from pliant.report.sides import Sides, signed

if TYPE_CHECKING:
    import altair as alt


def curves(sides: Sides, look: Look) -> "alt.LayerChart":
    """A line and a band (its interval) for each model, over the layers that they share."""
    import altair as alt

    quantity = sides.first.profile.quantity
    rows: list[dict[str, Any]] = []
    for place, side in enumerate(sides.all):
        by_name = {row["layer"]: row for row in by_profile(side.profile)}
        rows += [
            {**by_name[line.names[place]], "net": side.title, "index": index} for index, line in enumerate(sides.lines)
        ]
    sheet = Sheet(sides.all, look)
    base = sheet.base()
    x = by_layer(_ticks(sides), "layer")
    y = alt.Y("estimate:Q", title=quantity, scale=alt.Scale(zero=True))
    band = base.mark_area(opacity=0.16).encode(x=x, y=alt.Y("low:Q", title=quantity), y2=alt.Y2("high:Q"))
    lines = sheet.lines(base, x, y, told("layer", "net", quantity, "interval", "images"))
    return sheet.together([band, *lines], rows)


def differences(sides: Sides, look: Look) -> "alt.LayerChart":
    """Of each other model, less the first: a point with its interval at each layer, about the line of no difference."""
    import altair as alt

    title = f"less {sides.first.title}"
    rows = [
        {
            "net": side.title,
            "index": index + 0.12 * (number - (len(sides.others) - 1) / 2),  # beside each other
            "layer": line.name,
            "estimate": found.estimate,
            **ends(found),
            "difference": signed(found),
        }
        for index, line in enumerate(sides.lines)
        for number, side in enumerate(sides.others)
        if (found := line.differences[number]) is not None
    ]
    sheet = Sheet(sides.all, look)
    base = sheet.base()
    x = by_layer(_ticks(sides), "layer")
    y = alt.Y("estimate:Q", title=title)
    nothing = alt.Chart(alt.Data(values=[{"nothing": 0}])).mark_rule(color=palette.MUTED).encode(y=alt.Y("nothing:Q"))
    rules = base.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q", title=title), y2=alt.Y2("high:Q"))
    points = sheet.lines(base, x, y, told("layer", "net", "difference"))[1:]
    return sheet.together([nothing, rules, *points], rows)


def _ticks(sides: Sides) -> list[str]:
    """Numbers, for names are long and may differ; the table has them."""
    return ["in" if line.name == "input" else str(index) for index, line in enumerate(sides.lines)]
