from functools import cache

import numpy as np
import pytest
from report import fake_run

from pliant.profile import Profile
from pliant.report import curves, profile_curve
from pliant.report.nets import AFTER, BEFORE, Comparison
from pliant.report.sheet import Look


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return Comparison.read(fake_run.write(folder, undefined={"block2.down": "constant"}))


@pytest.fixture(scope="module")
def of(run):
    """The chart of each moment, drawn once."""
    return cache(lambda moment: curves.sensitivity(run, moment, Look()).to_dict())


def rows(specification):
    return specification["data"]["values"]


def drawn(specification, mark):
    """The layers of a chart that are drawn with a mark."""
    return [layer for layer in specification["layer"] if layer["mark"]["type"] == mark]


@pytest.mark.parametrize(("moment", "name"), [(BEFORE, "initial-calibrated"), (AFTER, "trained")])
def test_sensitivity_is_drawn_as_recorded(run, of, moment, name):
    chart = of(moment)
    points = {(row["net"], row["layer"]): row for row in rows(chart)}
    assert len(points) == 5 * 13
    for net in run.nets:
        profile = Profile.load(run.folder / f"{net.kind}-seed0" / name)
        for i, layer in enumerate(profile.layers):
            found = points[net.title, layer]
            assert found["index"] == i
            if layer not in profile.undefined:
                assert (found["estimate"], found["low"], found["high"]) == (
                    profile.estimate[i],
                    profile.low[i],
                    profile.high[i],
                )


def test_bands_are_intervals_and_lines_are_estimates(of):
    chart = of(AFTER)
    (band,) = drawn(chart, "area")
    (line,) = drawn(chart, "line")
    assert (band["encoding"]["y"]["field"], band["encoding"]["y2"]["field"]) == ("low", "high")
    assert line["encoding"]["y"]["field"] == "estimate"


def test_undefined_breaks_the_line_and_is_never_a_number(of):
    chart = of(AFTER)
    found = [row for row in rows(chart) if "undefined" in row]
    assert [(row["net"], row["layer"], row["undefined"]) for row in found] == [
        ("max pooling", "block2.down", "constant")
    ]
    assert (found[0]["estimate"], found[0]["low"], found[0]["high"]) == (None, None, None)
    (mark,) = drawn(chart, "text")
    assert mark["encoding"]["y"] == {"value": 6}


def test_all_moments_share_one_axis_that_holds_every_interval(run, of):
    ends = {
        layer["encoding"]["y"]["scale"]["domain"][1] for moment in run.moments for layer in drawn(of(moment), "line")
    }
    assert ends == {0.7}


def test_downsampling_layers_are_marked(of):
    chart = of(AFTER)
    (stripes,) = drawn(chart, "rect")
    assert [row["index"] + 0.5 for row in stripes["data"]["values"]] == [3, 6, 9, 12]
    labels = drawn(chart, "line")[0]["encoding"]["x"]["axis"]["labelExpr"]
    assert labels.startswith('["in", "1.1", "1.2", "\\u2193", "2.1"')


def test_a_net_is_switched_off_by_its_title_and_keeps_its_colour(run, of):
    chart = of(AFTER)
    titles = [net.title for net in run.nets]
    assert {"name": "shown", "value": titles} in chart["params"]
    for mark in ("line", "area", "point"):
        for layer in drawn(chart, mark):
            assert {"filter": "indexof(shown, datum.net) >= 0"} in layer["transform"]
            assert layer["encoding"]["color"]["scale"]["domain"] == titles
            assert len(set(layer["encoding"]["color"]["scale"]["range"])) == 5


def test_smoothness_is_drawn_with_its_own_beginning(run):
    chart = curves.smoothness(run, Look()).to_dict()
    for row in rows(chart):
        kind = next(net.kind for net in run.nets if net.title == row["net"])
        assert row["value"] == fake_run.variation(kind, row["index"], "trained")
        assert row["initial"] == fake_run.variation(kind, row["index"], "initial")
    dashed, line = drawn(chart, "line")
    assert (dashed["encoding"]["y"]["field"], line["encoding"]["y"]["field"]) == ("initial", "value")
    assert "strokeDash" in dashed["mark"]


def test_the_training_curve_is_the_history(run):
    chart = curves.training(run, Look()).to_dict()
    found = [(row["epoch"], row["accuracy"]) for row in rows(chart) if row["net"] == "average pooling"]
    assert found == [(1, 1 - 0.5 / 3), (2, 1 - 0.5 / 4), (3, 1 - 0.5 / 5)]


def test_a_profile_shows_where_it_rises_most():
    profile = fake_run.profile(
        0, layers=("input", "a", "b", "c"), estimate=np.array([0.1, 0.15, 0.0, 0.4]), undefined={"b": "nan"}
    )
    chart = profile_curve.curve(profile).to_dict()
    assert [row["estimate"] for row in rows(chart)] == [0.1, 0.15, None, 0.4]
    stretch = drawn(chart, "line")[1]["data"]["values"]
    assert [(end["index"], end["estimate"]) for end in stretch] == [(1, 0.15), (3, 0.4)]
    assert drawn(chart, "text")[0]["data"]["values"][0]["text"] == "+0.25"


def test_a_profile_that_never_rises_has_no_such_mark():
    chart = profile_curve.curve(fake_run.profile(0, layers=("input", "a"), estimate=np.array([0.2, 0.1]))).to_dict()
    assert len(drawn(chart, "line")) == 1
