"""Plans carried out by local processes; the work is made up, so that seconds suffice."""

import pandas as pd
import pytest
from run.made_up_work import dies, work

from pliant import records
from pliant._checks import InputError
from pliant.plan import Cell, Plan
from pliant.run.local import Local
from pliant.run.plan import execute_plan, outlook
from pliant.run.rows import is_done

PLAN = Plan("made-up", tuple(Cell(seed=seed) for seed in range(4)))


def test_a_failure_is_recorded_a_death_is_tried_again_and_the_others_go_on(tmp_path):
    events = []
    failed = execute_plan(PLAN, tmp_path, Local(2, work), events.append)
    bad = PLAN.cells[1]
    assert failed == (bad.name,)
    assert "no luck with seed 1" in records.read_json(tmp_path / bad.name / "record.json")["error"]
    assert any(event.what == "its process ended with status -9; tried again" for event in events)
    assert sorted(event.end for event in events if event.end) == ["done", "done", "done", "failed"]
    assert [event.share for event in events if event.what == "working"][:1] == [0.5]
    table = pd.read_parquet(tmp_path / "measurements.parquet")
    assert table["value"].tolist() == [0.0, 0.2, 0.3]
    assert [is_done(tmp_path / cell.name, cell) for cell in PLAN.cells] == [True, False, True, True]
    assert outlook(PLAN, tmp_path).missing == (bad,)

    (tmp_path / "mended").write_text("")
    events.clear()
    assert execute_plan(PLAN, tmp_path, Local(1, work), events.append) == ()
    assert {event.cell for event in events} == {bad}
    assert len(pd.read_parquet(tmp_path / "measurements.parquet")) == 4


def test_a_cell_that_dies_twice_is_recorded_as_failed(tmp_path):
    with pytest.raises(InputError, match="holds no finished cell"):
        execute_plan(Plan("made-up", PLAN.cells[:1]), tmp_path, Local(1, dies))
    record = records.read_json(tmp_path / PLAN.cells[0].name / "record.json")
    assert record["error"] == "its process ended with status 3"


def test_a_folder_of_another_plan_is_refused(tmp_path):
    records.write_json(tmp_path / "plan.json", PLAN.to_json())
    other = Plan("made-up", PLAN.cells[:2])
    with pytest.raises(InputError) as error:
        execute_plan(other, tmp_path, Local(1, work))
    assert str(error.value) == (f"{tmp_path} holds the plan {PLAN.identity}, not {other.identity}: name another folder")


def test_no_jobs():
    with pytest.raises(InputError, match="^jobs=0: at least 1$"):
        Local(0)
