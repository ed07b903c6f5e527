"""Cells on a Ray cluster; needs the extra `ray`."""

import io
import os
import platform
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, chdir, nullcontext
from pathlib import Path
from typing import Any

from pliant import records
from pliant._checks import InputError, require
from pliant.plan import Cell
from pliant.run.plan import Event
from pliant.run.rows import write_failure

_RETRIES = 3
_LOOK = 10.0  # seconds until the cluster's size is looked at again


class Ray:
    """Each cell a task of a Ray cluster: as many threads as cores, a share of a GPU where the cluster has any.

    address: of a running cluster; a new one on this machine if None. gpus: share of a GPU that a cell takes. A cell
    whose worker is lost is begun anew elsewhere, three times at most. The workers need no common disk: they send what
    they wrote, and the head puts it in its place. Only a data set that is a folder must be there for each of them; a
    relative one is looked for from the folder in which the head was started.
    """

    def __init__(self, address: str | None = None, gpus: float = 0.25) -> None:
        self.address, self.gpus = address, gpus

    def run(self, cells: Sequence[Cell], folder: Path, threads: int) -> Iterator[Event]:
        """Carry the cells out, each into its own folder below `folder`; events as they happen."""
        ray = _ray()
        # Without this each worker would be given an environment of its own when the head was started by `uv run`.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        ours = not ray.is_initialized()
        if ours:
            ray.init(
                address=self.address or "local", include_dashboard=False, log_to_driver=False, configure_logging=False
            )
        try:
            gpus = self.gpus if ray.cluster_resources().get("GPU") else 0
            remote = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_carried_out)
            waiting, under_way = deque(cells), dict[Any, Cell]()
            while waiting or under_way:
                while waiting and len(under_way) < _places(ray, threads, gpus):
                    cell = waiting.popleft()
                    under_way[remote.remote(cell.to_json(), threads, str(Path.cwd()))] = cell
                    yield Event(cell, "on the cluster")
                for done in ray.wait(list(under_way), timeout=_LOOK)[0]:
                    yield _end(ray, done, under_way.pop(done), folder)
        finally:
            if ours:
                ray.shutdown()


def _places(ray: Any, threads: int, gpus: float) -> int:
    """How many cells to have under way: those that the cluster can work on now, and one more, for it to grow for."""
    resources = ray.cluster_resources()
    places = [resources.get("CPU", 0) // threads, *([resources.get("GPU", 0) // gpus] if gpus else [])]
    return int(min(places)) + 1


def _end(ray: Any, done: Any, cell: Cell, folder: Path) -> Event:
    try:
        files = ray.get(done)
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[-1]
        write_failure(folder / cell.name, cell, str(error))
        return Event(cell, "failed", 1.0, "failed", why)
    with zipfile.ZipFile(io.BytesIO(files)) as archive:
        # The record last: it says that the rest is there.
        for name in sorted(archive.namelist(), key=lambda name: name == "record.json"):
            records.write_bytes(folder / cell.name / name, archive.read(name))
    return Event(cell, "done", 1.0, "done")


def _carried_out(payload: dict[str, Any], threads: int, head: str) -> bytes:
    """On a worker: the files of a finished cell, as a zip. head: the folder in which the head was started."""
    from pliant.run.cell import carry_out

    buffer, cell = io.BytesIO(), Cell.from_json(payload)
    with tempfile.TemporaryDirectory() as place, _beside(cell.task.data, Path(head)):
        carry_out(cell, Path(place), threads)
        with zipfile.ZipFile(buffer, "w") as archive:
            for path in sorted(Path(place).iterdir()):
                archive.write(path, path.name)
    return buffer.getvalue()


def _beside(data: str, head: Path) -> AbstractContextManager[None]:
    """In the context a data set that is a relative folder is found; the cell names it as before."""
    from pliant.data.loading import NAMES

    folder = Path(data).expanduser()
    if data in (*NAMES, "photographs") or folder.is_absolute():
        return nullcontext()
    require(
        (head / folder).is_dir(),
        f"the worker on {platform.node()} has no {head / folder}: put the data there, or name a folder that all "
        "workers share",
    )
    return chdir(head)


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError("--engine ray needs Ray: pip install 'pliant[ray]', or take --engine local") from None
    return ray
