"""From a plan to its report by an engine whose nets are made up, and what is refused before and between cells."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from paper import fake_study, made_truths

from pliant import records, report
from pliant._checks import InputError
from pliant.paper import figures
from pliant.paper.results import Results
from pliant.plan import Cell
from pliant.report import verdicts
from pliant.run.plan import Engine, Event, Outlook, execute_plan, outlook
from pliant.run.rows import write_cell, write_failure

WHOLE = fake_study.plan(3, ("2c", "2d"))
PLAN = replace(WHOLE, cells=tuple(cell for cell in WHOLE.cells if cell.choice == "reference"))


@dataclass
class MadeUp:
    """An engine that writes made-up numbers. provenance: of cells, by name, where it is not that of this process;
    failing: cells that fail.
    """

    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: tuple[Cell, ...] = ()
    begun: list[Cell] = field(default_factory=list)

    def run(self, cells, folder, threads):
        for cell in cells:
            self.begun.append(cell)
            yield Event(cell, "working", 0.5)
            if cell in self.failing:
                write_failure(folder / cell.name, cell, "no luck")
                yield Event(cell, "failed", 1.0, "failed", "no luck")
                continue
            number = PLAN.cells.index(cell)
            write_cell(
                folder / cell.name,
                cell,
                fake_study.numbers(cell, number, made_truths.paper_sensitivity, made_truths.paper_variation),
                steps=fake_study.STEPS[-1],
                accuracy={"train": 0.9, "test": 0.9},
                fitted=True,
                history=[],
                precision="fp32",
                seconds=1.0,
                **{"device": "cpu", "threads": threads, **self.provenance.get(cell.name, {})},
            )
            yield Event(cell, "done", 1.0, "done")


def test_from_the_plan_to_the_report(tmp_path, monkeypatch):
    assert isinstance(MadeUp(), Engine)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    events = []
    assert execute_plan(PLAN, whole, MadeUp(), events.append) == ()
    assert [event.cell for event in events if event.end == "done"] == list(PLAN.cells)
    assert outlook(PLAN, whole) == Outlook(PLAN.cells, (), 0.0)

    lost = PLAN.cells[3:5]
    assert execute_plan(PLAN, resumed, MadeUp(failing=lost)) == tuple(cell.name for cell in lost)
    assert Results.read(resumed).failed == {cell.name: "no luck" for cell in lost}
    engine = MadeUp()
    assert execute_plan(PLAN, resumed, engine) == ()
    assert engine.begun == list(lost)
    table = "measurements.parquet"
    assert (resumed / table).read_bytes() == (whole / table).read_bytes()

    monkeypatch.setattr(figures, "WHOLE", ())
    monkeypatch.setattr(verdicts, "DRAWN", ())
    page = report.study(resumed).read_text()
    written = records.read_json(resumed / "claims.json")
    assert (written["plan"], written["runs"]) == (PLAN.identity, {"done": 15, "failed": 0, "missing": 0})
    judged = {claim["id"]: claim for claim in written["claims"] if claim["verdict"] != "not run"}
    supported = ["pooling_lowers", "pooling_rises", "rises_early", "rises_late", "training_changes", "nets_converge"]
    supported += ["similar_after", "similar_by_layer", "spread_small_after"]
    supported += ["training_smooths", "when_smooth", "smoothing_monotone"]
    assert {name: claim["verdict"] for name, claim in judged.items()} == dict.fromkeys(supported, "supported")
    assert all(claim["rulings"][0]["interval"]["n"] == 3 for claim in judged.values())
    assert f"12 supported, {len(written['claims']) - 12} not run" in page


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"pliant": "0.0.0"}, "pliant 0.0.0"),
        ({"versions": {"torch": "1.0"}}, "torch 1.0"),
        ({"threads": 2}, "2 threads"),
    ],
)
def test_what_another_version_began_is_refused_before_anything_is_run(tmp_path, other, said):
    begun = MadeUp({PLAN.cells[0].name: other})
    for event in begun.run(PLAN.cells[:1], tmp_path, PLAN.threads):
        assert event.cell == PLAN.cells[0]
    engine = MadeUp()
    for refused in (lambda: execute_plan(PLAN, tmp_path, engine), lambda: outlook(PLAN, tmp_path)):
        with pytest.raises(InputError, match=f"{PLAN.cells[0].name} was made with {said}, .*: finish with {said}, or "):
            refused()
    assert engine.begun == []
    (tmp_path / PLAN.cells[0].name / "record.json").unlink()
    assert execute_plan(PLAN, tmp_path, engine) == ()
    assert engine.begun == list(PLAN.cells)


def test_what_is_whole_is_gathered_whatever_the_version(tmp_path):
    everywhere = {cell.name: {"versions": {"torch": "1.0"}} for cell in PLAN.cells}
    execute_plan(PLAN, tmp_path, MadeUp(everywhere))
    engine = MadeUp()
    assert execute_plan(PLAN, tmp_path, engine) == ()
    assert engine.begun == []


@pytest.mark.parametrize(
    ("other", "said"), [({"device": "cuda:0"}, "device"), ({"data": "of other images"}, "data digest")]
)
def test_a_cell_that_cannot_be_compared_ends_the_run_at_once(tmp_path, other, said):
    engine = MadeUp({PLAN.cells[1].name: other})
    odd = PLAN.cells[1]
    away = tmp_path / odd.name / "refused.json"
    with pytest.raises(InputError, match=f"mixes runs that differ in {said}, ") as error:
        execute_plan(PLAN, tmp_path, engine)
    assert str(error.value).endswith(
        f" Or go on as the others were made: the record of {odd.name}, which ended last, is set aside as {away}"
    )
    assert engine.begun == list(PLAN.cells[:2])
    assert records.read_json(away)["cell"] == odd.identity
    left = outlook(PLAN, tmp_path)
    assert (left.done, left.missing) == (PLAN.cells[:1], PLAN.cells[1:])
    assert execute_plan(PLAN, tmp_path, MadeUp()) == ()
    assert outlook(PLAN, tmp_path).missing == ()
