"""Nets of dense layers are measured like any other. Petrini et al. 2021; Petrini et al. 2022."""

import numpy as np
import pytest
import torch
from reference import relative_stability as reference
from torch import nn

from pliant.deform import ThinPlate, warp
from pliant.measurement import measure, measure_each
from pliant.measurement.noise import noisy

PLATE = ThinPlate(grid=3, reach=1.0)


def pictures(n, size=12):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def dense_net(*widths):
    layers: list[nn.Module] = [nn.Flatten()]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for inputs, outputs in zip((432, *widths), widths, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("all", ("0", "1", "2", "3", "4", "5")), ("blocks", ("2", "4", "5")), (["2", "5"], ("2", "5")), ("*", None)],
)
def test_every_layer_has_a_sensitivity_and_a_relative_stability(layers, expected):
    found = measure_each(dense_net(64, 64, 5), pictures(12), PLATE, layers, ("cosine", "relative_stability"))
    for profile in found.values():
        assert expected is None or profile.layers == ("input", *expected)
        assert profile.undefined == {}
        assert np.isfinite([profile.estimate, profile.low, profile.high]).all()


def test_relative_stability_equals_the_statistic_written_out():
    model, images = dense_net(64, 64, 5), pictures(9)
    found = measure(model, images, PLATE, "blocks", "relative_stability", 3, replicates=0)
    deformed = warp(images, PLATE.sample(range(9), (12, 12), seed=3))
    noise = noisy(images, deformed, 0, 3, 0)
    for layer in ("2", "4", "5"):
        with torch.no_grad():
            three = [model[: int(layer) + 1](x).numpy() for x in (images, deformed, noise)]
        expected = reference.stabilities(*three, 128, np.mean)["relative_stability"]
        assert found[layer].estimate == pytest.approx(expected, rel=1e-4)


def test_a_wide_random_layer_takes_deformations_as_it_takes_noise():
    """Random projections keep lengths, whatever points there: R is 1 before training."""
    profile = measure(dense_net(8192), pictures(32), PLATE, "1", "relative_stability")
    assert profile["1"].estimate == pytest.approx(1, abs=0.05)
