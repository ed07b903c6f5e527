"""`Results`: what a run of a plan has written, as one table that figures and claims read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pliant import records
from pliant._checks import InputError, require
from pliant.plan import Cell, Plan

_RAW = ("image", "median")
KEYS = ("task", "data", "reach", "preprocessing", "family", "downsampling", "width", "sigma", "choice", "seed")
"""Columns of the table that say which cell a number belongs to."""


@dataclass(frozen=True, eq=False)
class Results:
    """A run of a plan, as far as it got.

    plan: what was to be run. records: run -> its record, of those that are finished. failed: run -> why.
    missing: runs that have no record yet.
    table: the numbers of the finished runs, but for raw samples, in long format, one row a number: `run`; the cell's
        `task`, `data`, `reach`, `preprocessing`, `family`, `downsampling`, `width`, `sigma`, `choice`, `seed`;
        `trained` (whether the cell trains at all) and `last` (whether `step` is the cell's last); and the columns of
        measurements.parquet: `step`, `batch_norm`, `padding`, `layer_index`, `layer`, `metric`, `item`, `index`,
        `value`.
    """

    folder: Path
    plan: Plan
    records: dict[str, dict[str, Any]]
    failed: dict[str, str]
    missing: tuple[str, ...]
    table: pd.DataFrame

    @classmethod
    def read(cls, folder: Path | str) -> "Results":
        """The results in a run's folder. Raises `InputError` where no cell is finished, and for records that do not
        belong to the folder's plan or cannot be compared, as `ended` does.
        """
        folder = Path(folder)
        told = "it makes no claims and no figures of the paper, `pliant report` shows it"
        require(not (folder / "data.json").exists(), f"{folder} is a run of `pliant demo`: {told}")
        plan = Plan.from_json(records.read_json(folder / "plan.json"))
        cells = {cell.name: cell for cell in plan.cells}
        done, failed = ended(folder, plan)
        if not done:
            raise InputError(f"{folder} holds no finished run: `pliant run` carries the plan out")
        # From the cells themselves: a run that is not finished can be read, too. Raw samples are not for figures.
        tables = [records.read_table(folder / name / "measurements.parquet") for name in done]
        table = pd.concat([part.loc[~part["item"].isin(_RAW).to_numpy()] for part in tables], ignore_index=True)
        missing = tuple(name for name in cells if name not in done and name not in failed)
        why = {name: str(record.get("error", "unknown")) for name, record in failed.items()}
        return cls(folder, plan, done, why, missing, _described(table, {name: cells[name] for name in done}, done))

    def sensitivity(self, **chosen: Any) -> pd.DataFrame:
        """The rows of sensitivity by layer, one for each run, step, protocol and layer, whose columns have the given
        values: `results.sensitivity(task="labels", metric="cosine", last=True)`.
        """
        return self._rows({"item": "sensitivity", **chosen})

    def total_variation(self, **chosen: Any) -> pd.DataFrame:
        """The rows of normalised total variation by 3x3 layer whose columns have the given values."""
        return self._rows({"metric": "total_variation", **chosen})

    def accuracy(self, **chosen: Any) -> pd.DataFrame:
        """The rows of accuracy, `item` "train" or "test", whose columns have the given values."""
        return self._rows({"metric": "accuracy", **chosen})

    def fitted(self, run: str) -> bool:
        """Whether the run reached the training accuracy that its task asks for; true for nets that are not trained."""
        return bool(self.records[run].get("fitted", True))

    def _rows(self, chosen: dict[str, Any]) -> pd.DataFrame:
        mask = np.ones(len(self.table), dtype=bool)
        for column, value in chosen.items():
            mask &= (self.table[column] == value).to_numpy()
        return self.table.loc[mask].reset_index(drop=True)


def ended(folder: Path, plan: Plan) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The records of the plan's cells in the folder, run -> record: of those that are done, and of those that failed.

    Raises `InputError` for cells that the plan does not have, and for records that cannot be compared: of another
    schema, version of pliant or torch, device, number of threads, precision, or with other images of the same data set.
    """
    cells = {cell.name: cell for cell in plan.cells}
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/record.json")):
        record = records.read_json(path)
        _check(record, path, cells)
        (done if record["status"] == "done" else failed)[path.parent.name] = record
    check_together(folder, plan, done)
    return done, failed


def check_together(folder: Path, plan: Plan, done: dict[str, dict[str, Any]]) -> None:
    """Raise `InputError`, as `ended` does, for records of finished cells that cannot be compared."""
    cells = {cell.name: cell for cell in plan.cells}
    records.check_comparable(folder, done, ("version", "torch", "device", "threads"))
    trained = {run: record for run, record in done.items() if record.get("precision")}
    records.check_comparable(folder, trained, ("precision",))
    for data in {cell.task.data for cell in plan.cells}:
        same = {run: record for run, record in done.items() if cells[run].task.data == data}
        records.check_comparable(folder, same, ("data digest",))


def _check(record: Any, path: Path, cells: dict[str, Cell]) -> None:
    """Refuse a record of another schema or of a cell that the plan does not have."""
    if not isinstance(record, dict) or record.get("schema") != records.SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise InputError(
            f"{path} has schema {found!r}, this version of pliant reads {records.SCHEMA}: run it into another folder"
        )
    name = path.parent.name
    if name not in cells or record.get("cell") != cells[name].identity:
        raise InputError(f"{path} is of a cell that {path.parents[1] / 'plan.json'} does not have: keep plans apart")


def _described(table: pd.DataFrame, cells: dict[str, Cell], done: dict[str, dict[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "run": name,
            "task": cell.task.kind,
            "data": cell.task.data,
            "reach": cell.task.reach,
            "preprocessing": cell.task.preprocessing,
            "family": cell.net.family,
            "downsampling": cell.net.downsampling,
            "width": cell.net.width,
            "sigma": cell.net.sigma,
            "choice": cell.choice,
            "seed": cell.seed,
            "trained": cell.training is not None,
            "steps": done[name]["steps"],
        }
        for name, cell in cells.items()
    ]
    described = pd.DataFrame(rows).merge(table, on="run", how="inner")
    return described.assign(last=described["step"] == described["steps"]).drop(columns="steps")
