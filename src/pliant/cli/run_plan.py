"""`pliant run`: a plan carried out, on this machine or on a Ray cluster."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pliant import records
from pliant._checks import require
from pliant.plan import Cell, Plan
from pliant.run.plan import Engine, Event, cost, execute_plan, outlook


def run(
    plan: Path,
    *,
    out: Path | None = None,
    jobs: int | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    dry_run: bool = False,
) -> int:
    """Carry out a plan: train and measure its nets. Run again it goes on where it stopped.

    Exit status 0, also where cells failed: their records say why, and running again tries them again.

    Parameters
    ----------
    plan
        A file such as `pliant plan ruderman2018 --data cifar10 > plan.json` writes.
    out
        Folder of the run; by default runs/NAME-PLAN, PLAN being the plan's identity.
    jobs
        Local processes beside each other, 1 or more; by default as many as the cores that this process may use allow
        for the plan's threads. A Ray cluster has as many as its own cores allow.
    engine
        "local" processes, or "ray".
    address
        Of a running Ray cluster; a new one on this machine if not given.
    dry_run
        List what is done and what is missing, with an estimate of the time, and do nothing.
    """
    require(plan.is_file(), f"{plan}: no such file; `pliant plan ruderman2018 --data cifar10 > {plan}` writes one")
    require(address is None or engine == "ray", f"--address {address} is of a Ray cluster: give --engine ray too")
    require(jobs is None or jobs >= 1, f"--jobs {jobs}: 1 or more processes; without it as many as the cores allow")
    require(jobs is None or engine == "local", f"--jobs {jobs} is of local processes: a Ray cluster knows its own")
    what = Plan.from_json(records.read_json(plan))
    folder = out or Path("runs") / f"{what.name}-{what.identity}"
    count = jobs or max(1, _cores() // what.threads)
    console = Console()
    before = outlook(what, folder)
    pace = f"{_duration(before.seconds)} one after the other"
    if engine == "local":
        pace = f"{_duration(before.seconds / count)} with {count} job{'' if count == 1 else 's'}"
    guessed = "" if before.done else " on processors, a guess until a run is done; a GPU may take a thirtieth"
    console.print(
        f"{what.name}, {what.scale or 'own'} scale, plan {what.identity}: {len(before.done)} of {len(what.cells)} runs "
        f"done, {len(before.missing)} to go, about {pace}{guessed}",
        highlight=False,
        soft_wrap=True,
    )
    if dry_run:
        for cell in what.cells:
            console.print(f"  {'done   ' if cell in before.done else 'missing'} {cell.name}", highlight=False)
        return 0
    records.check_writable(folder)
    begun = before.begun if engine == "local" else {}  # a worker of a cluster begins anew
    with _Display(console, before.missing, begun) as display:
        failed = execute_plan(what, folder, _engine(engine, count, address), display.show)
    if what.name == "ruderman2018":
        from pliant.run.illustrations import write_illustrations

        write_illustrations(folder, what)
    for name in failed:
        said = str(records.read_json(folder / name / "record.json")["error"]).strip().splitlines()[-1]
        console.print(f"failed: {name}: {said}", style="red", highlight=False, markup=False, soft_wrap=True)
    console.print(f"Run: {folder}. `pliant report {folder}` shows what came out.", soft_wrap=True, highlight=False)
    return 0


def _cores() -> int:
    """The cores that this process may use: under taskset or in a container perhaps fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _engine(name: str, jobs: int, address: str | None) -> Engine:
    if name == "ray":
        from pliant.run.ray import Ray

        return Ray(address)
    from pliant.run.local import Local

    return Local(jobs)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


class _Display:
    """One bar for all runs: how many are done, which are at work, how long still."""

    def __init__(self, console: Console, missing: tuple[Cell, ...], begun: Mapping[str, float]) -> None:
        self._left = {cell.name: cost(cell) for cell in missing}
        self._whole = sum(self._left.values()) or 1.0
        self._count, self._done, self._start = len(missing), 0, time.perf_counter()
        self._begun = begun
        self._before = sum(self._left[name] * share for name, share in begun.items()) / self._whole
        self._at_work: dict[str, float] = {}
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=self._whole)
        self._console = console

    def __enter__(self) -> "_Display":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Bring the bar to where the runs stand, and print each that ends."""
        name = event.cell.name
        if event.end:
            self._done += 1
            self._at_work.pop(name, None)
            self._left.pop(name, None)
            self._console.print(
                f"{self._done}/{self._count} {name} {event.end} {event.why}".rstrip(),
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        else:
            self._at_work[name] = max(event.share, self._begun.get(name, 0.0))
        reached = {**self._begun, **self._at_work}
        share = sum(cost * (1 - reached.get(key, 0.0)) for key, cost in self._left.items()) / self._whole
        since = 1 - share - self._before  # what was done before took none of the time since the start
        seconds = time.perf_counter() - self._start
        left = f", {_duration(seconds * share / since)} left" if share > 0 and since > 0.01 else ""
        said = "; ".join(f"{key}" for key in self._at_work)
        self._progress.update(
            self._task,
            completed=self._whole * (1 - share),
            description=f"{self._done} of {self._count} done{left}; at work: {said} ({event.what})",
        )
