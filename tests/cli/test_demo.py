"""`pliant demo` and `pliant report`, as a user types them."""

import io
from pathlib import Path

import pytest
from report import fake_run
from rich.console import Console

from pliant import cli, records
from pliant._checks import InputError
from pliant.cli.demo import _Display
from pliant.plan import Study, Training
from pliant.run.study import Stage
from pliant.training import Progress


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "epochs=0: at least 1, or there is nothing after training"),
        (["--seed", "-1"], "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
        (["--width", "inf"], "width=inf: a factor on the channels, above 0"),
        (["--downsampling", "blur_pol"], "unknown downsampling 'blur_pol'. Did you mean 'blur_pool'"),
        (["--downsampling", "aps,aps"], "downsampling=('aps', 'aps'): name each once"),
        (["--pool-skip", "-1"], "pool_skip=-1: pixels a side of the blocks, 1 or more, or 0 for none"),
        (["--data", "digit"], "unknown data set 'digit'. Did you mean 'digits'?"),
    ],
)
def test_a_bad_option_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["demo", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_it_trains_reports_and_remakes_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--downsampling", "max_pool,lps", "--width", "0.05", "--epochs", "1", "--limit", "128"]
    assert cli.run(["demo", *small, "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert "Before training" in printed
    assert "Report: run/report.html" in printed
    assert list(records.runs("run")) == ["lps-seed0", "max_pool-seed0"]
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert b"learned sampling" in page
    assert cli.run(["report", "run", "--figures", "figures"]) == 0
    assert (tmp_path / "run" / "report.html").read_bytes() == page
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "sensitivity.svg",
        "smoothness.svg",
        "table.md",
    ]


def test_nets_are_chosen_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    def execute(study, folder, on_stage):
        asked.append((study, folder))
        raise InputError("that is enough")

    monkeypatch.setattr("pliant.cli.demo.execute", execute)
    chosen = ["--downsampling", "strided_blur, lps", "--downsampling", "permuted_pool"]
    assert cli.run(["demo", *chosen, "--padding-mode", "circular", "--pool-skip", "2", "--out", "run"]) == 2
    names = ("strided_blur", "lps", "permuted_pool")
    training = Training(epochs=6)
    study = Study(downsampling=names, width=0.5, training=training, padding_mode="circular", pool_skip=2)
    assert asked == [(study, Path("run"))]
    assert cli.run(["demo", "--out", "run"]) == 2
    assert asked[1] == (Study(training=training), Path("run"))
    assert len(asked[1][0].downsampling) == 5


def test_the_time_left_is_that_of_the_net_at_work(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()

    def said(run, number, training=None):
        start = len(stream.getvalue())
        display.show(Stage(run, number, 2, "measuring", training))
        return stream.getvalue()[start:]

    def at(step, seconds):
        return Progress(1, 1, step, 40, 1.5, 0.25, seconds, 10.0)

    with _Display(Console(file=stream, force_terminal=True, color_system=None, width=140)) as display:
        assert "1/2 a-seed0" in said("a-seed0", 1)
        assert "epoch 1/1, loss 1.500, accuracy 0.250, 0:00:30 left" in said("a-seed0", 1, at(10, 10.0))
        assert "0:00:00 left" in said("a-seed0", 1, at(40, 40.0))
        assert "2/2 b-seed0" in said("b-seed0", 2)
        assert "0:01:00 left" in said("b-seed0", 2, at(10, 20.0))


def test_without_a_terminal_each_thing_that_begins_has_a_line():
    stream = io.StringIO()
    with _Display(Console(file=stream, width=20)) as display:
        for run, number in (("a-seed0", 1), ("b-seed0", 2)):
            display.show(Stage(run, number, 2, "measuring (initial, batch norm untouched)"))
            for step in (10, 20):
                display.show(Stage(run, number, 2, "training", Progress(1, 1, step, 40, 1.5, 0.25, 1.0, 10.0)))
    assert stream.getvalue().splitlines() == [
        "1/2 a-seed0 measuring (initial, batch norm untouched)",
        "1/2 a-seed0 training",
        "2/2 b-seed0 measuring (initial, batch norm untouched)",
        "2/2 b-seed0 training",
    ]


def test_images_that_were_left_out_are_listed(tmp_path, monkeypatch, capsys):
    def execute(study, folder, on_stage):
        return fake_run.write(folder, {moment: {"max_pool": 0.2} for moment in fake_run.CONVERGING}, hostile="[red]")

    monkeypatch.setattr("pliant.cli.demo.execute", execute)
    monkeypatch.setattr("pliant.cli.demo.report.comparison", lambda folder: folder / "report.html")
    assert cli.run(["demo", "--out", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("Left out 1 image:")
    assert lines[place + 1] == "  broken[red].jpg: truncated[red]"
