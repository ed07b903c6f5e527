"""The bar of `pliant run`: how many runs are done, which are at work, how long still."""

import io
from types import SimpleNamespace

import pytest
from paper import fake_study
from rich.console import Console

from pliant.cli import run_plan
from pliant.run.plan import Event

CELLS = fake_study.plan(1, ("3b",)).cells  # four that cost the same


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(run_plan, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    return now


def test_it_tells_what_is_done_what_is_at_work_and_how_long_still(clock):
    printed = io.StringIO()
    one, other, *_ = CELLS
    with run_plan._Display(Console(file=printed, width=300), CELLS, {}) as display:

        def told(event: Event, after: float) -> tuple[str, float]:
            clock.seconds = 100.0 + after
            display.show(event)
            (task,) = display._progress.tasks
            return task.description, task.completed / task.total

        # An eighth of all in 10 seconds: 70 more.
        assert told(Event(one, "epoch 1/2", 0.5), 10) == (
            f"0 of 4 done, 1 min 10 s left; at work: {one.name} (epoch 1/2)",
            pytest.approx(1 / 8),
        )
        assert told(Event(other, "starting"), 10) == (
            f"0 of 4 done, 1 min 10 s left; at work: {one.name}; {other.name} (starting)",
            pytest.approx(1 / 8),
        )
        assert told(Event(one, "done", 1.0, "done"), 20) == (
            f"1 of 4 done, 1 min 00 s left; at work: {other.name} (done)",
            pytest.approx(1 / 4),
        )
        assert told(Event(other, "failed", 1.0, "failed", "no luck"), 30) == (
            "2 of 4 done, 30 s left; at work:  (failed)",
            pytest.approx(1 / 2),
        )
    assert printed.getvalue().splitlines() == [f"1/4 {one.name} done", f"2/4 {other.name} failed no luck"]


def test_what_was_done_before_the_start_is_no_measure_of_the_pace(clock):
    one, other, *_ = CELLS
    begun = {one.name: 0.5, other.name: 0.25}
    with run_plan._Display(Console(file=io.StringIO(), width=300), CELLS, begun) as display:
        (task,) = display._progress.tasks
        display.show(Event(one, "starting"))
        assert task.description == f"0 of 4 done; at work: {one.name} (starting)"
        clock.seconds += 10
        # A quarter of a cell in 10 seconds; 0.25, 0.75, 1 and 1 of the four are left.
        display.show(Event(one, "epoch 3/4", 0.75))
        assert task.description == f"0 of 4 done, 2 min 00 s left; at work: {one.name} (epoch 3/4)"
        assert task.completed / task.total == pytest.approx(1 / 4)
        clock.seconds += 10
        display.show(Event(one, "done", 1.0, "done"))
        assert task.description.startswith("1 of 4 done, 1 min 50 s left")


def test_at_the_start_no_time_is_made_up(clock):
    with run_plan._Display(Console(file=io.StringIO(), width=300), CELLS, {}) as display:
        display.show(Event(CELLS[0], "starting"))
        (task,) = display._progress.tasks
        assert task.description == f"0 of 4 done; at work: {CELLS[0].name} (starting)"


def test_nothing_left_to_do_is_no_error():
    with run_plan._Display(Console(file=io.StringIO()), (), {}) as display:
        assert [task.total for task in display._progress.tasks] == [1.0]
