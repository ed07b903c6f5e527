"""Whatever is measured can be saved and loaded, and profiles of whatever kind drawn and compared."""

import dataclasses

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from reference import expanded
from torch import nn

import pliant
from pliant._checks import InputError

PLATE = pliant.ThinPlate(grid=3, reach=2.0)


def pictures(n):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=(12, 12), mode="bicubic")


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 1, 1), nn.Tanh(), nn.Conv2d(4, 4, 3, 2), nn.Flatten(), nn.Linear(100, 3)
        )


@pytest.fixture(scope="module")
def profiles(model):
    pooling = pliant.channel_pooling(model, pictures(12), PLATE, "convs", seed=3, block=6, replicates=50)
    chain = pliant.lie_derivative(model, pictures(12), pliant.Lie("rotation"), ["0", "2"], block=6, replicates=50)
    return {"trained": pooling.trained, "permuted": pooling.permuted, "chain": chain}


every_kind = pytest.mark.parametrize("kind", ["trained", "permuted", "chain"])


@every_kind
def test_a_profile_comes_back_from_its_files(profiles, kind, tmp_path):
    again = pliant.Profile.load(profiles[kind].save(tmp_path))
    for field in dataclasses.fields(pliant.Profile):
        if field.name != "replicates":
            np.testing.assert_array_equal(getattr(again, field.name), getattr(profiles[kind], field.name))


@every_kind
def test_a_profile_is_drawn_with_its_words(profiles, kind):
    profile = profiles[kind]
    axes = profile.plot()
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), profile.estimate)
    assert [label.get_text() for label in axes.get_xticklabels()] == list(profile.layers)
    axes.figure.canvas.draw()
    box = axes.yaxis.label.get_window_extent()
    assert min(box.x0, box.y0) >= 0
    assert box.y1 <= axes.figure.bbox.y1
    assert axes.yaxis.label.get_text().replace("\n", " ") == f"{profile.quantity} ({profile.metric})"
    pyplot.close("all")


@every_kind
def test_a_profile_less_itself_is_nothing(profiles, kind):
    found = profiles[kind].minus(profiles[kind])
    assert [ours for ours, _ in found.layers] == list(profiles[kind].layers)
    for values in (found.estimate, found.low, found.high):
        assert not values.any()


def test_what_permuting_adds_is_a_paired_difference(profiles):
    trained, permuted = profiles["trained"], profiles["permuted"]
    found = permuted.minus(trained)
    np.testing.assert_array_equal(found.estimate, permuted.estimate - trained.estimate)
    ends = expanded.quantiles(0.95, trained.images)
    apart = np.quantile(permuted.replicates - trained.replicates, ends, axis=1)
    np.testing.assert_allclose([found.low, found.high], apart)
    assert found[2].low < found[2].high


def test_a_profile_of_permuted_channels_says_so(profiles):
    assert profiles["permuted"].provenance["changed"] == "input channels of 2 convolutions permuted, seed 3"
    assert "changed" not in profiles["trained"].provenance


def test_chains_of_two_models_are_compared_by_the_paired_bootstrap(model, profiles):
    other = nn.Sequential(*(nn.ReLU() if isinstance(part, nn.Tanh) else part for part in model))
    images, family = pictures(12), pliant.Lie("rotation")
    chain = pliant.lie_derivative(other, images, family, ["0", "2"], block=6, replicates=50)
    found = chain.minus(profiles["chain"])
    assert list(found.layers) == [(name, name) for name in ("input", "0", "2", "output", "end to end")]
    np.testing.assert_array_equal(found.estimate, chain.estimate - profiles["chain"].estimate)
    assert found[4].low < found[4].estimate < found[4].high


def test_a_chain_does_not_compare_with_a_profile_of_layers(model, profiles):
    layers = pliant.measure(
        model, pictures(12), pliant.Lie("rotation"), ["0", "2"], "lie_derivative", block=6, replicates=50
    )
    with pytest.raises(InputError) as error:
        profiles["chain"].minus(layers)
    assert str(error.value) == ("profiles that differ in their contributions_to are not comparable: measure both alike")


def test_outcomes_that_were_measured_come_back(model, tmp_path):
    images, labels = pictures(8), torch.arange(8) % 3
    consistency = pliant.shift_consistency(model, images, pairs=2)
    shifts = pliant.shift_map(model, images, "0", largest=2, replicates=20)
    curve = pliant.accuracy_under(model, images, labels, pliant.Rotate(degrees=(-20, 20)), strengths=(0, 1))
    for outcome in (consistency, shifts, curve):
        again = type(outcome).load(outcome.save(tmp_path))
        assert (again.protocol, again.provenance) == (outcome.protocol, outcome.provenance)
    assert str(pliant.ShiftConsistency.load(tmp_path)) == str(consistency)
    np.testing.assert_array_equal(pliant.ShiftMap.load(tmp_path).high, shifts.high)
    np.testing.assert_array_equal(pliant.AccuracyCurve.load(tmp_path).correct, curve.correct)
