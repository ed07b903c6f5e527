"""A run of the study's plan with made-up nets whose truth is known: nothing is trained to test claims and figures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pliant import records
from pliant.paper.plans import ruderman2018
from pliant.plan import Cell, Plan
from pliant.run.rows import COLUMNS, gather, write_cell

STEPS = (0, 1, 10, 100)
IMAGES = 0.07  # half the width of the interval over images, as a share of the value
LAYERS = {"cifar": (2, 2, 2, 2), "imagenet": (2, 2, 3, 3, 3)}


@dataclass(frozen=True)
class Moment:
    """What a made-up number belongs to. `depth` runs from 0 (the input, or the first 3x3 layer) to 1 (the last)."""

    cell: Cell
    progress: float  # 0 before training, 1 after it
    batch_norm: str
    metric: str
    padding: str
    depth: float
    noise: float  # standard normal, its own for each cell and step


def layers(cell: Cell) -> tuple[str, ...]:
    parts = [
        f"block{b}.{part}"
        for b, count in enumerate(LAYERS[cell.net.family], 1)
        for part in (*(f"layer{i}" for i in range(1, count + 1)), "down")
    ]
    return ("input", *parts)


def plan(seeds: int = 3, figures: tuple[str, ...] | None = None) -> Plan:
    whole = ruderman2018("digits", "small", seeds=seeds)
    return whole if figures is None else ruderman2018("digits", "small", figures, seeds)


def write(
    folder: Path,
    sensitivity: Callable[[Moment], float],
    variation: Callable[[Moment], float],
    of: Plan | None = None,
    fitted: Callable[[Cell], bool] = lambda cell: True,
    accuracy: float = 0.9,
) -> Path:
    """The folder of a run in which every cell gives the numbers of `sensitivity` and `variation`."""
    of = of or plan()
    records.write_json(folder / "plan.json", of.to_json())
    for number, cell in enumerate(of.cells):
        noise = np.random.default_rng([number, 7]).normal(size=len(STEPS))
        steps = STEPS if cell.training else (0,)
        parts = [_rows(cell, step, float(noise[i]), sensitivity, variation) for i, step in enumerate(steps)]
        rows = [row for part in parts for row in part]
        table = pd.DataFrame(rows).assign(run=cell.name)[list(COLUMNS)]
        hits = {"train": accuracy, "test": accuracy} if cell.training else {}
        write_cell(
            folder / cell.name,
            cell,
            table,
            steps=steps[-1],
            accuracy=hits,
            fitted=fitted(cell),
            history=[],
            precision="fp32",
            seconds=1.0,
        )
    gather(folder, of)
    return folder


def _rows(cell, step, noise, sensitivity, variation):
    ends = (0, STEPS[-1])
    reference = ("cosine", "zeros")
    every = [(m, p) for m in cell.metrics for p in cell.paddings]
    norms = ("as_is", "calibrated") if step else ("untouched", "calibrated")
    measured = [(norm, *of) for of in every for norm in norms] if step in ends else []
    if step not in ends:
        measured.append(("calibrated", *reference))
    names = layers(cell)
    progress = np.log1p(step) / np.log1p(STEPS[-1])
    for batch_norm, metric, padding in measured:
        for i, name in enumerate(names):
            moment = Moment(cell, float(progress), batch_norm, metric, padding, i / (len(names) - 1), noise)
            value = sensitivity(moment)
            yield _row(step, batch_norm, padding, i, name, metric, "sensitivity", value)
            if step in ends and (metric, padding) == reference and (batch_norm != "calibrated" or not step):
                yield _row(step, batch_norm, padding, i, name, metric, "low", (1 - IMAGES) * value)
                yield _row(step, batch_norm, padding, i, name, metric, "high", (1 + IMAGES) * value)
    convolutions = [name for name in names if ".layer" in name]
    for i, name in enumerate(convolutions):
        moment = Moment(cell, float(progress), "none", "total_variation", "none", i / (len(convolutions) - 1), noise)
        yield _row(step, "none", "none", i, f"{name}.conv", "total_variation", "weight", variation(moment))


def _row(step, batch_norm, padding, layer_index, layer, metric, item, value):
    return {
        "step": step,
        "batch_norm": batch_norm,
        "padding": padding,
        "layer_index": layer_index,
        "layer": layer,
        "metric": metric,
        "item": item,
        "index": 0,
        "value": value,
    }


def one_seed(of: Plan) -> Plan:
    return replace(of, cells=tuple(cell for cell in of.cells if cell.seed == 0))
