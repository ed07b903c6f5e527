"""What a folder of records must be for figures and claims to read it."""

import shutil

import pandas as pd
import pytest
from paper import fake_study, made_truths

from pliant import records
from pliant._checks import InputError
from pliant.paper.results import Results, ended
from pliant.run.rows import write_failure

PLAN = fake_study.plan(2, ("3b",))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return fake_study.write(tmp_path_factory.mktemp("written"), lambda moment: 0.5, lambda moment: 1.8, of=PLAN)


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run")


def changed(folder, cell, **provenance):
    """The record of a cell, as a machine or version that differs would have written it."""
    path = folder / cell.name / "record.json"
    record = records.read_json(path)
    record["provenance"] |= provenance
    records.write_json(path, record)


@pytest.mark.parametrize(
    ("what", "other", "told"),
    [
        ("version", {"pliant": "9.9"}, "'9.9'"),
        ("torch", {"versions": {"torch": "9.9"}}, "'9.9'"),
        ("device", {"device": "cuda:0"}, "'cuda'"),
        ("threads", {"threads": 7}, "7"),
        ("data digest", {"data": "of other images"}, "'of other images'"),
    ],
)
def test_records_that_cannot_be_compared_are_not_read(folder, what, other, told):
    changed(folder, PLAN.cells[-1], **other)
    with pytest.raises(InputError, match=f"mixes runs that differ in {what}, .* of {told}: "):
        Results.read(folder)


def test_only_cells_of_the_same_data_set_must_have_the_same_images(tmp_path):
    plan = fake_study.plan(1, ("2a", "3b"))
    folder = fake_study.write(tmp_path, lambda moment: 0.5, lambda moment: 1.8, of=plan)
    for cell in plan.cells:
        changed(folder, cell, data=f"the images of {cell.task.data}")
    assert len(Results.read(folder).records) == len(plan.cells)


def test_a_run_of_the_demo_is_no_study(tmp_path):
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"is a run of `pliant demo`: it makes no claims .*, `pliant report` shows it$"
    ):
        Results.read(tmp_path)


def test_another_schema_and_another_plan_are_refused(folder):
    path = folder / PLAN.cells[0].name / "record.json"
    record = records.read_json(path)
    records.write_json(path, record | {"schema": 99})
    with pytest.raises(InputError, match=f"^{path} has schema 99, this version of pliant reads {records.SCHEMA}: "):
        Results.read(folder)
    records.write_json(path, record | {"cell": "another"})
    with pytest.raises(InputError, match=f"^{path} is of a cell that .*plan.json does not have"):
        Results.read(folder)


def test_what_failed_is_told_apart_from_what_is_done(folder):
    failed = PLAN.cells[0]
    (folder / failed.name / "record.json").unlink()
    write_failure(folder / failed.name, failed, "no luck")
    done, wrong = ended(folder, PLAN)
    assert set(done) == {cell.name for cell in PLAN.cells[1:]}
    assert list(wrong) == [failed.name]
    assert Results.read(folder).failed == {failed.name: "no luck"}


def test_made_up_results_are_those_of_a_made_up_folder(tmp_path):
    plan = fake_study.plan(1, ("2a", "3b"))
    truth = made_truths.paper_sensitivity, made_truths.paper_variation

    def fitted(cell):
        return cell.task.reach != 2

    read = Results.read(fake_study.write(tmp_path, *truth, of=plan, fitted=fitted))
    made = fake_study.results(*truth, of=plan, fitted=fitted)
    pd.testing.assert_frame_equal(made.table, read.table)
    assert (made.plan, made.failed, made.missing) == (read.plan, read.failed, read.missing)
    told = {run: {name: record[name] for name in ("steps", "fitted")} for run, record in read.records.items()}
    assert list(made.records.items()) == list(told.items())
    other = fake_study.results(made_truths.other_sensitivity, truth[1], of=plan, fitted=fitted)
    assert not other.table.equals(read.table)
