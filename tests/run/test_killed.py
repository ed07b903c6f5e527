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
            Training(epochs=6, batch_size=64),
            Measuring(images=64, block=32, calibration=64),
            moments=6,
            seed=seed,
        )
        for seed in range(2)
        for kind in ("labels", "random_labels", "shuffled_pixels")
        for downsampling in ("subsample", "max_pool", "average_pool", "strided", "strided_relu")
    ),
)


def start(plan, out):
    command = [sys.executable, "-m", "pliant.cli", "run", str(plan), "--out", str(out), "--jobs", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def test_twenty_kills_change_nothing(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN.to_json()))
    assert start(plan, tmp_path / "whole").wait() == 0
    chance = random.Random(0)
    kills = 0
    while kills < KILLS:
        process = start(plan, tmp_path / "killed")
        try:
            process.wait(timeout=chance.uniform(4, 14))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)  # the one that was started; its workers must find out by themselves
            process.wait()
            kills += 1
            time.sleep(0.2)
            continue
        break
    assert start(plan, tmp_path / "killed").wait() == 0
    print(f"killed {kills} times")
    one, other = (tmp_path / folder / "measurements.parquet" for folder in ("whole", "killed"))
    assert one.read_bytes() == other.read_bytes()
    assert kills >= 3
    assert not list((tmp_path / "killed").glob("*/checkpoint*"))
