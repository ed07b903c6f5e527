"""Of equivariance and of correlation, which both need the maps and the field."""

import numpy as np
import pytest
import torch
from reference import bilinear, distances
from reference import equivariance as reference
from torch import nn

from pliant._checks import InputError
from pliant.deform import Circular, Flow, Rotate, ThinPlate, Translate
from pliant.measurement import measure, measure_each
from pliant.metrics import Block, Correlation, Equivariance
from pliant.metrics.correlation import correlations

BOTH = {"equivariance": 0.0, "correlation": 1.0}
FAMILIES = [ThinPlate(reach=1.5), Rotate(reach=20), Translate(reach=2.3), Circular(reach=3)]


def pictures(n, size=16, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def seeded(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def downsampling():
    """Maps of 16, 8, 6 and 3 pixels, and what is no map."""
    return seeded(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3),
            nn.AvgPool2d(2),
            nn.Sequential(nn.Flatten(), nn.Linear(45, 3)),
        )
    )


def circular():
    return seeded(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), nn.Tanh()))


@pytest.mark.parametrize("metric", BOTH)
def test_a_circular_convolution_follows_whole_shifts(metric):
    profile = measure(circular(), pictures(12), Circular(reach=5), metric=metric)
    assert profile.layers == ("input", "0", "1")
    np.testing.assert_allclose(profile.estimate, BOTH[metric], atol=1e-6)
    assert (measure(circular(), pictures(12), Circular(reach=5)).estimate > 0.1).all()  # far from invariant


@pytest.mark.parametrize("metric", BOTH)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_acts_on_each_pixel_alone_and_linearly_follows_everything(metric, family):
    model = seeded(nn.Sequential(nn.Conv2d(3, 5, 1, bias=False)))
    profile = measure(model, pictures(8), family, metric=metric)
    np.testing.assert_allclose(profile.estimate, BOTH[metric], atol=1e-5)


@pytest.mark.parametrize("metric", BOTH)
def test_no_deformation_is_followed_by_every_map(metric):
    profile = measure(downsampling(), pictures(8), ThinPlate(reach=0), metric=metric)
    np.testing.assert_allclose(profile.estimate[:-1], BOTH[metric], atol=1e-9)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("family", FAMILIES[:2], ids=lambda family: family.name)
def test_equals_the_loops_over_pixels(family, padding):
    model, images, layers = downsampling(), pictures(6), ["0", "2", "3", "4"]
    found = measure_each(model, images, family, layers, tuple(BOTH), seed=2, padding=padding)
    field = family.sample(range(6), (16, 16), seed=2).displacement.double().numpy()
    deformed = torch.tensor(
        np.stack([bilinear.warp(x.double().numpy(), u, padding) for x, u in zip(images, field, strict=True)])
    ).float()
    for layer in layers:
        with torch.no_grad():
            clean, moved = (model[: int(layer) + 1](x).double().numpy() for x in (images, deformed))
        fields = [reference.resized(u, clean.shape[2:]) for u in field]
        followed = np.stack([bilinear.warp(x, u, padding) for x, u in zip(clean, fields, strict=True)])
        own = [distances.cosine(a.ravel(), b.ravel()) for a, b in zip(followed, moved, strict=True)]
        flat = clean.reshape(6, -1)
        median = np.median([distances.cosine(flat[i], flat[j]) for i in range(6) for j in range(i + 1, 6)])
        assert found["equivariance"][layer].estimate == pytest.approx(np.mean(own) / median, rel=1e-3, abs=1e-5)
        alike = [reference.correlation(*each) for each in zip(followed, moved, fields, strict=True)]
        assert found["correlation"][layer].estimate == pytest.approx(np.mean(alike), rel=1e-4)


@pytest.mark.parametrize(("axis", "step"), [(0, 4.0), (0, -4.0), (1, 4.0)])
def test_a_map_of_half_the_size_moves_by_half_the_pixels(axis, step):
    displacement = torch.zeros(2, 16, 16)
    displacement[axis] = step
    profile = measure(nn.Sequential(nn.AvgPool2d(2)), pictures(5), Flow(displacement), metric="equivariance")
    np.testing.assert_allclose(profile.estimate, 0, atol=1e-6)


