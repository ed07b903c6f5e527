"""The figure that the paper could not draw: sensitivity and smoothness over the course of training, layer by layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pliant.paper.figures import selection, sheet
from pliant.paper.figures.averages import SENSITIVITY, TOTAL_VARIATION, Course, Line, courses
from pliant.paper.figures.by_layer import draw_mean
from pliant.paper.figures.panels import PANELS
from pliant.paper.look import FAINT, MUTED
from pliant.paper.results import Results

_HEAD = (
    "The course of training, by layer: sensitivity to deformation, and total variation of the filters over their L1 "
    "norm. Columns are blocks of the net, numbers those of the layers in figures 2 and 4; shaded: downsampling. "
    "Batch norm is calibrated at every step; open marks at step 0 are under untouched batch norm."
)
_BESIDE = 0.3


@sheet.styled
def draw(results: Results) -> Figure:
    """Sensitivity of each layer (rows above) and total variation of each 3x3 layer (below) over training steps."""
    lines = PANELS["2d"][0].lines
    choices = [line.chosen for line in lines]
    why = selection.why_not_run(results, choices)
    if why:
        return sheet.blank(why, _HEAD)
    sensitivity, variation = (courses(results, lines, quantity) for quantity in (SENSITIVITY, TOTAL_VARIATION))
    above, below = _layers(sensitivity), _layers(variation)
    columns = max(len(row) for row in (*above, *below))
    figure = sheet.sheet(1.3 + 1.32 * len(above + below))
    axes = figure.subplots(len(above) + len(below), columns, squeeze=False, sharex=True)
    seeds = _fill(axes[: len(above)], above, sensitivity, SENSITIVITY)
    seeds += _fill(axes[len(above) :], below, variation, TOTAL_VARIATION)
    for column, ax in enumerate(axes[0], 1):
        ax.set_title(f"block {column}")
    for ax in axes[-1]:
        ax.set_xlabel("training step")
    sheet.legend(figure, [line.look for line in lines], columns=5)
    remarks = selection.lacking(results, choices)
    runs = {run for chosen in choices for run in selection.planned(results, chosen)}
    words = [_HEAD, sheet.spread(seeds), sheet.origin(results, runs), f"Note: {remarks}." if remarks else ""]
    sheet.caption(figure, " ".join(word for word in words if word))
    return figure


def _layers(of_lines: Sequence[Course]) -> list[list[tuple[int, str]]]:
    """Number and name of each layer but the input, in the rows and columns of the page: a column is a block."""
    blocks: dict[str, list[tuple[int, str]]] = {}
    for index, name in of_lines[0].layers.items():
        if name != "input":
            blocks.setdefault(name.partition(".")[0], []).append((index, name))
    depth = max(len(block) for block in blocks.values())
    return [[block[row] for block in blocks.values() if row < len(block)] for row in range(depth)]


def _fill(
    axes: np.ndarray, layers: list[list[tuple[int, str]]], of_lines: Sequence[Course], quantity: str
) -> list[int]:
    high = 1 if quantity == SENSITIVITY else 0
    seeds = []
    shared = axes[0][0]
    for of_row, names in zip(axes, layers, strict=True):
        for ax, (index, name) in zip(of_row, names, strict=True):
            for of in of_lines:
                seeds.append(_draw_line(ax, of.line, _of_layer(of.measured, index), _of_layer(of.untouched, index)))
            if name.endswith(".down"):
                ax.set_facecolor(FAINT)
            ax.annotate(
                f"layer {index}" if quantity == SENSITIVITY else f"3x3 layer {index}",
                (0, high), (4, 2 - 4 * high), xycoords="axes fraction", textcoords="offset points",
                va="top" if high else "bottom", fontsize=6.2, color=MUTED,
            )  # fmt: skip
            if ax is not shared:
                ax.sharey(shared)
            ax.tick_params(labelleft=ax is of_row[0])
        of_row[0].set_ylabel("sensitivity" if quantity == SENSITIVITY else "TV / L1 norm")
    _step_axis(shared, max(int(of.measured.index.get_level_values("step").to_numpy().max()) for of in of_lines))
    shared.autoscale(axis="y")
    if quantity == SENSITIVITY:
        shared.set_ylim(bottom=0)
    return seeds


def _of_layer(averaged: pd.DataFrame, index: int) -> pd.DataFrame:
    """The rows of one layer, by step."""
    return averaged.loc[averaged.index.get_level_values(0) == index].droplevel(0)


def _draw_line(ax: Axes, line: Line, measured: pd.DataFrame, untouched: pd.DataFrame) -> int:
    draw_mean(ax, measured, line.look, line.series)
    if not untouched.empty:
        ax.plot(
            untouched.index.to_numpy(float) - _BESIDE, untouched["mean"].to_numpy(), label=f"_untouched {line.series}",
            color=line.look.colour, marker=line.look.mark, markerfacecolor="white", markersize=3.0,
            markeredgewidth=0.8, linestyle="none", zorder=4, clip_on=False,
        )  # fmt: skip
    return int(measured["seeds"].iloc[0])


def _step_axis(ax: Axes, last: int) -> None:
    """Logarithmic from step 1 on, with step 0 at the left; of all axes that share it."""
    ax.set_xscale("symlog", linthresh=1, linscale=0.5)
    ticks = [0, *(10**power for power in range(len(str(max(last, 1)))))]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / 1000:g}k" if step >= 1000 else f"{step:g}"))
    ax.set_xlim(-2 * _BESIDE, last * 1.3)
