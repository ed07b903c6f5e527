"""A `Plan` carried out: what is done is kept, what failed or is missing is run, and all numbers are gathered."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import safetensors

from pliant import records
from pliant._checks import InputError
from pliant.paper.results import check_together, ended
from pliant.plan import Cell, Plan
from pliant.run.rows import CHECKPOINT, gather, is_done, set_aside

MEASUREMENTS = "measurements.parquet"


@dataclass(frozen=True)
class Event:
    """What happens to a cell: `what` is said of it, `share` of it is done; `end` is "done", "failed" or "", `why` it
    failed.
    """

    cell: Cell
    what: str
    share: float = 0.0
    end: str = ""
    why: str = ""


@runtime_checkable
class Engine(Protocol):
    """Carries cells out somewhere: local processes, or a Ray cluster."""

    def run(self, cells: Sequence[Cell], folder: Path, threads: int) -> Iterator[Event]:
        """Carry the cells out, each into its own folder below `folder`; events as they happen."""
        ...


@dataclass(frozen=True)
class Outlook:
    """What a plan still takes: cells that are done, and missing; seconds that the missing ones take, one at a time.

    begun: the share of a missing cell, by its name, that its checkpoint holds, for those that have one.
    """

    done: tuple[Cell, ...]
    missing: tuple[Cell, ...]
    seconds: float
    begun: Mapping[str, float] = field(default_factory=dict)


def execute_plan(
    plan: Plan, folder: Path, engine: Engine, on_event: Callable[[Event], None] = lambda event: None
) -> tuple[str, ...]:
    """Carry out what the folder does not hold yet; returns the names of cells that failed, whose records say why.

    plan.json first, a folder for each cell, measurements.parquet last. Killed at any instant and called again it goes
    on, each cell from its last checkpoint. Raises `InputError` if the folder holds another plan, runs that could not be
    compared with those made now, or if no cell succeeds; and as soon as a cell ends that cannot be compared, whose
    record is set aside.
    """
    failed = []
    records.check_writable(folder)
    with records.alone(folder):
        claim(plan, folder)
        records.sweep(folder)
        missing = outlook(plan, folder).missing
        done, _ = ended(folder, plan)
        for event in engine.run(missing, folder, plan.threads):
            on_event(event)
            name = event.cell.name
            if event.end == "failed":
                failed.append(name)
            elif event.end:
                done[name] = records.read_json(folder / name / "record.json")
                try:
                    check_together(folder, plan, done)
                except InputError as error:
                    away = set_aside(folder / name)
                    raise InputError(
                        f"{error}. Or go on as the others were made: the record of {name}, which ended last, is set "
                        f"aside as {away}"
                    ) from None
        gather(folder, plan)
    return tuple(failed)


def claim(plan: Plan, folder: Path) -> None:
    """Make the folder this plan's. Raises `InputError` if it is another's already, or cannot be written."""
    if not _is_claimed(plan, folder):
        records.write_json(folder / "plan.json", plan.to_json())


def outlook(plan: Plan, folder: Path) -> Outlook:
    """What the folder holds of the plan and what is missing, with an estimate of the time from what is done.

    Raises `InputError` if it holds another plan, or if something is missing that could not be compared with what is
    done: runs of another pliant, torch or number of threads.
    """
    _is_claimed(plan, folder)
    done = tuple(cell for cell in plan.cells if is_done(folder / cell.name, cell))
    missing = tuple(cell for cell in plan.cells if cell not in done)
    found = {cell.name: records.read_json(folder / cell.name / "record.json") for cell in done}
    if missing:
        records.check_present(folder, found, plan.threads)
    measured = [(cost(cell), found[cell.name]["seconds"]) for cell in done]
    pace = sum(seconds for _, seconds in measured) / sum(guess for guess, _ in measured) if measured else 1.0
    begun = {cell.name: share for cell in missing if (share := _begun(folder / cell.name, cell))}
    left = sum(cost(cell) * (1 - begun.get(cell.name, 0.0)) for cell in missing)
    return Outlook(done, missing, pace * left, begun)


def _is_claimed(plan: Plan, folder: Path) -> bool:
    path = folder / "plan.json"
    if not path.exists():
        return False
    held = Plan.from_json(records.read_json(path))
    if held.identity != plan.identity:
        raise InputError(f"{folder} holds the plan {held.identity}, not {plan.identity}: name another folder")
    return True


def _begun(folder: Path, cell: Cell) -> float:
    """The share of the cell's training that a checkpoint in its folder holds; 0 without one that fits."""
    if cell.training is None:
        return 0.0
    try:
        with safetensors.safe_open(folder / CHECKPOINT, framework="numpy") as file:
            held = json.loads(file.metadata()["checkpoint"])
        return held["epoch"] / cell.training.epochs if held["beside"]["making"]["cell"] == cell.identity else 0.0
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError):
        return 0.0


def cost(cell: Cell) -> float:
    """A guess at the seconds that a cell takes one thread, of a processor from 2024; only ratios matter later on.

    Measured: 2.6 ms for each image and epoch at full width in bf16 on one thread, falling with the width to the power
    of 1.5; 2 s for each pass over the measured images at full width. The net of ImageNet's size takes 2.5 s for
    each photograph and padding at full width.
    """
    scale = cell.net.width**1.5
    if cell.training is None:
        return 2 + 2.5 * len(cell.paddings) * cell.measuring.images * scale
    images = 50_000 if cell.task.limit is None else cell.task.limit
    passes = cell.moments + 4 * len(cell.paddings)
    return 2 + images * cell.training.epochs * 2.6e-3 * scale + passes * (0.3 + 2 * scale)
