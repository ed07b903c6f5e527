"""Outcomes come back from their files, also several from one folder."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from outcomes import test_accuracy_curve, test_shift_map

import pliant
from pliant._checks import InputError
from pliant.outcomes import AccuracyCurve, ShiftConsistency, ShiftMap
from pliant.stats import Interval


def consistency(ends=(0.5, 0.9)):
    return ShiftConsistency(
        interval=Interval(0.7, *ends, 0.9, 4),
        agreement=np.array([1.0, 0.5, 1 / 3, 1.0]),
        protocol={"largest": [3, 3], "crop": None, "pairs": 6, "seed": 2},
        provenance={"device": "cpu"},
    )


def curve(**changes):
    made = test_accuracy_curve.made_up()
    correct = np.random.default_rng(0).random((10, 3)) < 0.5
    return dataclasses.replace(made, correct=correct, protocol={"seed": 1}, **changes)


OUTCOMES = {
    "consistency": consistency(),
    "consistency without an interval": consistency((np.nan, np.nan)),
    "curve": curve(),
    "curve without an interval": curve(area=Interval(0.7, np.nan, np.nan, 0.95, 10)),
    "map": test_shift_map.made_up(),
    "map without intervals": dataclasses.replace(test_shift_map.made_up(), low=np.full((5, 3, 3), np.nan)),
}


def differing(one, other):
    """The fields in which two results of one kind are not the same to the bit."""
    found = []
    for field in dataclasses.fields(one):
        pair = [getattr(result, field.name) for result in (one, other)]
        pair = [dataclasses.astuple(value) if isinstance(value, Interval) else value for value in pair]
        try:
            np.testing.assert_array_equal(*pair)
            assert np.asarray(pair[0]).dtype == np.asarray(pair[1]).dtype
        except AssertionError:
            found.append(field.name)
    return found


def test_a_difference_is_seen():
    changed = dataclasses.replace(consistency(), agreement=np.ones(4), protocol={})
    assert differing(consistency(), changed) == ["agreement", "protocol"]
    assert differing(consistency(), consistency((0.5, 0.91))) == ["interval"]


@pytest.mark.parametrize("name", OUTCOMES)
def test_save_and_load(name, tmp_path):
    outcome = OUTCOMES[name]
    folder = outcome.save(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    again = type(outcome).load(str(folder))
    assert type(again) is type(outcome)
    assert differing(outcome, again) == []
    assert str(again) == str(outcome) or not isinstance(outcome, ShiftConsistency)


def test_the_order_of_the_samples_in_the_file_does_not_matter(tmp_path):
    for name in ("consistency", "curve", "map"):
        OUTCOMES[name].save(tmp_path)
    for path in tmp_path.glob("*.parquet"):
        pd.read_parquet(path)[::-1].to_parquet(path, index=False)
    for name in ("consistency", "curve", "map"):
        assert differing(OUTCOMES[name], type(OUTCOMES[name]).load(tmp_path)) == []


@pytest.mark.parametrize("kind", [AccuracyCurve, ShiftConsistency, ShiftMap])
def test_what_is_no_outcome_of_that_kind_is_refused(kind, tmp_path):
    outcome = next(one for one in OUTCOMES.values() if type(one) is kind)
    name = {AccuracyCurve: "accuracy_curve", ShiftConsistency: "shift_consistency", ShiftMap: "shift_map"}[kind]
    path = outcome.save(tmp_path) / f"{name}.json"
    payload = json.loads(path.read_text())
    broken = {**payload, "images": 3, "largest": 4}  # of another measurement than the samples
    for content, said in (
        ({**payload, "schema": 2}, f"{path} has schema 2; this version of pliant reads 1: update pliant"),
        ({"schema": 1}, f"{path} and {name}.parquet do not hold one whole {name.replace('_', ' ')}: measure it again"),
        (broken, f"{path} and {name}.parquet do not hold one whole {name.replace('_', ' ')}: measure it again"),
        ([], f"{path} is no saved {name.replace('_', ' ')}: name a folder that pliant has written"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(InputError) as error:
            kind.load(tmp_path)
        assert str(error.value) == said


def test_they_are_public():
    assert (pliant.AccuracyCurve, pliant.ShiftConsistency, pliant.ShiftMap) == (
        AccuracyCurve,
        ShiftConsistency,
        ShiftMap,
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["estimate", "low", "high", "rms", "folds"])
def test_a_curve_has_each_number_for_each_strength(tmp_path, name):
    path = OUTCOMES["curve"].save(tmp_path) / "accuracy_curve.json"
    payload = json.loads(path.read_text())
    path.write_text(json.dumps({**payload, name: payload[name][:-1]}))
    with pytest.raises(InputError, match="do not hold one whole accuracy curve: measure it again"):
        AccuracyCurve.load(tmp_path)
