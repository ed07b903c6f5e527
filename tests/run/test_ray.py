"""Plans carried out on a Ray cluster of this machine: the same measurements as by local processes."""

import io
import os
import platform
import signal
import threading
import time
import uuid
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pliant._checks import InputError
from pliant.plan import Cell, Measuring, Net, Plan, Task, Training
from pliant.run import ray as engine
from pliant.run.cell import carry_out
from pliant.run.plan import execute_plan
from pliant.run.ray import Ray
from pliant.run.rows import gather

PLAN = Plan(
    "digits",
    tuple(
        Cell(
            Task("labels", "digits", 512),
            Net(downsampling, width=0.1),
            Training(epochs=12, batch_size=64),
            Measuring(images=32, block=16, calibration=32),
            moments=4,
        )
        for downsampling in ("subsample", "max_pool", "average_pool", "strided")
    ),
)


@pytest.mark.parametrize("data", ["pictures", "digits"])
def test_a_worker_finds_a_folder_beside_the_head(tmp_path, monkeypatch, data):
    """Wherever the worker runs, and the cell stays the same."""
    cell = replace(PLAN.cells[0], task=Task("labels", data))
    head, worker = tmp_path / "head", tmp_path / "worker"
    worker.mkdir()
    monkeypatch.chdir(worker)
    found = []

    def carry_out(given, folder, threads):
        found.append((given, Path.cwd()))
        (folder / "record.json").write_text("{}")

    monkeypatch.setattr("pliant.run.cell.carry_out", carry_out)
    if data == "pictures":
        with pytest.raises(InputError) as error:
            engine._carried_out(cell.to_json(), 1, str(head))
        assert str(error.value) == (
            f"the worker on {platform.node()} has no {head / data}: put the data there, or name a folder that all "
            "workers share"
        )
        (head / data).mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(engine._carried_out(cell.to_json(), 1, str(head)))) as files:
        assert files.namelist() == ["record.json"]
    assert found == [(cell, head if data == "pictures" else worker)]
    assert Path.cwd() == worker


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_gives_the_same_measurements(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # before the cluster starts
    ray = pytest.importorskip("ray")
    for cell in PLAN.cells:
        carry_out(cell, tmp_path / "alone" / cell.name)
    gather(tmp_path / "alone", PLAN)
    killed, events = [], []
    starts = tmp_path / "starts"
    starts.mkdir()
    monkeypatch.setattr(engine, "_carried_out", _noted(starts))
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        watch = threading.Thread(target=_kill_one_worker, args=(starts, killed), daemon=True)
        watch.start()
        assert execute_plan(PLAN, tmp_path / "cluster", Ray(), events.append) == ()
    finally:
        ray.shutdown()
    assert len(killed) == 1
    assert len(list(starts.iterdir())) == len(PLAN.cells) + 1  # the one that was lost was begun anew
    one, other = (tmp_path / folder / "measurements.parquet" for folder in ("alone", "cluster"))
    assert one.read_bytes() == other.read_bytes()
    under_way = set()
    for event in events:
        under_way ^= {event.cell}
        assert (event.cell in under_way) == (event.end == "")
        assert len(under_way) <= 3  # two places, and one cell that waits for the next
    assert not under_way
    assert [event.cell for event in events if not event.end] == list(PLAN.cells)


def _noted(starts):
    """The work of a worker, which leaves a file for each cell that it begins: the name says which process."""

    def carried_out(payload, threads, head):
        from pliant.run.ray import _carried_out

        (starts / f"{os.getpid()}-{uuid.uuid4().hex}").touch()
        return _carried_out(payload, threads, head)

    return carried_out


def _kill_one_worker(starts, killed):
    """Waits for a worker to begin a cell, and kills it in the middle of it as a lost machine would."""
    deadline = time.monotonic() + 120
    while not killed and time.monotonic() < deadline:
        for start in starts.iterdir():
            time.sleep(1)  # a cell takes seconds
            os.kill(int(start.name.partition("-")[0]), signal.SIGKILL)
            killed.append(start.name)
            return
        time.sleep(0.1)
