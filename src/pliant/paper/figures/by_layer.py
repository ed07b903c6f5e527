"""A panel of lines over the layers of a net: means over seeds, bands of two standard deviations, the paper's curves."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from pliant.paper.figures import selection, sheet
from pliant.paper.figures.averages import TOTAL_VARIATION, Average, Panel, averages, before_training, remarks
from pliant.paper.look import FAINT, RULE, Look
from pliant.paper.results import Results

_MARKED = 20  # points that each have their mark
_APART = 0.12  # of the diagonal, between the marks of more


def draw(ax: Axes, results: Results, panel: Panel) -> list[int]:
    """Draw the panel; returns the number of seeds of each of its lines, empty where nothing was run."""
    sheet.title(ax, panel.letter, panel.title, panel.subtitle)
    why = panel.cannot or selection.why_not_run(results, [line.chosen for line in panel.lines])
    if why:
        sheet.not_run(ax, why)
        return []
    found = averages(results, panel)
    if not found:
        sheet.not_run(ax, "the run's records hold no such numbers")
        return []
    if panel.initial:
        initial = before_training(results, panel)
        draw_mean(ax, initial.table, initial.look, initial.series)
    for line in found:
        draw_mean(ax, line.table, line.look, line.series, dotted=line.unfitted > 0)
        _draw_published(ax, line)
    _layer_axis(ax, found[0].layers, panel.quantity)
    said = remarks(results, panel, found)
    if said:
        sheet.remark(ax, said)
    return [int(line.table["seeds"].iloc[0]) for line in found]


def draw_mean(ax: Axes, averaged: pd.DataFrame, look: Look, series: str, dotted: bool = False) -> None:
    """A line through the means, and a band of two standard deviations to each side where there are two seeds."""
    x, mean = averaged.index.to_numpy(float), averaged["mean"].to_numpy()
    reach = 2 * averaged["deviation"].to_numpy()
    if averaged["seeds"].iloc[0] > 1:
        ax.fill_between(
            x, mean - reach, mean + reach, color=look.colour, alpha=0.15, linewidth=0, label=f"_band {series}"
        )
    ax.plot(
        x, mean, color=look.colour, marker=look.mark or "None", linestyle=":" if dotted else "-", label=series,
        zorder=3, markevery=None if len(x) <= _MARKED else _APART,
    )  # fmt: skip


def _draw_published(ax: Axes, line: Average) -> None:
    """The paper's own mean curve, thin and dashed."""
    if line.published is not None:
        ax.plot(
            line.table.index.to_numpy(float), line.published, color=line.look.colour, linestyle=(0, (4, 2)),
            linewidth=0.8, alpha=0.8, label=f"_paper {line.series}", zorder=2.5,
        )  # fmt: skip


def _layer_axis(ax: Axes, layers: Mapping[int, str], quantity: str) -> None:
    """Layer numbers along x, and where the net is downsampled: a shaded layer, or a line between two 3x3 layers."""
    block = ""
    for index, name in layers.items():
        if name.endswith(".down"):
            ax.axvspan(index - 0.5, index + 0.5, color=FAINT, linewidth=0, zorder=0)
        elif quantity == TOTAL_VARIATION:
            if block and name.partition(".")[0] != block:
                ax.axvline(index - 0.5, color=RULE, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
            block = name.partition(".")[0]
    last = max(layers)
    ax.set_xlim(-0.5, last + 0.5)
    ax.set_xticks(range(0, last + 1, 1 if last < 8 else 2 if last < 14 else 3))
