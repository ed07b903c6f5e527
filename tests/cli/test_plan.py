"""`pliant plan` and `pliant run`, as a user types them."""

import json
import os
from dataclasses import replace

import pytest
from paper import fake_study

from pliant import cli, records
from pliant.cli.run_plan import _duration
from pliant.plan import Plan
from pliant.run.plan import outlook


def test_a_plan_is_printed_and_can_be_read_back(capsys):
    assert cli.run(["plan", "ruderman2018", "--data", "digits", "--figures", "2c, 5b", "--seeds", "2"]) == 0
    plan = Plan.from_json(json.loads(capsys.readouterr().out))
    assert plan == fake_study.plan(seeds=2, figures=("2c", "5b"))
    assert {cell.task.kind for cell in plan.cells} == {"labels", "random_labels", "random_images", "shuffled_pixels"}


def test_templates_are_shown_and_learned_alike(capsys):
    assert cli.run(["plan", "ruderman2018", "--data", "digits", "--figures", "3a", "--seeds", "1"]) == 0
    assert Plan.from_json(json.loads(capsys.readouterr().out)) == fake_study.plan(seeds=1, figures=("3b",))


def test_other_nets_take_the_places_of_the_five(capsys):
    chosen = ["--figures", "2c", "--seeds", "1", "--downsampling", "max_pool, aps", "--downsampling", "blur_pool"]
    assert cli.run(["plan", "ruderman2018", "--data", "digits", *chosen]) == 0
    plan = Plan.from_json(json.loads(capsys.readouterr().out))
    assert [cell.net.downsampling for cell in plan.cells] == ["max_pool", "aps", "blur_pool"]
    assert plan.cells[0] in fake_study.plan(seeds=1, figures=("2c",)).cells


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ruderman2019", "--data", "digits"], "unknown study 'ruderman2019'. Did you mean 'ruderman2018'?"),
        (["ruderman2018", "--data", "digits", "--scale", "smal"], "unknown scale 'smal'. Did you mean 'small'?"),
        (["ruderman2018", "--data", "digits", "--figures", "2e"], "unknown figure '2e'. Did you mean"),
        (["ruderman2018", "--data", "digits", "--figures", "A1"], "the figures A1 need no nets that can be trained"),
        (
            ["ruderman2018", "--data", "digits", "--downsampling", "max_pol"],
            "unknown downsampling 'max_pol'. Did you mean 'max_pool'",
        ),
        (["ruderman2018", "--data", "digts"], "unknown data set 'digts'. Did you mean 'digits'?"),
    ],
)
def test_what_cannot_be_planned_is_refused(capsys, arguments, said):
    assert cli.run(["plan", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_dry_run_lists_what_is_missing_and_does_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    plan = fake_study.plan(seeds=1, figures=("3b",))
    (tmp_path / "plan.json").write_text(json.dumps(plan.to_json()))
    arguments = ["run", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run")]
    assert cli.run([*arguments, "--dry-run", "--jobs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "0 of 4 runs done, 4 to go, about" in printed
    assert all(f"missing {cell.name}" in printed for cell in plan.cells)
    assert not (tmp_path / "run").exists()

    fake_study.write(tmp_path / "run", lambda moment: 0.1, lambda moment: 1.8, of=plan)
    assert cli.run([*arguments, "--dry-run"]) == 0
    assert "4 of 4 runs done, 0 to go, about 0 s" in capsys.readouterr().out
    assert cli.run(arguments) == 0  # nothing is left to do but to gather
    assert "shows what came out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": None}, "metrics=None of Cell: it takes a list, each item a string"),
        ({"measuring": None}, "measuring=None of Cell: it takes the fields of a Measuring"),
        ({"task": None}, "task=None of Cell: it takes the fields of a Task"),
        ({"metrics": ["cosine", "cosin"]}, "unknown metric 'cosin'. Did you mean 'cosine'?"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path, capsys, change, said):
    plan = fake_study.plan(seeds=1, figures=("3b",)).to_json()
    plan["cells"][1] |= change
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert cli.run(["run", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run")]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_dry_run_of_another_plan_says_so(tmp_path, capsys):
    plan, held = fake_study.plan(seeds=1, figures=("3b",)), fake_study.plan(seeds=2, figures=("3b",))
    records.write_json(tmp_path / "run" / "plan.json", held.to_json())
    records.write_json(tmp_path / "plan.json", plan.to_json())
    assert cli.run(["run", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run"), "--dry-run"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"holds the plan {held.identity}, not {plan.identity}: name another folder" in said


def test_run_refuses_what_it_cannot_use(tmp_path, capsys):
    assert cli.run(["run", str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file; `pliant plan ruderman2018" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "plan.json").write_text(json.dumps(fake_study.plan(seeds=1, figures=("3b",)).to_json()))
    for options, said in (
        (["--address", "here:1"], "give --engine ray too"),
        (["--jobs", "0"], "--jobs 0: 1 or more processes"),
        (["--jobs", "-1"], "--jobs -1: 1 or more processes"),
        (["--jobs", "3", "--engine", "ray"], "--jobs 3 is of local processes"),
    ):
        assert cli.run(["run", str(tmp_path / "plan.json"), *options]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_there_are_as_many_jobs_as_cores_that_may_be_used(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    plan = fake_study.plan(seeds=1, figures=("3b",))
    seconds = outlook(plan, tmp_path / "run").seconds
    for threads, engine, said in (
        (1, "local", f"about {_duration(seconds / 3)} with 3 jobs on processors, "),
        (2, "local", f"about {_duration(seconds)} with 1 job on processors, "),
        (1, "ray", f"about {_duration(seconds)} one after the other on processors, "),
    ):
        (tmp_path / "plan.json").write_text(json.dumps(replace(plan, threads=threads).to_json()))
        command = ["run", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run"), "--dry-run", "--engine", engine]
        assert cli.run(command) == 0
        assert said in capsys.readouterr().out
