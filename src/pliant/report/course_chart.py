"""The course of training as interactive charts: the layer is chosen from a menu, which true and random labels share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

from pliant.paper.figures.averages import SENSITIVITY, TOTAL_VARIATION, Course, averages, courses, remarks
from pliant.paper.figures.panels import PANELS
from pliant.paper.look import Look
from pliant.paper.results import Results
from pliant.report.panel_chart import by_line, said
from pliant.report.sheet import told

if TYPE_CHECKING:
    import altair as alt

_TRAININGS = (PANELS["2d"][0], PANELS["5b"][0])
_HEADINGS = {SENSITIVITY: "Sensitivity", TOTAL_VARIATION: "Total variation of the filters"}
_BESIDE = 0.15  # of a step, between the marks under two protocols of batch norm
_EACH = "format(datum.value, '~s')"  # as the axis's format, all would be in the unit of the largest: 0k, 0k, 1k
# Filled, with a hole: among filled marks one that is not would keep Vega-Lite's legend from being clicked.
_RING = "M1,0A1,1,0,1,0,-1,0A1,1,0,1,0,1,0ZM0.6,0A0.6,0.6,0,1,1,-0.6,0A0.6,0.6,0,1,1,0.6,0Z"


@dataclass(frozen=True, eq=False)
class Trained:
    """The nets that were trained in one way: the chart with its anchor, and what to know of its runs."""

    anchor: str
    title: str
    chart: "alt.LayerChart"
    remark: str


@dataclass(frozen=True, eq=False)
class CourseSheet:
    """The charts of one quantity, and the anchor of the menu that chooses their layer. layers: number -> name."""

    heading: str
    menu: str
    layers: Mapping[int, str]
    trainings: tuple[Trained, ...]


def sheets(results: Results) -> list[CourseSheet]:
    """The course of sensitivity, and that of total variation, under true and random labels, as far as they were run."""
    return [sheet for quantity in _HEADINGS if (sheet := _sheet(results, quantity)) is not None]


def _sheet(results: Results, quantity: str) -> CourseSheet | None:
    found = [(panel, of) for panel in _TRAININGS if (of := courses(results, panel.lines, quantity))]
    if not found:
        return None
    every = [course for _, of in found for course in of]
    layers = {index: name for index, name in every[0].layers.items() if name != "input"}
    rows = [[row for course in of for row in _rows(course)] for _, of in found]
    if not any(rows):
        return None
    menu = f"layer-of-{'sensitivity' if quantity == SENSITIVITY else 'variation'}"
    chosen, axes = _chosen(menu, list(layers.values())), _axes(quantity, [row for part in rows for row in part])
    trainings = []
    for (panel, of), part in zip(found, rows, strict=True):
        ends = averages(results, panel)
        dotted = [line.look.title for line in ends if line.unfitted]
        drawn = _chart([course.line.look for course in of], part, dotted, chosen, axes)
        anchor = f"chart-course-{menu}-{panel.subtitle.replace(' ', '-')}"
        trainings.append(Trained(anchor, panel.subtitle, drawn, remarks(results, panel, ends)))
    return CourseSheet(_HEADINGS[quantity], menu, layers, tuple(trainings))


def _chart(
    looks: Sequence[Look],
    rows: list[dict[str, Any]],
    dotted: list[str],
    chosen: "alt.Parameter",
    axes: tuple["alt.X", "alt.Y"],
) -> "alt.LayerChart":
    """A line a net through the means over seeds of the chosen layer, a band of two standard deviations, and open marks
    under untouched batch norm; `dotted`: the names of nets that did not learn their task.
    """
    import altair as alt

    x, y = axes
    base, pick = by_line(looks, rows)
    faded = alt.condition(pick, alt.value(0.15), alt.value(0.02))
    calibrated = base.transform_filter("!datum.untouched")
    band = calibrated.mark_area().encode(x=x, y=alt.Y("low:Q", title=y["title"]), y2=alt.Y2("high:Q"), opacity=faded)
    line = calibrated.mark_line(strokeWidth=2, strokeJoin="round").encode(
        x=x,
        y=y,
        strokeDash=alt.condition(
            f"indexof({json.dumps(dotted)}, datum.line) >= 0", alt.value([1, 3]), alt.value([1, 0])
        ),
    )
    points = calibrated.mark_point(filled=True, size=22).encode(x=x, y=y)
    untouched = base.transform_filter("datum.untouched").mark_point(filled=True, size=50, shape=_RING).encode(x=x, y=y)
    touch = base.mark_point(filled=True, size=160).encode(
        x=x, y=y, opacity=alt.value(0), tooltip=told("line", "layer", "step", "shown")
    )
    layers: Any = alt.layer(band, line, points, untouched, touch.add_params(pick))
    layers = layers.transform_filter(f"datum.layer == {chosen.name}").transform_calculate(
        at=f"datum.untouched ? datum.step - {_BESIDE} : datum.step",
        low="datum.mean - datum.spread",
        high="datum.mean + datum.spread",
    )
    return layers.add_params(chosen).properties(width="container", height=280)


def _rows(course: Course) -> list[dict[str, Any]]:
    """One row for each layer but the input and each step, numbers to five decimals; without what is undefined."""
    rows: list[dict[str, Any]] = []
    for table, untouched in ((course.measured, False), (course.untouched, True)):
        for (index, step), mean, deviation, seeds in table.itertuples(name=None):
            if isnan(mean) or course.layers[index] == "input":
                continue
            spread = 0.0 if isnan(deviation) else round(2 * deviation, 5)
            row = {"line": course.line.look.title, "layer": course.layers[index], "step": int(step)}
            row |= {"mean": round(mean, 5), "spread": spread, "shown": said(mean, deviation, int(seeds))}
            if untouched:
                row |= {"untouched": True, "shown": f"{row['shown']}, batch norm untouched"}
            rows.append(row)
    return rows


def _chosen(menu: str, layers: list[str]) -> "alt.Parameter":
    """The layer that the menu says; the last when the page opens."""
    import altair as alt

    return alt.param(name="chosen", value=layers[-1], bind=alt.BindDirect(element=f"#{menu}", event="change"))


def _axes(quantity: str, rows: list[dict[str, Any]]) -> tuple["alt.X", "alt.Y"]:
    """Steps, logarithmic save near 0; and values, on one scale for all layers and nets."""
    import altair as alt

    last = max(row["step"] for row in rows)
    ticks = [0, *(10**power for power in range(len(str(last))))]
    steps = alt.Scale(type="symlog", constant=0.5, domain=[-2 * _BESIDE, 1.3 * last], nice=False)
    x = alt.X("at:Q", title="training step", axis=alt.Axis(values=ticks, labelExpr=_EACH), scale=steps)
    low = 0.0 if quantity == SENSITIVITY else min(row["mean"] - row["spread"] for row in rows)
    values = alt.Scale(domain=[low, max(row["mean"] + row["spread"] for row in rows)], zero=False)
    return x, alt.Y("mean:Q", title=quantity, scale=values)
