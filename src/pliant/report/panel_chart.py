"""A panel of the study's figures as an interactive chart: the same lines, to be pointed at."""

from math import isnan
from typing import TYPE_CHECKING, Any

from pliant.paper import published
from pliant.paper.figures.by_layer import SENSITIVITY, Panel, over_seeds, rows_of
from pliant.paper.results import Results
from pliant.report.sheet import by_layer

if TYPE_CHECKING:
    import altair as alt


def chart(results: Results, panel: Panel) -> "alt.LayerChart | None":
    """Means over seeds with bands of two standard deviations, and the paper's own curves dashed; None without runs."""
    import altair as alt

    rows, labels = _rows(results, panel)
    if not rows:
        return None
    looks = {line.look.title: line.look for line in panel.lines}
    names = [name for name in looks if any(row["line"] == name for row in rows)]
    scale = alt.Scale(domain=names, range=[looks[name].colour for name in names])
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=140, symbolOpacity=1, symbolType="stroke")
    pick = alt.selection_point(fields=["line"], bind="legend")
    base = alt.Chart(alt.Data(values=rows)).encode(
        color=alt.Color("line:N", scale=scale, legend=legend),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.08)),
    )
    x = by_layer(labels, "layer" if panel.quantity == SENSITIVITY else "3x3 layer")
    scale_y = alt.Scale(domainMin=0) if panel.quantity == SENSITIVITY else alt.Scale(zero=False)
    y = alt.Y("mean:Q", title=panel.quantity, scale=scale_y)
    band = base.mark_area().encode(
        x=x, y=alt.Y("low:Q", title=panel.quantity), y2="high:Q",
        opacity=alt.condition(pick, alt.value(0.15), alt.value(0.02)),
    )  # fmt: skip
    paper = base.mark_line(strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=alt.Y("paper:Q", title=panel.quantity))
    line = base.mark_line(strokeWidth=2, strokeJoin="round").encode(x=x, y=y)
    touch = base.mark_point(filled=True, size=60).encode(
        x=x, y=y, tooltip=["line:N", "layer:N", "shown:N", "published:N"]
    )
    layers: Any = alt.layer(band, paper, line, touch.add_params(pick))
    return layers.properties(width="container", height=280)


def _rows(results: Results, panel: Panel) -> tuple[list[dict[str, Any]], list[str]]:
    """One row for each line and layer, and what stands under the ticks."""
    rows: list[dict[str, Any]] = []
    names: dict[int, str] = {}
    for line in panel.lines:
        found = rows_of(results, panel.quantity, {**line.chosen, **panel.at})
        if found.empty:
            continue
        names |= dict(zip(found["layer_index"].tolist(), found["layer"].tolist(), strict=True))
        averaged = over_seeds(found)
        curve = published.curve(panel.name, line.series)
        drawn = curve if curve is not None and len(curve) == len(averaged) else None
        columns = (averaged[name].to_numpy(float).tolist() for name in ("mean", "deviation"))
        for place, (index, mean, deviation) in enumerate(zip(averaged.index.tolist(), *columns, strict=True)):
            if isnan(mean):
                continue
            spread = 0.0 if isnan(deviation) else 2 * deviation
            rows.append(
                {
                    "line": line.look.title,
                    "index": index,
                    "layer": names[index],
                    "mean": mean,
                    "low": mean - spread,
                    "high": mean + spread,
                    "shown": _shown(mean, deviation, int(averaged["seeds"].iloc[0])),
                    "paper": None if drawn is None else float(drawn[place]),
                    "published": "" if drawn is None else f"{drawn[place]:.3f} in the paper",
                }
            )
    return rows, ["↓" if names[i].endswith(".down") else "in" if names[i] == "input" else str(i) for i in sorted(names)]


def _shown(mean: float, deviation: float, seeds: int) -> str:
    return f"{mean:.3f}, one seed" if isnan(deviation) else f"{mean:.3f} ± {2 * deviation:.3f} (2 SD, {seeds} seeds)"
