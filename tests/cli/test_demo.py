"""`pliant demo` and `pliant report`, as a user types them."""

import pytest

from pliant import cli, records


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "epochs=0: at least 1, or there is nothing after training"),
        (["--seed", "-1"], "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
        (["--width", "inf"], "width=inf: a factor on the channels, above 0"),
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
    assert cli.run(["demo", "--width", "0.05", "--epochs", "1", "--limit", "128", "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert "Before training" in printed
    assert "Report: run/report.html" in printed
    assert len(records.runs("run")) == 5
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert cli.run(["report", "run", "--figures", "figures"]) == 0
    assert (tmp_path / "run" / "report.html").read_bytes() == page
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "sensitivity.svg",
        "smoothness.svg",
        "table.md",
    ]
