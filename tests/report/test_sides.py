import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from report import fake_run
from report.test_pages import Page
from rich.console import Console

from pliant import report
from pliant._checks import InputError
from pliant.report import Fact, Side, Sides, side_charts, terminal
from pliant.report.sheet import Look
from pliant.stats import Interval

LAYERS = ("input", "conv1", "down", "conv2")


def side(title, *estimate, layers=LAYERS, undefined=None, scatter=0.01, **facts):
    profile = fake_run.profile(0, layers=layers, estimate=np.array(estimate), undefined=undefined)
    replicates = profile.estimate[:, None] + np.random.default_rng(0).normal(0, scatter, (len(layers), 300))
    return Side(title, dataclasses.replace(profile, replicates=replicates), f"From {title}.", facts)


EIGHTY, NINETY = Interval(0.8, 0.7, 0.9, 0.95, 100), Interval(0.9, 0.8, 1.0, 0.95, 100)
TOLD = np.arange(100) % 10
PLAIN = side("plain", 0.2, 0.3, 0.6, 0.5, parameters=Fact("1,000"), accuracy=Fact(EIGHTY, images=(TOLD < 8) * 1.0))
BLURRED = side("blurred", 0.2, 0.3, 0.35, 0.4, parameters=Fact("1,000"))
BETTER = side("better", 0.2, 0.3, 0.35, 0.4, accuracy=Fact(NINETY, images=(TOLD < 9) * 1.0))


def test_lines_hold_values_and_differences():
    lines = Sides([PLAIN, BLURRED]).lines
    assert [line.name for line in lines] == list(LAYERS)
    assert [round(line.differences[0].estimate, 3) for line in lines] == [0, 0, -0.25, -0.1]
    assert lines[2].values[0].estimate == 0.6
    assert lines[2].differences[0].high < 0  # the same scatter in both


def test_the_sentence_names_the_layer_furthest_apart():
    (sentence,) = Sides([PLAIN, BLURRED]).sentences()
    assert sentence == (
        "Sensitivity of blurred lies below that of plain at 2 of 3 layers, above at 0, at the others the interval "
        "holds 0. Furthest apart at down: 0.600 -> 0.350 (-0.250 [-0.250, -0.250])."
    )


def test_where_there_is_no_interval_the_sentence_says_why():
    def lacking(one, *layers, images=100):
        replicates = one.profile.replicates.copy()
        replicates[list(layers)] = np.nan
        distances = one.profile.distances[:, :images]
        return dataclasses.replace(
            one, profile=dataclasses.replace(one.profile, replicates=replicates, distances=distances)
        )

    (sentence,) = Sides([PLAIN, lacking(BLURRED, 1)]).sentences()
    assert sentence == (
        "Sensitivity of blurred lies below that of plain at 2 of 2 layers, above at 0, at the others the interval "
        "holds 0. No interval at 1 more, where a block of few images leaves a layer no pairs. Furthest apart at down: "
        "0.600 -> 0.350 (-0.250 [-0.250, -0.250])."
    )
    for images, why in ((100, "where a block of few images leaves a layer no pairs"), (4, "with fewer than 5 images")):
        (sentence,) = Sides([lacking(PLAIN, images=images), lacking(BLURRED, 0, 1, 2, 3, images=images)]).sentences()
        assert sentence == (
            f"No intervals {why}: nothing says where sensitivity of blurred and plain differs by more than chance. "
            "Furthest apart at down: 0.600 -> 0.350 (-0.250 [none])."
        )


def test_layers_without_a_counterpart_are_named():
    longer = side("longer", 0.2, 0.3, 0.1, 0.6, 0.5, layers=("input", "conv1", "blur", "down", "conv2"))
    found = Sides([PLAIN, longer, BLURRED])
    assert [line.names for line in found.lines] == [(name,) * 3 for name in LAYERS]
    assert found.unmatched == ["blur (longer)"]
    assert found.facts == [
        ("parameters", ["1,000", "", "1,000"], [None, None]),
        ("accuracy", [EIGHTY, "", ""], [None, None]),
    ]


def test_facts_differ_in_pairs():
    ((_, _, (found,)),) = [fact for fact in Sides([PLAIN, BETTER]).facts if fact[0] == "accuracy"]
    assert found.estimate == pytest.approx(0.1)
    # Ten images of a hundred changed, all for the better: far narrower than either interval.
    assert 0.03 < found.low < 0.07
    assert 0.13 < found.high < 0.18
    moved = (Fact(EIGHTY, side.profile) for side in (PLAIN, BLURRED))
    one, other = moved
    assert other.minus(one).estimate == pytest.approx(-0.1)
    assert one.minus(Fact("no logits")) is None


def test_models_without_a_common_layer_are_said_not_to_match():
    other = side("other", 0.2, 0.1, layers=("input", "x"))
    assert Sides([PLAIN, other]).sentences() == [
        "No layer of other could be matched with one of plain: their names differ."
    ]


def test_one_model_is_no_comparison():
    with pytest.raises(InputError) as error:
        Sides([PLAIN])
    assert str(error.value) == "1 models: there is nothing to compare"


def test_the_page_says_all_numbers(tmp_path):
    page = Page(report.models([PLAIN, BLURRED], tmp_path, command="pliant compare a b").read_text())
    wholes, numbers = page.tables
    assert [" ".join(cell.split()) for cell in wholes[0]] == ["", "plain", "blurred", "difference"]
    assert [" ".join(cell.split()) for cell in wholes[2]] == ["accuracy", "0.800 [0.700, 0.900]", "–", "–"]
    assert [" ".join(cell.split()) for cell in numbers[3]] == [
        "2",
        "down",
        "0.600 [0.596, 0.606]",
        "0.350 [0.346, 0.356]",
        "-0.250 [-0.250, -0.250]",
    ]
    assert set(page.charts) == {"curves", "differences"}
    assert "pliant compare a b" in " ".join(page.text)


def test_an_undefined_layer_is_said(tmp_path):
    dead = side("dead", 0.2, 0.3, 0.35, 0.4, undefined={"conv2": "constant"})
    page = Page(report.models([PLAIN, dead], tmp_path).read_text())
    assert [" ".join(cell.split()) for cell in page.tables[1][4]][3:] == ["undefined", "–"]


def test_the_charts_draw_the_numbers():
    found = Sides([PLAIN, BLURRED])
    drawn = side_charts.differences(found, Look()).to_dict()
    rows = pd.DataFrame(drawn["data"]["values"])
    np.testing.assert_allclose(rows["estimate"], [0, 0, -0.25, -0.1], atol=1e-12)
    assert rows["net"].unique().tolist() == ["blurred"]
    rows = pd.DataFrame(side_charts.curves(found, Look()).to_dict()["data"]["values"])
    assert rows.groupby("net")["estimate"].apply(list).to_dict() == {
        "blurred": [0.2, 0.3, 0.35, 0.4],
        "plain": [0.2, 0.3, 0.6, 0.5],
    }


def test_the_terminal_prints_every_layer_and_fact():
    stream = io.StringIO()
    terminal.show_sides([PLAIN, BLURRED], Console(file=stream, width=100))
    lines = [line.split() for line in stream.getvalue().splitlines()]
    assert ["down", "0.600", "0.350", "-0.250", "[-0.250,", "-0.250]"] in lines
    assert ["parameters", "1,000", "1,000"] in lines
