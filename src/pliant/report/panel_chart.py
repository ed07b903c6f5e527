"""A panel of the study's figures as an interactive chart: the same lines, to be pointed at."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from pliant.paper.figures.averages import SENSITIVITY, Average, Panel, before_training
from pliant.paper.look import Look
from pliant.paper.results import Results
from pliant.report.sheet import by_layer, told

if TYPE_CHECKING:
    import altair as alt


def chart(results: Results, panel: Panel, found: Sequence[Average]) -> "alt.LayerChart":
    """Means over seeds with bands of two standard deviations, and the paper's own curves dashed; `found`: the averages
    of the panel, one at least.

    Dotted, as in print: nets that did not learn their task. Grey: all nets before training, where the panel has them.
    """
    import altair as alt

    shown = [*found, *([before_training(results, panel)] if panel.initial else [])]
    base, pick = by_line([line.look for line in shown], _rows(shown))
    x = by_layer(_ticks(found[0].layers), "layer" if panel.quantity == SENSITIVITY else "3x3 layer")
    scale_y = alt.Scale(domainMin=0) if panel.quantity == SENSITIVITY else alt.Scale(zero=False)
    y = alt.Y("mean:Q", title=panel.quantity, scale=scale_y)
    band = base.mark_area(clip=True).encode(
        x=x, y=alt.Y("low:Q", title=panel.quantity), y2=alt.Y2("high:Q"),
        opacity=alt.condition(pick, alt.value(0.15), alt.value(0.02)),
    )  # fmt: skip
    paper = base.mark_line(strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=alt.Y("paper:Q", title=panel.quantity))
    line = base.mark_line(strokeWidth=2, strokeJoin="round").encode(
        x=x, y=y, strokeDash=alt.condition("datum.unfitted > 0", alt.value([1, 3]), alt.value([1, 0]))
    )
    touch = base.mark_point(filled=True, size=60).encode(x=x, y=y, tooltip=told("line", "layer", "shown", "published"))
    layers: Any = alt.layer(band, paper, line, touch.add_params(pick))
    return layers.properties(width="container", height=280)


def by_line(looks: Sequence[Look], rows: list[dict[str, Any]]) -> tuple["alt.Chart", "alt.Parameter"]:
    """What every layer of a chart begins with: the rows in the colour of their `line`; and the names that are picked in
    the legend, which fades the others.
    """
    import altair as alt

    scale = alt.Scale(domain=[look.title for look in looks], range=[look.colour for look in looks])
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=140, symbolOpacity=1, symbolType="stroke")
    pick = alt.selection_point(fields=["line"], bind="legend")
    base = alt.Chart(alt.Data(values=rows)).encode(
        color=alt.Color("line:N", scale=scale, legend=legend),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.08)),
    )
    return base, pick


def said(mean: float, deviation: float, seeds: int) -> str:
    """A mean with two standard deviations over the seeds, as a tooltip says it."""
    return f"{mean:.3f}, one seed" if isnan(deviation) else f"{mean:.3f} ± {2 * deviation:.3f} (2 SD, {seeds} seeds)"


def _rows(shown: Sequence[Average]) -> list[dict[str, Any]]:
    """One row for each line and layer; a layer that is undefined in one of the runs is left out."""
    rows: list[dict[str, Any]] = []
    for line in shown:
        columns = (line.table[name].to_numpy(float).tolist() for name in ("mean", "deviation"))
        for place, (index, mean, deviation) in enumerate(zip(line.table.index.tolist(), *columns, strict=True)):
            if isnan(mean):
                continue
            spread = 0.0 if isnan(deviation) else 2 * deviation
            paper = None if line.published is None else float(line.published[place])
            rows.append(
                {
                    "line": line.look.title,
                    "index": index,
                    "layer": line.layers[index],
                    "mean": mean,
                    "low": mean - spread,
                    "high": mean + spread,
                    "shown": said(mean, deviation, int(line.table["seeds"].iloc[0])),
                    "paper": paper,
                    "published": "" if paper is None else f"{paper:.3f} in the paper",
                    "unfitted": line.unfitted,
                }
            )
    return rows


def _ticks(layers: Mapping[int, str]) -> list[str]:
    """What stands under the ticks: "in" for the input, "↓" for downsampling, else the number."""
    return ["↓" if name.endswith(".down") else "in" if name == "input" else str(i) for i, name in layers.items()]
