"""What the lines of a panel are: means over seeds by layer, beside the paper's own curves; drawn elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant.paper import published
from pliant.paper.figures import selection
from pliant.paper.look import INITIAL, Look
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


@dataclass(frozen=True, eq=False)
class Average:
    """A line over the layers of a net. table: as of `over_seeds`, by layer. layers: number -> name.

    published: the paper's own mean curve, where it has one of as many layers. runs, unfitted: behind the line, and
    those of them that did not learn their task.
    """

    series: str
    look: Look
    table: pd.DataFrame
    layers: Mapping[int, str]
    runs: int
    published: Float[np.ndarray, " layers"] | None = None
    unfitted: int = 0


@dataclass(frozen=True, eq=False)
class Course:
    """A line over the course of training. layers: number -> name. measured: as of `over_seeds`, by layer and step, of
    what batch norm does not change or is calibrated for; untouched: before training, under untouched batch norm.
    """

    line: Line
    layers: Mapping[int, str]
    measured: pd.DataFrame
    untouched: pd.DataFrame


def over_seeds(rows: pd.DataFrame, along: str | list[str] = "layer_index", over: str = "run") -> pd.DataFrame:
    """Mean and standard deviation (of a sample, n - 1) over the runs, and their number: one row a layer, or whatever
    else the columns `along` tell apart.

    A value that is undefined in one run is undefined in the mean. Raises `ValueError` where a run has two values.
    """
    values = rows.pivot(index=over, columns=along, values="value")
    return pd.DataFrame(
        {"mean": values.mean(skipna=False), "deviation": values.std(skipna=False, ddof=1), "seeds": len(values)}
    )


def rows_of(results: Results, quantity: str, chosen: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a quantity whose columns have the given values, of sensitivity under the plan's own metric and
    padding: one value for each run, step, batch norm and layer.
    """
    if quantity == TOTAL_VARIATION:
        return results.total_variation(**chosen)
    measuring = results.plan.cells[0].measuring
    return results.sensitivity(**{"metric": measuring.metric, "padding": measuring.padding, **chosen})


def averages(results: Results, panel: Panel) -> list[Average]:
    """The lines of the panel that there are numbers of."""
    found = []
    for line in panel.lines:
        rows = rows_of(results, panel.quantity, {**line.chosen, **panel.at})
        if rows.empty:
            continue
        table, runs = over_seeds(rows), rows["run"].unique()
        curve = published.curve(panel.name, line.series)
        found.append(
            Average(
                line.series,
                line.look,
                table,
                _layers(rows),
                len(runs),
                curve if curve is not None and len(curve) == len(table) else None,
                sum(not results.fitted(str(run)) for run in runs),
            )
        )
    return found


def courses(results: Results, lines: Sequence[Line], quantity: str) -> list[Course]:
    """The course of those of the lines that there are numbers of."""
    found = []
    for line in lines:
        rows = rows_of(results, quantity, line.chosen)
        if rows.empty:
            continue
        tables = (
            over_seeds(rows.loc[rows["batch_norm"].isin(norms)], ["layer_index", "step"])
            for norms in (("calibrated", "none"), ("untouched",))
        )
        found.append(Course(line, _layers(rows), *tables))
    return found


def before_training(results: Results, panel: Panel) -> Average:
    """All nets of the panel as they began: the mean over the nets of a seed, then over seeds."""
    rows = pd.concat([rows_of(results, panel.quantity, {**line.chosen, "step": 0}) for line in panel.lines])
    of_seeds = rows.groupby(["seed", "layer_index"], as_index=False).agg({"value": "mean"})
    return Average("initial", INITIAL, over_seeds(of_seeds, over="seed"), _layers(rows), len(rows["run"].unique()))


def remarks(results: Results, panel: Panel, found: Sequence[Average]) -> str:
    """What a reader of the panel has to know of its runs: which are missing, and which did not learn; else empty."""
    unfitted = {line.look.title: line.unfitted for line in found if line.unfitted}
    which = f" ({', '.join(unfitted)})" if len(unfitted) <= 2 else ""
    runs = sum(line.runs for line in found)
    dotted = f"dotted: {sum(unfitted.values())} of {runs} runs did not learn their task{which}" if unfitted else ""
    return "; ".join(filter(None, (selection.lacking(results, [line.chosen for line in panel.lines]), dotted)))


def _layers(rows: pd.DataFrame) -> dict[int, str]:
    named = rows.drop_duplicates("layer_index").sort_values("layer_index")
    return {int(i): str(name) for i, name in zip(named["layer_index"], named["layer"], strict=True)}
