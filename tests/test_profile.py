import dataclasses
import json

import numpy as np
import pytest
from matplotlib import pyplot
from reference import expanded

from pliant._checks import InputError
from pliant.profile import Profile


def made_up(**changes):
    """Three layers, the last undefined; two blocks of images."""
    numbers = np.random.default_rng(0)
    profile = Profile(
        layers=("input", "conv", "dead"),
        metric="cosine",
        estimate=np.array([0.1, 0.3, np.nan]),
        low=np.array([0.08, 0.25, np.nan]),
        high=np.array([0.12, 0.35, np.nan]),
        undefined={"dead": "constant: the same for all images"},
        level=0.95,
        distances=numbers.random((3, 5)),
        medians=numbers.random((3, 2)),
        folds=0.01,
        protocol={"block": 3},
        provenance={"device": "cpu"},
    )
    return dataclasses.replace(profile, **changes)


def test_to_pandas_has_one_row_a_layer():
    table = made_up().to_pandas()
    assert list(table.columns) == ["layer_index", "layer", "metric", "estimate", "low", "high", "n"]
    assert table.iloc[1].tolist() == [1, "conv", "cosine", 0.3, 0.25, 0.35, 5]
    assert table["estimate"].isna().tolist() == [False, False, True]


def test_raw_holds_every_sample():
    profile = made_up()
    raw = profile.raw()
    assert list(raw.columns) == ["layer_index", "layer", "metric", "item", "index", "value"]
    assert len(raw) == 3 * 5 + 3 * 2
    row = raw[(raw["layer"] == "conv") & (raw["item"] == "image") & (raw["index"] == 4)]
    assert row["value"].item() == profile.distances[1, 4]
    row = raw[(raw["layer"] == "dead") & (raw["item"] == "median") & (raw["index"] == 1)]
    assert row["value"].item() == profile.medians[2, 1]


def test_a_layer_by_name():
    interval = made_up()["conv"]
    assert (interval.estimate, interval.low, interval.high, interval.level, interval.n) == (0.3, 0.25, 0.35, 0.95, 5)
    with pytest.raises(InputError) as error:
        made_up()["convv"]
    assert str(error.value) == "unknown layer 'convv'. Did you mean 'conv'?"


def test_plot_draws_the_numbers():
    axes = made_up().plot(label="net")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), [0.1, 0.3, np.nan])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["input", "conv", "dead"]
    assert line.get_label() == "net"
    assert made_up().plot(axes) is axes
    assert len(axes.lines) == 2
    pyplot.close("all")


@pytest.mark.parametrize(
    "words", [{}, {"quantity": "contribution to an error that takes many words to say, and more"}], ids=len
)
def test_what_is_plotted_is_named_beside_the_plot(words):
    axes = made_up(**words).plot()
    figure = axes.figure
    figure.canvas.draw()
    label = axes.yaxis.label
    assert label.get_text().replace("\n", " ") == f"{made_up(**words).quantity} (cosine)"
    box = label.get_window_extent()
    assert min(box.x0, box.y0) >= 0
    assert box.y1 <= figure.bbox.y1
    pyplot.close("all")


def test_save_and_load(tmp_path):
    profile = made_up()
    again = Profile.load(profile.save(tmp_path / "a" / "b"))
    for field in dataclasses.fields(Profile):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(profile, field.name))


