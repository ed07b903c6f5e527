"""A run of the study's plan with made-up nets whose truth is known: nothing is trained to test claims and figures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pliant import records
from pliant.paper.plans import FIGURES, ruderman2018
from pliant.paper.results import Results, _described
from pliant.plan import Cell, Plan
from pliant.run.rows import COLUMNS, write_cell

STEPS = (0, 1, 10, 100)
IMAGES = 0.07  # half the width of the interval over images, as a share of the value
LAYERS = {"cifar": (2, 2, 2, 2), "imagenet": (2, 2, 3, 3, 3)}


class Moment(NamedTuple):
    """What a made-up number belongs to. `depth` runs from 0 (the input, or the first 3x3 layer) to 1 (the last)."""

    cell: Cell
    progress: float  # 0 before training, 1 after it
    batch_norm: str
    metric: str
    padding: str
    depth: float
    noise: float  # standard normal, its own for each cell and step


Truth = Callable[[Moment], float]


def layers(cell: Cell) -> tuple[str, ...]:
    parts = [
        f"block{b}.{part}"
        for b, count in enumerate(LAYERS[cell.net.family], 1)
        for part in (*(f"layer{i}" for i in range(1, count + 1)), "down")
    ]
    return ("input", *parts)


def plan(seeds: int = 3, figures: tuple[str, ...] = FIGURES) -> Plan:
    return ruderman2018("digits", "small", figures, seeds)


def write(
    folder: Path,
    sensitivity: Truth,
    variation: Truth,
    of: Plan | None = None,
    fitted: Callable[[Cell], bool] = lambda cell: True,
) -> Path:
    """The folder of a run in which every cell gives the numbers of `sensitivity` and `variation`, not yet gathered."""
    of = of or plan()
    records.write_json(folder / "plan.json", of.to_json())
    for number, cell in enumerate(of.cells):
        write_cell(
            folder / cell.name,
            cell,
            numbers(cell, number, sensitivity, variation),
            steps=_steps(cell)[-1],
            accuracy={"train": 0.9, "test": 0.9} if cell.training else {},
            fitted=fitted(cell),
            history=[],
            precision="fp32",
            seconds=1.0,
        )
    return folder


def results(
    sensitivity: Truth,
    variation: Truth,
    of: Plan | None = None,
    fitted: Callable[[Cell], bool] = lambda cell: True,
    folder: Path = Path("made-up"),
) -> Results:
    """What `Results.read` finds in the folder that `write` writes, of the records what claims and figures ask for."""
    of = of or plan()
    numbered = sorted(enumerate(of.cells), key=lambda found: found[1].name)
    done: dict[str, dict[str, Any]] = {
        cell.name: {"steps": _steps(cell)[-1], "fitted": fitted(cell)} for _, cell in numbered
    }
    rows = [row for number, cell in numbered for row in _rows(number, cell, sensitivity, variation)]
    table = _described(_table(rows), {cell.name: cell for _, cell in numbered}, done)
    return Results(folder, of, done, {}, (), table)


def numbers(cell: Cell, number: int, sensitivity: Truth, variation: Truth) -> pd.DataFrame:
    """The table of a cell, the noise of its steps being that of `number`."""
    return _table(_rows(number, cell, sensitivity, variation))


def _table(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _steps(cell: Cell) -> tuple[int, ...]:
    return STEPS if cell.training else STEPS[:1]


def _rows(number: int, cell: Cell, sensitivity: Truth, variation: Truth) -> Iterator[tuple[Any, ...]]:
    """The rows of the cell of that number in its plan, as `COLUMNS` has them."""
    noise = np.random.default_rng([number, 7]).normal(size=len(STEPS)).tolist()
    for i, step in enumerate(_steps(cell)):
        for row in _of_step(cell, step, noise[i], sensitivity, variation):
            yield cell.name, *row


def _of_step(cell: Cell, step: int, noise: float, sensitivity: Truth, variation: Truth) -> Iterator[tuple[Any, ...]]:
    ends = (0, STEPS[-1])
    reference = ("cosine", "zeros")
    every = [(m, p) for m in cell.metrics for p in cell.paddings]
    norms = ("as_is", "calibrated") if step else ("untouched", "calibrated")
    measured = [(norm, *of) for of in every for norm in norms] if step in ends else []
    if step not in ends:
        measured.append(("calibrated", *reference))
    names = layers(cell)
    progress = float(np.log1p(step) / np.log1p(STEPS[-1]))
    for batch_norm, metric, padding in measured:
        whole = step in ends and (metric, padding) == reference and (batch_norm != "calibrated" or not step)
        for i, name in enumerate(names):
            value = sensitivity(Moment(cell, progress, batch_norm, metric, padding, i / (len(names) - 1), noise))
            yield step, batch_norm, padding, i, name, metric, "sensitivity", 0, value
            if whole:
                yield step, batch_norm, padding, i, name, metric, "low", 0, (1 - IMAGES) * value
                yield step, batch_norm, padding, i, name, metric, "high", 0, (1 + IMAGES) * value
    convolutions = [name for name in names if ".layer" in name]
    for i, name in enumerate(convolutions):
        moment = Moment(cell, progress, "none", "total_variation", "none", i / (len(convolutions) - 1), noise)
        yield step, "none", "none", i, f"{name}.conv", "total_variation", "weight", 0, variation(moment)
