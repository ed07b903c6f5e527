"""Plans carried out by an engine whose nets are made up: what is refused before and between cells."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from paper import fake_study, made_truths

from pliant._checks import InputError
from pliant.plan import Cell
from pliant.run.plan import Event, execute_plan, outlook
from pliant.run.rows import write_cell

PLAN = fake_study.plan(2, ("3b",))


@dataclass
class MadeUp:
    """An engine that writes made-up numbers. provenance: of cells, by name, where it is not that of this process."""

    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)
    begun: list[Cell] = field(default_factory=list)

    def run(self, cells, folder, threads):
        for cell in cells:
            self.begun.append(cell)
            yield Event(cell, "working", 0.5)
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
    ("other", "said"), [({"device": "cuda:0"}, "devices"), ({"data": "of other images"}, "data digests")]
)
def test_a_cell_that_cannot_be_compared_ends_the_run_at_once(tmp_path, other, said):
    engine = MadeUp({PLAN.cells[1].name: other})
    with pytest.raises(InputError, match=f"mixes runs of different {said}"):
        execute_plan(PLAN, tmp_path, engine)
    assert engine.begun == list(PLAN.cells[:2])
