"""Cells on this machine: a few processes that live as long as there is work, and are replaced when they die."""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from pliant._checks import require
from pliant.plan import Cell
from pliant.run.plan import Event
from pliant.run.rows import write_failure

Work = Callable[[Cell, Path, int, Callable[[str, float], None]], None]
"""What is done with a cell: (cell, its folder, threads, tell)."""
_ATTEMPTS = 2


def _carry_out(cell: Cell, folder: Path, threads: int, tell: Callable[[str, float], None]) -> None:
    from pliant.run.cell import carry_out  # in the process that needs it: it loads torch

    carry_out(cell, folder, threads, tell)


@dataclass
class _Worker:
    process: BaseProcess
    line: Connection
    cell: Cell | None = None
    attempt: int = 0


class Local:
    """`jobs` processes beside each other, each with the threads that the plan gives a run.

    A cell that raises is recorded as failed; one whose process dies is tried once more, then recorded as failed. The
    others go on. The processes end with the one that started them.
    """

    def __init__(self, jobs: int = 1, work: Work = _carry_out) -> None:
        require(jobs >= 1, f"jobs={jobs}: at least 1")
        self.jobs, self.work = jobs, work

    def run(self, cells: Sequence[Cell], folder: Path, threads: int) -> Iterator[Event]:
        """Carry the cells out, each into its own folder below `folder`; events as they happen."""
        waiting = [(cell, 1) for cell in cells]
        workers = [self._start(threads) for _ in range(min(self.jobs, len(cells)))]
        try:
            while waiting or any(worker.cell for worker in workers):
                for worker in workers:
                    if worker.cell is None and waiting:
                        worker.cell, worker.attempt = waiting.pop(0)
                        with suppress(OSError):  # of a process that has died, which is found below
                            worker.line.send((worker.cell, folder / worker.cell.name))
                        yield Event(worker.cell, "starting")
                ready = set(wait([worker.line for worker in workers if worker.cell is not None]))
                for worker in [worker for worker in workers if worker.line in ready]:
                    cell = worker.cell
                    assert cell is not None
                    try:
                        said, value = worker.line.recv()
                    except (EOFError, ConnectionError):
                        worker.process.join()
                        why = f"its process ended with status {worker.process.exitcode}"
                        worker.line.close()
                        workers.remove(worker)
                        again = worker.attempt < _ATTEMPTS
                        if again:
                            waiting.insert(0, (cell, worker.attempt + 1))
                        if waiting:
                            workers.append(self._start(threads))
                        if again:
                            yield Event(cell, f"{why}; tried again")
                        else:
                            write_failure(folder / cell.name, cell, why)
                            yield Event(cell, "failed", 1.0, "failed", why)
                        continue
                    if said == "tell":
                        yield Event(cell, *value)
                        continue
                    worker.cell = None
                    yield Event(cell, said, 1.0, said, value)
        finally:
            for worker in workers:
                worker.process.kill() if worker.cell else worker.line.close()
            for worker in workers:
                worker.process.join()

    def _start(self, threads: int) -> _Worker:
        # Spawned, not forked: torch's thread pools do not survive a fork.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.work, threads), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _serve(line: Connection, work: Work, threads: int) -> None:
    """Carry out the cells that come down the line until it is closed, or whoever started this process is gone."""
    Thread(target=_end_with_parent, daemon=True).start()

    def send(message: tuple[str, Any]) -> None:
        try:
            line.send(message)
        except OSError:
            os._exit(1)

    def tell(what: str, share: float) -> None:
        send(("tell", (what, share)))

    while True:
        try:
            cell, folder = line.recv()
        except (EOFError, KeyboardInterrupt):
            return
        answer: tuple[str, Any] = ("done", "")
        try:
            work(cell, folder, threads, tell)
        except KeyboardInterrupt:
            return
        except Exception as error:  # whatever went wrong belongs to this cell alone
            write_failure(folder, cell, traceback.format_exc(limit=-6))
            answer = ("failed", f"{type(error).__name__}: {error}")
        send(answer)


def _end_with_parent() -> None:
    """An orphan must not work on beside the process that goes on in its place, not even while it measures."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
