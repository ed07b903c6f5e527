"""Shift consistency on the command line, and what leads there."""

import inspect
import re

import pytest

from pliant import cli
from pliant._checks import InputError
from pliant.cli.measure import measure as command
from pliant.cli.shift import shifts_up_to
from pliant.measurement.naming import ELSEWHERE
from pliant.outcomes import ShiftConsistency

MODEL = """
import torch
from torch import nn

def maps():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU())

def build():
    return nn.Sequential(*maps(), nn.Flatten(), nn.Linear(196, 5))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(MODEL)
    return tmp_path


def measure(*arguments, model="net.py:build"):
    return cli.run(["measure", model, "--size", "16", "--images", "digits", "--limit", "12", *arguments])


def test_it_is_said_saved_and_reported(here, capsys):
    assert measure("--shift", "25%", "--seed", "3", "--out", "result") == 0
    found = ShiftConsistency.load(here / "result")
    assert (found.interval.n, found.protocol["largest"], found.protocol["seed"]) == (12, [5, 5], 3)
    said = f"Shift consistency: {found}"
    assert said in capsys.readouterr().out.splitlines()
    assert f"get the same top-1: {found}." in (here / "result" / "report.html").read_text()
    assert measure() == 0
    assert "hift consistency" not in capsys.readouterr().out


def test_what_has_no_answers_is_refused_before_the_work(here, capsys):
    assert measure("--shift", "25%", "--out", "result", model="net.py:maps") == 2
    assert capsys.readouterr().err.startswith("pliant: the model puts out (24, 4, 7, 7) for 24 images: logits (n, k)")
    assert not (here / "result").exists()
    assert measure("--shift", "300%") == 2
    assert capsys.readouterr().err == "pliant: --shift 300%: above 0 and at most the width, 16px, as 14% or 4px\n"


def test_shifts_are_counted_in_pixels_from_none():
    reaches = (("25%", 16), ("4px", 32), ("1%", 32), ("14%", 224), ("112px", 224), ("100%", 224))
    assert [shifts_up_to(reach, (side, side)) for reach, side in reaches] == [5, 5, 2, 32, 113, 224]
    assert shifts_up_to("50%", (20, 64)) == 20
    with pytest.raises(InputError, match="^--shift 50px: above 0 and at most the width, 32px, "):
        shifts_up_to("50px", (32, 32))


def test_what_is_no_metric_leads_to_an_option_that_exists(capsys):
    assert cli.run(["measure", "nothing", "--metric", "shift-consistency"]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"pliant: metric='shift_consistency' is measured by a function of its own: {ELSEWHERE['shift_consistency']}\n"
    )
    assert cli.run(["compare", "nothing", "nothing", "--metric", "worst-case"]) == 2
    assert capsys.readouterr().err.endswith("; on the command line pliant measure --worst-case\n")
    options = re.findall(r"pliant measure --([\w-]+)", " ".join(ELSEWHERE.values()))
    assert set(options) == {"shift", "worst-case"}
    assert {option.replace("-", "_") for option in options} <= inspect.signature(command).parameters.keys()