@pytest.mark.parametrize("metric", BOTH)
def test_what_is_no_map_is_undefined(metric):
    profile = measure(downsampling(), pictures(6), FAMILIES[0], metric=metric)
    assert profile.undefined == {"5.1": "(n, 3) is no feature map (n, c, h, w)"}
    assert np.isnan(profile.distances[-1]).all()
    assert np.isfinite(profile.estimate[:-1]).all()


@pytest.mark.parametrize("metric", [*BOTH, "lie_derivative"])
def test_channels_behind_the_places_are_no_map(metric):
    class Last(nn.Module):
        def forward(self, x):
            return x.movedim(1, -1).contiguous()

    model = nn.Sequential(nn.Conv2d(3, 5, 1), Last(), nn.Identity())
    profile = measure(model, pictures(6), FAMILIES[0], metric=metric)
    assert list(profile.undefined) == ["1"]
    assert profile.undefined["1"].startswith("(n, 16, 16, 5) is n")


def test_channels_of_different_means_do_not_correlate_by_them():
    numbers = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 8, 5, 12, 12, generator=numbers) + 10 * torch.arange(5.0)[:, None, None]
    found = correlations(first, second, torch.ones(8, 12, 12, dtype=torch.bool))
    assert found.abs().max() < 0.15


def test_constant_maps_have_no_correlation():
    class Flat(nn.Module):
        def forward(self, x):
            return x.mean((1, 2, 3), keepdim=True).expand_as(x) * 3.3

    profile = measure(nn.Sequential(Flat()), pictures(6), FAMILIES[0], metric="correlation")
    expected = "constant maps of some images of a block, or no valid pixel: no correlation"
    assert list(profile.undefined.values()) == [expected]


def test_a_map_that_is_moved_out_of_itself_has_no_correlation():
    profile = measure(circular(), pictures(4), Translate(x=20), metric="correlation")
    assert len(profile.undefined) == 3


def test_zero_maps_have_no_direction():
    profile = measure(circular(), pictures(4), Translate(x=20), metric="equivariance")
    assert profile.undefined["0"] == "zero for some images of a block: no direction"


def test_unrelated_maps_correlate_little_and_opposite_ones_fully():
    a, b = torch.randn(2, 4, 3, 20, 20, generator=torch.Generator().manual_seed(0)).unbind()
    everywhere = torch.ones(4, 20, 20, dtype=torch.bool)
    assert correlations(a, b, everywhere).abs().max() < 0.15
    assert correlations(a, 3 - 2 * a, everywhere).tolist() == pytest.approx([-1.0] * 4)


def test_pixels_that_are_not_valid_do_not_matter():
    a, b = torch.randn(2, 2, 3, 6, 6, generator=torch.Generator().manual_seed(0)).unbind()
    valid = torch.ones(2, 6, 6, dtype=torch.bool)
    valid[:, :2] = False
    plain = correlations(a, b, valid)
    a[:, :, :2], b[:, :, :2] = 1e3, float("nan")
    torch.testing.assert_close(correlations(a, b, valid), plain)
    kept = (maps.numpy()[:, :, 2:] for maps in (a, b))
    centred = (maps - maps.mean((2, 3), keepdims=True) for maps in kept)
    expected = [float(np.corrcoef(x.ravel(), y.ravel())[0, 1]) for x, y in zip(*centred, strict=True)]
    assert plain.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_layout_does_not_matter(layout):
    images = pictures(8).to(memory_format=layout)
    model = downsampling().to(memory_format=layout)
    plain = measure_each(downsampling(), pictures(8), FAMILIES[0], "?", tuple(BOTH))
    for metric, profile in measure_each(model, images, FAMILIES[0], "?", tuple(BOTH)).items():
        np.testing.assert_allclose(profile.estimate, plain[metric].estimate, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("metric", [Equivariance(), Correlation()])
def test_without_deformations_it_says_so(metric):
    with pytest.raises(InputError) as error:
        metric.read(Block(pictures(3), pictures(3)))
    assert str(error.value) == "this block holds no deformations: a metric that reads them must set `field = True`"
