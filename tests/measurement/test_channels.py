import copy

import numpy as np
import pytest
import torch
from reference import expanded
from torch import nn

from pliant._checks import InputError
from pliant.deform import ThinPlate, warp
from pliant.measurement import channel_pooling, measure
from pliant.metrics import METRICS
from pliant.stats import PairBootstrap
from pliant.surgery import permuted_channels

PLATE = ThinPlate(grid=3, reach=2.0)


def pictures(n, size=12, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 3))


def test_it_is_two_measurements_of_the_same_images():
    model, images = net(), pictures(20)
    weights = copy.deepcopy(model.state_dict())
    found = channel_pooling(model, iter(images.split(7)), PLATE, "convs", seed=2, block=8, replicates=50)
    for profile, one in ((found.trained, model), (found.permuted, permuted_channels(model, 2).model)):
        alone = measure(one, images, PLATE, "convs", "deformation_stability", 2, block=8, replicates=50)
        for name in ("estimate", "low", "high", "distances"):
            np.testing.assert_array_equal(getattr(profile, name), getattr(alone, name))
    assert (found.trained.estimate[1:] != found.permuted.estimate[1:]).all()
    assert found.left == ("2: Conv2d(8 to 8 channels) stays: one input channel a filter: there is nothing to permute",)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def parts(model, images, deformed, upto):
    """|r(tx) - r(x)|^2 of each image, and |r(x_i) - r(x_j)|^2 of each pair as a square."""
    with torch.no_grad():
        x, y = (model[:upto](batch).flatten(1).double().numpy() for batch in (images, deformed))
    return ((y - x) ** 2).sum(1), ((x[:, None] - x[None]) ** 2).sum(2)


def test_the_interval_of_the_ratio_is_that_of_a_paired_bootstrap_written_out():
    model, images, blocks = net(), pictures(13), (range(8), range(8, 13))
    found = channel_pooling(model, images, PLATE, "3", seed=2, block=8, replicates=40, level=0.9)
    deformed = warp(images, PLATE.sample(range(13), (12, 12), seed=2))
    counts = [PairBootstrap(len(block), 40, 2, number).counts for number, block in enumerate(blocks)]
    ratios = []
    for replicate in range(40):
        stability = []
        for one in (permuted_channels(model, 2).model, model):
            moved, apart = parts(one, images, deformed, 4)
            above = below = above_count = below_count = 0.0
            for block, count in zip(blocks, counts, strict=True):
                times = count[replicate].astype(float)
                above += (times * moved[list(block)]).sum()
                above_count += len(block)
                pairs = [(i, j) for i in range(len(block)) for j in range(i + 1, len(block))]
                weights = [times[i] * times[j] for i, j in pairs]
                gaps = [apart[block[i], block[j]] for i, j in pairs]
                below += len(pairs) * np.average(gaps, weights=weights)
                below_count += len(pairs)
            stability.append(above / above_count / (below / below_count))
        ratios.append(stability[0] / stability[1])
    table = found.to_pandas()
    low, high = np.quantile(ratios, expanded.quantiles(0.9, found.trained.images))
    assert table["ratio_low"][1] == pytest.approx(low, rel=1e-4)
    assert table["ratio_high"][1] == pytest.approx(high, rel=1e-4)
    assert table["ratio"][1] == pytest.approx(found.permuted["3"].estimate / found.trained["3"].estimate)


def test_pairing_makes_the_interval_narrower_than_the_two_side_by_side():
    table = channel_pooling(net(), pictures(60), PLATE, "3").to_pandas().iloc[1]
    assert table["ratio_low"] < table["ratio"] < table["ratio_high"]
    apart = table["permuted_high"] / table["trained_low"] - table["permuted_low"] / table["trained_high"]
    assert table["ratio_high"] - table["ratio_low"] < 0.7 * apart