def test_what_is_no_profile_is_refused(tmp_path):
    with pytest.raises(InputError) as error:
        Profile.load(tmp_path)
    assert str(error.value) == (f"there is no {tmp_path / 'profile.json'}: name a folder that pliant has written")
    (tmp_path / "profile.json").write_text("[]")
    with pytest.raises(InputError) as error:
        Profile.load(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'profile.json'} is no saved profile: name a folder that pliant has written"
    )
    made_up().save(tmp_path)
    text = (tmp_path / "profile.json").read_text()
    (tmp_path / "profile.json").write_text(text.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(InputError) as error:
        Profile.load(tmp_path)
    assert (
        str(error.value) == f"{tmp_path / 'profile.json'} has schema 2; this version of pliant reads 1: update pliant"
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["estimate", "low", "high", "medians"])
def test_a_profile_has_each_number_for_each_layer(tmp_path, name):
    path = made_up().save(tmp_path) / "profile.json"
    payload = json.loads(path.read_text())
    path.write_text(json.dumps({**payload, name: payload[name][:-1]}))
    with pytest.raises(InputError) as error:
        Profile.load(tmp_path)
    assert str(error.value) == f"{path} and measurements.parquet do not hold one whole profile: measure it again"


def resampled(estimate, seed=0, layers=("input", "conv"), **changes):
    """A profile with replicates that scatter about its estimates, the same way for one seed."""
    scatter = np.random.default_rng(seed).normal(0, 0.05, (len(layers), 400))
    estimate, count = np.array(estimate), len(layers)
    undefined = {name: "constant" for name, value in zip(layers, estimate, strict=True) if np.isnan(value)}
    return made_up(
        layers=layers,
        estimate=estimate,
        low=estimate - 0.1,
        high=estimate + 0.1,
        distances=np.ones((count, 5)),
        medians=np.ones((count, 2)),
        replicates=estimate[:, None] + scatter,
        undefined=undefined,
        **changes,
    )


def test_a_profile_less_itself_is_nothing():
    profile = resampled([0.1, 0.3])
    found = profile.minus(profile)
    assert found.layers == (("input", "input"), ("conv", "conv"))
    for values in (found.estimate, found.low, found.high):
        assert values.tolist() == [0.0, 0.0]


def test_a_difference_is_paired_and_antisymmetric():
    # The same scatter in both: of the difference nothing is left but what the replicates differ by.
    one, other = resampled([0.1, 0.3]), resampled([0.2, 0.25], seed=0)
    found, back = one.minus(other), other.minus(one)
    np.testing.assert_allclose(found.estimate, [-0.1, 0.05])
    np.testing.assert_allclose(found.low, found.estimate, atol=1e-12)
    np.testing.assert_allclose(found.high, found.estimate, atol=1e-12)
    np.testing.assert_allclose(found.low, -back.high)
    # Unrelated scatter: quantiles of the differences of the replicates, by hand.
    other = resampled([0.2, 0.25], seed=1)
    found = one.minus(other)
    apart = np.quantile(one.replicates[1] - other.replicates[1], expanded.quantiles(0.95, one.images))
    np.testing.assert_allclose([found[1].low, found[1].high], apart)
    assert found.to_pandas()["estimate"].tolist() == found.estimate.tolist()


def test_layers_are_matched_by_place_or_by_name():
    one = resampled([0.1, 0.3], layers=("input", "conv"))
    assert one.minus(resampled([0.1, 0.2], layers=("input", "other"))).layers == (("input", "input"), ("conv", "other"))
    longer = resampled([0.1, 0.2, 0.5], layers=("input", "a", "b"))  # as many, but names agree
    assert longer.minus(resampled([0.1, 0.2, 0.5], layers=("input", "b", "c"))).layers == (
        ("input", "input"),
        ("b", "b"),
    )
    longer = resampled([0.1, 0.2, 0.5], layers=("input", "blur", "conv"))
    found = one.minus(longer)
    assert found.layers == (("input", "input"), ("conv", "conv"))
    np.testing.assert_allclose(found.estimate, [0.0, -0.2])


def test_a_module_that_became_several_is_matched_with_the_last_of_them():
    one = resampled([0.1, 0.3, 0.2], layers=("input", "down", "conv"))
    other = resampled([0.1, 0.3, 0.4, 0.2], layers=("input", "down.pool", "down.blur", "conv"))
    expected = (("input", "input"), ("down", "down.blur"), ("conv", "conv"))
    assert one.minus(other).layers == expected
    assert other.minus(one).layers == tuple((theirs, mine) for mine, theirs in expected)


def test_an_undefined_layer_has_no_difference():
    found = resampled([0.1, 0.3]).minus(resampled([0.1, np.nan]))
    assert np.isfinite(found.estimate).tolist() == [True, False]
    assert np.isfinite(found.low).tolist() == [True, False]


def test_what_cannot_be_compared_is_refused(tmp_path):
    one = resampled([0.1, 0.3], protocol={"seed": 0, "block": 8, "image_shape": [3, 32, 32]})
    with pytest.raises(InputError) as error:
        one.minus(resampled([0.1, 0.3], protocol={"seed": 1, "block": 8}))
    assert str(error.value) == "profiles that differ in their seed are not comparable: measure both alike"
    one.minus(resampled([0.1, 0.3], protocol={"seed": 0, "block": 8, "image_shape": [3, 64, 64]}))
    loaded = Profile.load(one.save(tmp_path / "one"))
    with pytest.raises(InputError) as error:
        one.minus(loaded)
    assert str(error.value) == (
        "a difference needs the replicates of the bootstrap, and a loaded profile has none: measure both anew"
    )
