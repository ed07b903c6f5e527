"""A study killed at random instants and resumed each time ends with the measurements of an undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from pliant.plan import Cell, Measuring, Net, Plan, Task, Training

pytestmark = pytest.mark.slow

KILLS = 20
PLAN = Plan(
    "digits",
    tuple(
        Cell(
            Task(kind, "digits", 1024),
            Net(downsampling, width=0.25),
            Training(epochs=40, batch_size=64),
            Measuring(images=64, block=32, calibration=64),
            moments=6,
            seed=seed,
        )
        for seed in range(1)
        for kind in ("labels", "random_labels", "shuffled_pixels")
        for downsampling in ("max_pool", "strided_relu")
    ),
)


def start(plan, out):
    command = [sys.executable, "-m", "pliant.cli", "run", str(plan), "--out", str(out), "--jobs", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def written(folder):
    """What the cells have written so far."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*.safetensors")}


def test_twenty_kills_change_nothing(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN.to_json()))
    assert start(plan, tmp_path / "whole").wait() == 0
    expected = (tmp_path / "whole" / "measurements.parquet").read_bytes()
    chance = random.Random(0)
    kills = resumed = rounds = 0
    while kills < KILLS:
        folder = tmp_path / f"killed{rounds}"
        resumed += bool(list(folder.glob("*/checkpoint.safetensors")))
        before = written(folder)
        process = start(plan, folder)
        if kills % 4:  # else at any instant, the start among them
            while written(folder) == before and process.poll() is None:
                time.sleep(0.1)
        try:
            assert process.wait(timeout=chance.uniform(0, 8)) == 0
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)  # the one that was started; its workers must find out by themselves
            process.wait()
            kills += 1
            time.sleep(0.5)
            continue
        assert (folder / "measurements.parquet").read_bytes() == expected
        rounds += 1  # it got through: once more from the beginning
    assert start(plan, folder).wait() == 0
    assert (folder / "measurements.parquet").read_bytes() == expected
    assert resumed >= 5, "the kills missed the trainings"
    assert not [path for path in folder.rglob("*") if "checkpoint" in path.name or path.name.endswith(".part")]
    print(f"killed {kills} times, {resumed} times with a checkpoint to go on from, {rounds + 1} whole runs")
