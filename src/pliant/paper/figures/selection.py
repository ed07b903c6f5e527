"""Which runs a line stands for, and why some of them are not there."""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pliant.paper.results import Results
from pliant.plan import Cell

_COLUMNS: dict[str, Callable[[Cell], Any]] = {
    "task": lambda cell: cell.task.kind,
    "reach": lambda cell: cell.task.reach,
    "family": lambda cell: cell.net.family,
    "downsampling": lambda cell: cell.net.downsampling,
    "sigma": lambda cell: cell.net.sigma,
    "choice": lambda cell: cell.choice,
    "trained": lambda cell: cell.training is not None,
}
"""Columns of the table of `Results` that a cell alone decides."""


def planned(results: Results, chosen: Mapping[str, Any]) -> list[str]:
    """The runs of the plan whose columns have the chosen values, done or not."""
    return [
        cell.name
        for cell in results.plan.cells
        if all(_COLUMNS[column](cell) == value for column, value in chosen.items())
    ]


def why_not_run(results: Results, choices: Iterable[Mapping[str, Any]]) -> str:
    """Why there is nothing to draw, in words; empty if one of the chosen runs is done."""
    runs = [run for chosen in choices for run in planned(results, chosen)]
    if not runs:
        return "the plan has no nets for it"
    return "" if any(run in results.records for run in runs) else _lacking(results, runs)


def lacking(results: Results, choices: Iterable[Mapping[str, Any]]) -> str:
    """Which of the chosen runs are not done, in words; empty if all are."""
    return _lacking(results, [run for chosen in choices for run in planned(results, chosen)])


def _lacking(results: Results, runs: list[str]) -> str:
    failed = [run for run in runs if run in results.failed]
    open_runs = len([run for run in runs if run not in results.failed and run not in results.records])
    words = []
    if failed:
        error = textwrap.shorten(results.failed[failed[0]], 90, placeholder=" …")
        words.append(f"{len(failed)} of {len(runs)} runs failed ({error})")
    if open_runs:
        words.append(f"{open_runs} of {len(runs)} runs are not done yet")
    return "; ".join(words)
