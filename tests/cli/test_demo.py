"""`pliant demo` and `pliant report`, as a user types them."""

import pytest

from pliant import cli, records
from pliant.profile import Profile


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


def test_other_nets_are_chosen_by_name_and_measured_layer_by_layer_like_the_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--width", "0.05", "--epochs", "1", "--limit", "128", "--out", "run"]
    chosen = ["--downsampling", "strided_blur,lps", "--padding-mode", "circular"]
    assert cli.run(["demo", *small, *chosen, "--pool-skip", "2"]) == 0
    found = records.runs("run")
    assert list(found) == ["lps-seed0", "strided_blur-seed0"]
    layers = {profile.layers for profile in (Profile.load(f"run/{name}/trained") for name in found)}
    parts = ("layer1", "layer2", "skip", "down")
    assert layers == {("input", *(f"block{b}.{part}" for b in (1, 2, 3, 4) for part in parts))}
    rough = {tuple(row["layer"] for row in record["total_variation"]) for record in found.values()}
    assert len(rough) == 1  # what learned sampling holds is no layer of the net
    assert "learned sampling" in (tmp_path / "run" / "report.html").read_text()
