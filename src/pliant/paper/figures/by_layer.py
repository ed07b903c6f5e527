"""A panel of lines over the layers of a net: means over seeds, bands of two standard deviations, the paper's curves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from pliant.paper import published
from pliant.paper.figures import selection, sheet
from pliant.paper.look import FAINT, INITIAL, RULE, Look
from pliant.paper.results import Results

SENSITIVITY = "sensitivity"
TOTAL_VARIATION = "total variation / L1 norm"


@dataclass(frozen=True)
class Line:
    """One line of a panel. series: its name in the paper's own curves; chosen: the columns of its cells."""

    series: str
    look: Look
    chosen: Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """One panel of a figure.

    name: the figure's and the panel's, as "2a". letter: as printed. quantity: `SENSITIVITY` or
    `TOTAL_VARIATION`. at: the columns of the rows that are drawn, such as the step and the batch norm.
    initial: draw the values before training in grey too. cannot: why it is never run, of a panel that is not.
    """

    name: str
    letter: str
    title: str
    subtitle: str
    quantity: str
    lines: tuple[Line, ...] = ()
    at: Mapping[str, Any] = field(default_factory=dict)
    initial: bool = False
    cannot: str = ""


def over_seeds(rows: pd.DataFrame, along: str = "layer_index", over: str = "run") -> pd.DataFrame:
    """Mean and standard deviation (of a sample, n - 1) over the runs, and their number: one row a layer or step.

    A value that is undefined in one run is undefined in the mean. Raises `ValueError` where a run has two values.
    """
    values = rows.pivot(index=over, columns=along, values="value")
    return pd.DataFrame(
        {"mean": values.mean(skipna=False), "deviation": values.std(skipna=False, ddof=1), "seeds": len(values)}
    )


def draw(ax: Axes, results: Results, panel: Panel) -> list[int]:
    """Draw the panel; returns the number of seeds of each of its lines, empty where nothing was run."""
    sheet.title(ax, panel.letter, panel.title, panel.subtitle)
    why = panel.cannot or selection.why_not_run(results, [line.chosen for line in panel.lines])
    if why:
        sheet.not_run(ax, why)
        return []
    found = [(line, rows_of(results, panel.quantity, {**line.chosen, **panel.at})) for line in panel.lines]
    found = [(line, rows) for line, rows in found if not rows.empty]
    if not found:
        sheet.not_run(ax, "the run's records hold no such numbers")
        return []
    if panel.initial:
        draw_initial(ax, results, panel)
    seeds, unfitted = [], {}
    for line, rows in found:
        averaged = over_seeds(rows)
        missed = [run for run in rows["run"].unique() if not results.fitted(str(run))]
        if missed:
            unfitted[line.look.title] = len(missed)
        draw_mean(ax, averaged, line.look, line.series, dotted=bool(missed))
        draw_published(ax, averaged, line, panel.name)
        seeds.append(int(averaged["seeds"].iloc[0]))
    layer_axis(ax, found[0][1])
    lacking = selection.lacking(results, [line.chosen for line in panel.lines])
    remarks = [lacking, _not_fitted(unfitted, sum(seeds))]
    if any(remarks):
        sheet.remark(ax, "; ".join(filter(None, remarks)))
    return seeds


def _not_fitted(unfitted: Mapping[str, int], runs: int) -> str:
    if not unfitted:
        return ""
    which = f" ({', '.join(unfitted)})" if len(unfitted) <= 2 else ""
    return f"dotted: {sum(unfitted.values())} of {runs} runs did not learn their task{which}"


def rows_of(results: Results, quantity: str, chosen: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a quantity whose columns have the given values, of sensitivity under the plan's own metric and
    padding: one value for each run, step, batch norm and layer.
    """
    if quantity == TOTAL_VARIATION:
        return results.total_variation(**chosen)
    measuring = results.plan.cells[0].measuring
    return results.sensitivity(**{"metric": measuring.metric, "padding": measuring.padding, **chosen})


def draw_mean(ax: Axes, averaged: pd.DataFrame, look: Look, series: str, dotted: bool = False) -> None:
    """A line through the means, and a band of two standard deviations to each side where there are two seeds."""
    x, mean = averaged.index.to_numpy(float), averaged["mean"].to_numpy()
    reach = 2 * averaged["deviation"].to_numpy()
    if averaged["seeds"].iloc[0] > 1:
        ax.fill_between(
            x, mean - reach, mean + reach, color=look.colour, alpha=0.15, linewidth=0, label=f"_band {series}"
        )
    ax.plot(
        x, mean, color=look.colour, marker=look.mark or "None", linestyle=":" if dotted else "-", label=series, zorder=3
    )


def draw_published(ax: Axes, averaged: pd.DataFrame, line: Line, figure: str) -> None:
    """The paper's own mean curve, thin and dashed, where it has one of as many layers."""
    curve = published.curve(figure, line.series)
    if curve is not None and len(curve) == len(averaged):
        ax.plot(
            averaged.index.to_numpy(float), curve, color=line.look.colour, linestyle=(0, (4, 2)), linewidth=0.8,
            alpha=0.8, label=f"_paper {line.series}", zorder=2.5,
        )  # fmt: skip


def draw_initial(ax: Axes, results: Results, panel: Panel) -> None:
    """The values before training of all nets of the panel: the mean over the nets of a seed, then over seeds."""
    rows = pd.concat([rows_of(results, panel.quantity, {**line.chosen, "step": 0}) for line in panel.lines])
    of_seeds = rows.groupby(["seed", "layer_index"], as_index=False).agg({"value": "mean"})
    draw_mean(ax, over_seeds(of_seeds, over="seed"), INITIAL, "initial")


def layer_axis(ax: Axes, rows: pd.DataFrame) -> None:
    """Layer numbers along x, and where the net is downsampled: a shaded layer, or a line between two 3x3 layers."""
    names = rows.drop_duplicates("layer_index").set_index("layer_index")["layer"].sort_index()
    layers = [(int(str(index)), str(name)) for index, name in names.items()]
    block = ""
    for index, name in layers:
        if name.endswith(".down"):
            ax.axvspan(index - 0.5, index + 0.5, color=FAINT, linewidth=0, zorder=0)
        elif rows["metric"].iloc[0] == "total_variation":
            if block and name.partition(".")[0] != block:
                ax.axvline(index - 0.5, color=RULE, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
            block = name.partition(".")[0]
    last = layers[-1][0]
    ax.set_xlim(-0.5, last + 0.5)
    ax.set_xticks(range(0, last + 1, 1 if last < 8 else 2 if last < 14 else 3))
