"""What a cell leaves behind: its table of numbers and its record, in the form that `paper` reads."""

from pathlib import Path
from typing import Any

import pandas as pd

from pliant import records
from pliant._checks import InputError
from pliant.paper.results import ended
from pliant.plan import Cell, Plan

CHECKPOINT = "checkpoint.safetensors"
"""Where a cell stands between two epochs, in its folder until it is done."""

COLUMNS = ("run", "step", "batch_norm", "padding", "layer_index", "layer", "metric", "item", "index", "value")
"""Columns of measurements.parquet, one row a number.

run: the cell's name. step: training steps done. batch_norm: "untouched" (before training), "calibrated" (at every
step), "as_is" (after training), or "none". padding: what stood outside the images, or "none". layer_index, layer: 0 is
the input; of filters the number of the 3x3 layer; -1 for the net as a whole. metric: "cosine" or "euclidean" with the
item "sensitivity", at the ends under the reference also with its 95% bootstrap interval over images, "low" and "high",
and the raw items "image" and "median" (see `Profile.raw`); "total_variation" with the item "weight"; "accuracy" with
"train" and "test". index: of the image or block, else 0.
"""


def write_cell(
    folder: Path,
    cell: Cell,
    table: pd.DataFrame,
    *,
    steps: int,
    accuracy: dict[str, float],
    fitted: bool,
    history: list[dict[str, Any]],
    precision: str | None,
    seconds: float,
    **provenance: Any,
) -> None:
    """Write the numbers of a finished cell, its record last: a record says that the cell is done."""
    records.write_table(folder / "measurements.parquet", table.reindex(columns=list(COLUMNS)))
    record = {
        "status": "done",
        "steps": steps,
        "accuracy": accuracy,
        "fitted": fitted,
        "history": history,
        "precision": precision,
        "seconds": seconds,
    }
    _write(folder, cell, record, provenance)


def write_failure(folder: Path, cell: Cell, error: str, **provenance: Any) -> None:
    """Record that a cell failed, and why; the next run tries it again. The record of a finished cell stays."""
    if is_done(folder, cell):
        return
    _write(folder, cell, {"status": "failed", "error": error}, provenance)


def is_done(folder: Path, cell: Cell) -> bool:
    """Whether the folder holds the record and the numbers of the finished cell."""
    path = folder / "record.json"
    if not path.exists() or not (folder / "measurements.parquet").exists():
        return False
    record = records.read_json(path)
    return record.get("status") == "done" and record.get("cell") == cell.identity


def set_aside(folder: Path) -> Path:
    """Put the record of a cell out of the way, so that the cell is not done; returns where it is now."""
    return (folder / "record.json").replace(folder / "refused.json")


def gather(folder: Path, plan: Plan) -> Path:
    """The numbers of all finished cells in one measurements.parquet, in the order of their names; returns its path.

    Raises `InputError` where no cell is finished, and as `pliant.paper.results.ended` does.
    """
    done, _ = ended(folder, plan)
    if not done:
        raise InputError(f"{folder} holds no finished cell: look at its record.json files for what went wrong")
    tables = [records.read_table(folder / name / "measurements.parquet") for name in done]
    return records.write_table(folder / "measurements.parquet", pd.concat(tables, ignore_index=True))


def _write(folder: Path, cell: Cell, content: dict[str, Any], provenance: dict[str, Any]) -> None:
    head = {"schema": records.SCHEMA, "run": cell.name, "cell": cell.identity, "plan": cell.to_json()}
    records.write_json(folder / "record.json", {**head, **content, "provenance": records.provenance(**provenance)})