def test_where_channels_are_treated_alike_all_stability_survives():
    model = net()
    with torch.no_grad():
        for conv in (model[0], model[3]):
            conv.weight.copy_(conv.weight[:, :1].clone().expand_as(conv.weight))
    table = channel_pooling(model, pictures(10), PLATE, replicates=50).to_pandas()
    np.testing.assert_allclose(table[["ratio", "ratio_low", "ratio_high"]], 1, rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_what_one_channel_among_others_keeps_still_does_not_survive(seed):
    """The first of eight channels averages, the others take differences; the second layer hears the first alone."""
    model = nn.Sequential(nn.Conv2d(1, 8, 5, bias=False), nn.Conv2d(8, 1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].weight[0] = 1 / 25
        model[0].weight[1:, :, 2, 2], model[0].weight[1:, :, 2, 3] = 1, -1
        model[1].weight.zero_()
        model[1].weight[0, 0] = 1
    heard = permuted_channels(model, seed).model[1].weight.flatten().argmax().item()
    found = channel_pooling(model, pictures(40)[:, :1], PLATE, "1", seed=seed, replicates=200)
    ratio, low, _ = found.ratio[1]
    assert (ratio == 1) if heard == 0 else (low > 1.2)


def test_the_table():
    found = channel_pooling(net(), pictures(10), PLATE, "convs", metric="cosine", replicates=0)
    table = found.to_pandas()
    assert list(table.columns) == [
        *("layer_index", "layer", "metric", "n", "trained", "trained_low", "trained_high"),
        *("permuted", "permuted_low", "permuted_high", "ratio", "ratio_low", "ratio_high"),
    ]
    assert table["layer"].tolist() == ["input", "0", "2", "3"]
    assert table["metric"].tolist() == ["cosine"] * 4
    assert table["ratio"][0] == 1
    assert table["ratio_low"].isna().all()


def test_what_is_undefined_has_no_ratio():
    table = channel_pooling(net(), pictures(6), ThinPlate(reach=0), "0").to_pandas()
    assert table[["ratio", "ratio_low", "ratio_high"]].isna().all(axis=None)


def test_a_model_without_channels_to_permute_is_refused():
    with pytest.raises(InputError) as error:
        channel_pooling(nn.Sequential(nn.Conv2d(3, 3, 3, groups=3)), pictures(4), PLATE)
    assert str(error.value) == (
        "the model has no convolution whose input channels could be permuted; 0: Conv2d(3 to 3 channels) stays: one "
        "input channel a filter: there is nothing to permute"
    )


@pytest.mark.parametrize("metric", [name for name, metric in METRICS.items() if metric.more_is_better])
def test_a_metric_that_is_larger_where_a_layer_is_more_stable_is_refused(metric):
    assert metric in ("correlation", "consistency")
    with pytest.raises(InputError) as error:
        channel_pooling(net(), pictures(4), PLATE, metric=metric)
    assert str(error.value) == (
        f"metric='{metric}': the larger, the more stable, so that a ratio of it says nothing of pooling; choose "
        "another, such as 'deformation_stability'"
    )


def test_an_unknown_metric():
    with pytest.raises(InputError) as error:
        channel_pooling(net(), pictures(4), PLATE, metric="cosin")
    assert str(error.value) == "unknown metric 'cosin'. Did you mean 'cosine', 'consistency' or 'correlation'?"


def test_twice_the_squared_distance_is_the_square_root_of_it_as_far():
    squared = channel_pooling(net(), pictures(12), PLATE, "0", replicates=0, block=12)
    ratio = (squared.permuted.distances[1] / squared.trained.distances[1]).mean()
    model, images = net(), pictures(12)
    deformed = warp(images, PLATE.sample(range(12), (12, 12)))
    with torch.no_grad():
        lengths = [
            (one(deformed) - one(images)).flatten(1).norm(dim=1)
            for one in (permuted_channels(model).model[0], model[0])
        ]
    assert ratio == pytest.approx(float((lengths[0] / lengths[1]).square().mean()), rel=1e-4)
