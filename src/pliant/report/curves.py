"""The charts of a run as Altair specifications: sensitivity, filter smoothness and accuracy, one line a net."""

import math
from typing import TYPE_CHECKING, Any

from pliant.report import palette
from pliant.report.nets import Comparison, Net
from pliant.report.profile_curve import by_profile
from pliant.report.sheet import Look, Sheet, by_layer, told

if TYPE_CHECKING:
    import altair as alt


def sensitivity(run: Comparison, moment: tuple[str, str], look: Look) -> "alt.LayerChart":
    """Sensitivity by layer at that moment: a line and a band (its interval) for each net.

    The vertical axis is the same for all moments of the run. Undefined layers break the line and are marked at the top.
    """
    import altair as alt

    measured = [net for net in run.nets if moment in net.profiles]
    layers = next((net.profiles[moment].layers for net in measured), ())
    rows = [{"net": net.title, **row} for net in measured for row in by_profile(net.profiles[moment])]
    sheet = Sheet(run.nets, look)
    base = sheet.base()
    x = by_layer([_short(i, name) for i, name in enumerate(layers)], "layer")
    y = alt.Y("estimate:Q", title="sensitivity", scale=alt.Scale(domain=[0, top(run)], nice=False))
    stripes = [{"index": i - 0.5, "right": i + 0.5} for i, name in enumerate(layers) if _downsamples(name)]
    downsampling = alt.Chart(alt.Data(values=stripes)).mark_rect(color=palette.FAINT, opacity=0.6)
    band = base.mark_area(opacity=0.16).encode(x=x, y=alt.Y("low:Q", title="sensitivity"), y2=alt.Y2("high:Q"))
    undefined = (
        base.transform_filter("isValid(datum.undefined)")
        .mark_text(text="✕", fontSize=11, fontWeight=700)
        .encode(x=x, y=alt.YValue(6), tooltip=told("layer", "net", "undefined"))
    )
    lines = sheet.lines(base, x, y, told("layer", "net", "sensitivity", "interval", "images"))
    return sheet.together([downsampling.encode(x=x, x2=alt.X2("right:Q")), band, *lines, undefined], rows)


def smoothness(run: Comparison, look: Look) -> "alt.LayerChart":
    """Normalised total variation of each 3x3 layer after training; dashed, what the same layer began with."""
    import altair as alt

    names = [row["layer"].removesuffix(".conv") for row in run.nets[0].smoothness("trained")]
    sheet = Sheet(run.nets, look)
    base = sheet.base()
    x = by_layer([_short(i + 1, name) for i, name in enumerate(names)], "3x3 layer")
    y = alt.Y("value:Q", title="normalised total variation", scale=alt.Scale(zero=False, padding=8))
    start = base.mark_line(strokeDash=[4, 3], strokeWidth=1.5, opacity=0.7)
    lines = sheet.lines(base, x, y, told("layer", "net", "after training", "before training", "filters"))
    start = start.encode(
        x=x,
        y=alt.Y("initial:Q", title="normalised total variation"),
        color=alt.ColorValue(palette.MUTED),
        detail=alt.Detail("net:N"),
    )
    return sheet.together([start, *lines], [row for net in run.nets for row in _variations(net)])


def training(run: Comparison, look: Look) -> "alt.LayerChart":
    """Accuracy on the training images, as they were learnt from, by epoch."""
    import altair as alt

    sheet = Sheet(run.nets, look)
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=_epochs(run), format="d"), scale=alt.Scale(nice=False))
    y = alt.Y("accuracy:Q", title="training accuracy", scale=alt.Scale(zero=False, padding=6))
    lines = sheet.lines(sheet.base(), x, y, told("net", "epoch", "training accuracy", "loss"))
    return sheet.together(lines, [_epoch(net, step) for net in run.nets for step in net.record["history"]])


def top(run: Comparison) -> float:
    """The end of the shared sensitivity axis: just above the highest interval of all moments, a multiple of 0.1."""
    profiles = [profile for net in run.nets for profile in net.profiles.values()]
    highs = [float(high) for profile in profiles for high in profile.high if math.isfinite(high)]
    return max(1, math.ceil(max(highs, default=1.0) * 10)) / 10


def _variations(net: Net) -> list[dict[str, Any]]:
    start = {row["layer"]: row["value"] for row in net.smoothness("initial")}
    rows = []
    for index, end in enumerate(net.smoothness("trained")):
        row = {"net": net.title, "index": index, "layer": end["layer"], "filters": end["filters"]}
        row |= {"value": end["value"], "initial": start.get(end["layer"])}
        row |= {"after training": _number(row["value"]), "before training": _number(row["initial"])}
        rows.append(row)
    return rows


def _epoch(net: Net, step: dict[str, Any]) -> dict[str, Any]:
    shown = {"training accuracy": _number(step["accuracy"]), "loss": _number(step["loss"])}
    return {"net": net.title, "epoch": step["epoch"], "accuracy": step["accuracy"], **shown}


def _epochs(run: Comparison) -> list[int]:
    """Up to nine whole epochs to stand under the axis, the last among them: Vega's own ticks repeat themselves."""
    epochs = sorted({step["epoch"] for net in run.nets for step in net.record["history"]})
    return epochs[:: -max(1, math.ceil(len(epochs) / 9))][::-1]


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _short(index: int, name: str) -> str:
    """What fits under a tick: "in" for the input, "2.1" for block2.layer1, "↓" for downsampling, else the number."""
    block, _, part = name.partition(".")
    if _downsamples(name):
        return "↓"
    if block.startswith("block") and part.startswith("layer"):
        return f"{block.removeprefix('block')}.{part.removeprefix('layer')}"
    return "in" if name == "input" else str(index)


def _downsamples(layer: str) -> bool:
    """Whether the layer of one of the study's nets is a downsampling layer, as `nets` names them."""
    return layer.endswith(".down")
