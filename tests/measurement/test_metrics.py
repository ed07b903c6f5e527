"""All metrics through `measure`: one contract, and what each adds to the pass."""

from functools import cache

import numpy as np
import pytest
import torch
from reference import expanded
from reference import relative_stability as reference
from torch import nn

from pliant.deform import Flow, ThinPlate, warp
from pliant.measurement import measure, measure_each
from pliant.measurement.noise import noisy
from pliant.metrics import METRICS, Metric, Reading, Sample
from pliant.profile import Profile

PLATE = ThinPlate(grid=3, reach=2.0)
RELATIVE = [name for name in METRICS if "stability" in name]
# Of logits alone: `tests/metrics/test_consistency.py`.
OF_ALL_LAYERS = [name for name in METRICS if name != "consistency"]


def pictures(n, size=16, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def small_net():
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(scope="module")
def of_each():
    """What `measure_each` says of the small net, by metric, from one pass for all of them and for all tests."""

    @cache
    def measured(count, layers="all", batches=(), **settings):
        images = list(pictures(count).split(batches)) if batches else pictures(count)
        return measure_each(small_net(), images, PLATE, layers, OF_ALL_LAYERS, **settings)

    return measured


@pytest.mark.parametrize("metric", OF_ALL_LAYERS)
def test_batches_of_any_size_are_the_same_measurement(metric, of_each):
    whole = of_each(21, block=8, replicates=50)[metric]
    parts = of_each(21, batches=(1, 12, 8), block=8, replicates=50)[metric]
    for name in ("estimate", "low", "high", "distances", "medians"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("metric", OF_ALL_LAYERS)
def test_seed_and_draw_decide(metric, of_each):
    first = of_each(8, replicates=0)[metric]
    for change in ({"seed": 1}, {"draw": 1}):
        other = of_each(8, replicates=0, **change)[metric]
        assert (first.distances[1:] != other.distances[1:]).all()


@pytest.mark.parametrize("metric", OF_ALL_LAYERS)
def test_intervals_hold_the_estimate_and_narrow_with_the_number_of_images(metric, of_each):
    few, many = (of_each(count, "3", replicates=300)[metric] for count in (20, 320))
    for profile in (few, many):
        found = profile["3"]
        assert found.low < found.estimate < found.high
    assert many["3"].high - many["3"].low < 0.6 * (few["3"].high - few["3"].low)


@pytest.mark.parametrize("metric", OF_ALL_LAYERS)
def test_the_estimate_is_what_the_raw_numbers_give(metric, of_each):
    profile = of_each(16, replicates=50, level=0.8)[metric]
    own = {"mean": np.mean, "median": np.median}["median" if metric.endswith("_median") else "mean"]
    np.testing.assert_allclose(profile.estimate, own(profile.distances, axis=1) / profile.medians[:, 0], rtol=1e-12)


@pytest.mark.parametrize("metric", OF_ALL_LAYERS)
def test_the_interval_is_what_the_replicates_give(metric, of_each):
    profile = of_each(16, replicates=50, level=0.8)[metric]
    assert profile.replicates.shape == (len(profile.layers), 50)
    np.testing.assert_allclose(
        np.quantile(profile.replicates, expanded.quantiles(0.8, 16), axis=1), [profile.low, profile.high]
    )


@pytest.mark.parametrize("metric", OF_ALL_LAYERS)
def test_a_profile_comes_back_from_its_files(metric, of_each, tmp_path):
    profile = of_each(16, replicates=50, level=0.8)[metric]
    again = Profile.load(profile.save(tmp_path))
    assert (again.metric, again.quantity, again.scale) == (metric, METRICS[metric].quantity, METRICS[metric].scale)
    np.testing.assert_array_equal(again.distances, profile.distances)
    assert again.replicates is None


@pytest.mark.parametrize(("count", "block"), [(9, 128), (17, 8)])
def test_relative_stability_equals_the_statistic_written_out(count, block):
    model, images = small_net(), pictures(count)
    found = measure_each(model, images, PLATE, ["0", "2", "3"], RELATIVE, seed=3, block=block, replicates=0)
    deformed = warp(images, PLATE.sample(range(count), (16, 16), seed=3))
    noise = noisy(images, deformed, 0, 3, 0)
    for upto in (0, 1, 3, 4):
        with torch.no_grad():
            three = [model[:upto](x).flatten(1).numpy() for x in (images, deformed, noise)]
        layer = f"{upto - 1}" if upto else "input"
        for ending, take in (("", np.mean), ("_median", np.median)):
            expected = reference.stabilities(*three, block, take)
            for name, value in expected.items():
                assert found[name + ending][layer].estimate == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("deformation", [PLATE, Flow(torch.ones(2, 16, 16).cumsum(1) / 8)])
def test_of_the_images_themselves_relative_stability_is_1(deformation):
    for metric in ("relative_stability", "relative_stability_median"):
        profile = measure(nn.Sequential(nn.Identity()), pictures(12), deformation, "all", metric)
        np.testing.assert_allclose([profile.estimate, profile.low, profile.high], 1, rtol=1e-5)


def test_relative_stability_does_not_see_scale_offset_and_rotation():
    rotation, _ = torch.linalg.qr(torch.randn(144, 144, generator=torch.Generator().manual_seed(1)))

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.affine, self.turn = small_net(), nn.Identity(), nn.Identity()

        def forward(self, x):
            y = self.net(x)
            return self.turn(self.affine(0.7 - 2.5 * y).flatten(1) @ rotation)

    profile = measure(Turned(), pictures(12), PLATE, ["net.3", "affine", "turn"], "relative_stability")
    np.testing.assert_allclose(profile.estimate[2:], profile.estimate[1], rtol=1e-4)


def test_what_hears_deformations_less_than_noise_is_below_1():
    class Blur(nn.Module):
        def forward(self, x):
            return nn.functional.avg_pool2d(x, 4)

    class Edges(nn.Module):
        def forward(self, x):
            return x.diff(dim=2)

    small = ThinPlate(grid=3, reach=1.0)
    rough, smooth = (
        measure(nn.Sequential(m), pictures(32), small, metric="noise_stability") for m in (Edges(), Blur())
    )
    assert smooth.estimate[1] < rough.estimate[1]  # noise is rough: averaging takes it away, differences keep it


def test_noise_that_changes_nothing_leaves_relative_stability_undefined():
    profile = measure(small_net(), pictures(6), ThinPlate(reach=0), metric="relative_stability")
    assert set(profile.undefined.values()) == {"noise of the size of the deformation changes nothing"}
    assert len(profile.undefined) == 5
    constant = nn.Sequential(nn.Conv2d(3, 2, 1))
    nn.init.zeros_(constant[0].weight)
    undefined = measure(constant, pictures(6), PLATE, metric="relative_stability").undefined
    assert list(undefined.values()) == ["constant: the same for all images"]


@pytest.mark.parametrize(
    ("metrics", "parts"),
    [
        (("cosine", "euclidean", "equivariance", "correlation", "lie_derivative"), 2),
        (("cosine", "relative_stability", "lie_derivative"), 3),
    ],
)
def test_noisy_images_are_fed_only_if_a_metric_asks(metrics, parts):
    model, fed = small_net(), []
    model.register_forward_hook(lambda module, args, out: fed.append(len(args[0])))
    measure_each(model, pictures(12), PLATE, metrics=metrics, block=8, replicates=0)
    assert fed == [2, parts * 8, parts * 4]


def test_all_metrics_in_one_pass_are_the_numbers_of_each_alone():
    model, images = small_net(), pictures(12)
    together = measure_each(model, images, PLATE, metrics=tuple(METRICS), block=8, replicates=50)
    for metric, profile in together.items():
        alone = measure(model, images, PLATE, metric=metric, block=8, replicates=50)
        for name in ("estimate", "low", "high", "distances", "medians"):
            np.testing.assert_allclose(getattr(profile, name), getattr(alone, name), rtol=1e-4, atol=1e-6)


def test_noise_that_is_not_finite_inside_is_told():
    class Fragile(nn.Module):
        def forward(self, x):
            y = x.clone()
            if len(x) == 18:
                y[-1] = float("nan")
            return y

    found = measure_each(nn.Sequential(Fragile()), pictures(6), PLATE, metrics=("relative_stability", "cosine"))
    assert list(found["relative_stability"].undefined.values()) == ["NaN or infinite activations of noisy images"]
    assert found["cosine"].undefined == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_models_of_other_types(dtype, of_each):
    exact = of_each(20, "3", replicates=300)
    other = measure_each(small_net().to(dtype), pictures(20), PLATE, "3", OF_ALL_LAYERS, replicates=0)
    for metric in OF_ALL_LAYERS:
        assert other[metric]["3"].estimate == pytest.approx(exact[metric]["3"].estimate, rel=0.1)


@pytest.mark.parametrize("metric", ["equivariance", "correlation", "lie_derivative"])
def test_few_images_at_a_time_are_the_same(metric, of_each, monkeypatch):
    whole = of_each(8, replicates=0)[metric]
    monkeypatch.setattr("pliant.metrics.block._NUMBERS", {"cpu": 3000})
    parts = measure(small_net(), pictures(8), PLATE, metric=metric, replicates=0)
    np.testing.assert_allclose(parts.distances, whole.distances, rtol=1e-5, atol=1e-9)


def test_one_line_in_the_dict_is_all_that_a_metric_needs(monkeypatch):
    class Largest(Metric):
        quantity, scale = "largest change", "0: none"

        def read(self, block):
            changes = (block.deformed - block.clean).flatten(1).abs().amax(1).double()
            return Reading(Sample(changes, "images", "median"))

    monkeypatch.setitem(METRICS, "largest", Largest())
    profile = measure(small_net(), pictures(10), PLATE, metric="largest")
    assert profile.quantity == "largest change"
    deformed = warp(pictures(10), PLATE.sample(range(10), (16, 16)))
    expected = (deformed - pictures(10)).abs().amax((1, 2, 3)).numpy()
    assert profile.distances[0] == pytest.approx(expected)
    assert profile["input"].low <= np.median(expected) <= profile["input"].high
    assert profile["input"].estimate == pytest.approx(np.median(expected))
