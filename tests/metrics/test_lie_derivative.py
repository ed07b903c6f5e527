"""The local equivariance error: its laws, the composition written out, and differences of whole networks."""

from functools import cache
from typing import get_args

import numpy as np
import pytest
import torch
from reference import bilinear
from reference import equivariance as resizing
from reference import lie_derivative as reference
from torch import nn

from pliant._checks import InputError
from pliant.deform import Flow, Lie, ThinPlate
from pliant.deform.lie import Transformation
from pliant.measurement import measure
from pliant.metrics import Block, LieDerivative

TRANSFORMATIONS = get_args(Transformation)
FAMILIES = [*map(Lie, TRANSFORMATIONS), ThinPlate(reach=1.5)]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: getattr(f, "transformation", f.name))
every_padding = pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])


def pictures(n, size=12, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def islands(n):
    """Images that are 0 near the border."""
    return nn.functional.pad(pictures(n, size=6), (3, 3, 3, 3))


def seeded(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.double()


def smooth():
    """Maps of 12, 6 and 4 pixels and numbers, all of them smooth functions of the image."""
    return seeded(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Sequential(nn.Conv2d(4, 5, 3), nn.Softplus()),
            nn.Sequential(nn.Flatten(), nn.Linear(80, 3), nn.Tanh()),
        )
    )


def raw(model, images, family, layer, **settings):
    """The numbers of the images."""
    profile = measure(model, images, family, [layer], "lie_derivative", replicates=0, **settings)
    return profile.distances[1]


@every_family
def test_of_a_constant_it_is_0(family):
    class Constant(nn.Module):
        def forward(self, x):
            return torch.full_like(x, 3.3)

    model = nn.Sequential(Constant(), nn.Flatten())
    profile = measure(model, pictures(5), family, ["0", "1"], "lie_derivative", padding="border")
    assert profile.distances[1:].tolist() == [[0.0] * 5] * 2
    assert profile.undefined == dict.fromkeys("01", "constant: the same for all images")
    vectors = measure(model, pictures(5), family, ["1"], "lie_derivative", padding="zeros")
    assert vectors.distances[1].tolist() == [0.0] * 5


@every_padding
@every_family
def test_the_images_themselves_move_along_exactly(family, padding):
    profile = measure(smooth(), pictures(5), family, ["0"], "lie_derivative", padding=padding)
    assert profile.distances[0].tolist() == [0.0] * 5


@every_padding
@every_family
def test_what_acts_on_each_pixel_alone_and_linearly_moves_along(family, padding):
    model = seeded(nn.Sequential(nn.Conv2d(3, 5, 1, bias=False)))
    profile = measure(model, pictures(5), family, metric="lie_derivative", padding=padding)
    np.testing.assert_allclose(profile.estimate, 0, atol=1e-9)


def test_a_circular_convolution_moves_along_with_a_translation_where_the_border_is_far():
    model = seeded(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular", bias=False)))
    profile = measure(model, islands(5), Lie("translation"), metric="lie_derivative")
    np.testing.assert_allclose(profile.estimate, 0, atol=1e-9)
    assert (measure(model, islands(5), Lie("rotation"), metric="lie_derivative").estimate[1:] > 1e-3).all()
    assert (measure(model, pictures(5), Lie("translation"), metric="lie_derivative").estimate[1:] > 1e-3).all()


def test_of_an_invariant_it_is_0():
    model = seeded(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Tanh()
        )
    )
    np.testing.assert_allclose(raw(model, islands(5), Lie("translation"), "3"), 0, atol=1e-12)
    assert (raw(model, islands(5), Lie("scale"), "3") > 1e-4).all()


@every_padding
@every_family
def test_equals_the_composition_written_out(family, padding):
    model, images, sizes = smooth(), pictures(3), {1: (12, 12), 3: (6, 6), 4: (4, 4), 5: None}
    layers = [str(upto - 1) for upto in sizes]
    found = measure(model, images, family, layers, "lie_derivative", 3, padding=padding, replicates=0)
    field = family.sample(range(3), (12, 12), seed=3).displacement.double().numpy()

    @cache
    def matrices(size):
        return torch.stack([torch.from_numpy(reference.matrix(resizing.resized(u, size), padding)) for u in field])

    for (upto, size), numbers in zip(sizes.items(), found.distances[1:], strict=True):
        after = None if size is None else matrices(size)
        drift = reference.derivative(model[:upto], images, matrices((12, 12)), after)
        np.testing.assert_allclose(numbers, drift.detach().flatten(1).square().sum(1).numpy(), rtol=1e-4)


@pytest.mark.parametrize("layer", ["1", "3", "4"])
@every_family
def test_is_the_central_difference_of_the_whole_network(family, layer):
    model, images, step = smooth(), pictures(3), 1e-6
    upto = int(layer) + 1
    field = family.sample(range(3), (12, 12)).displacement.double().numpy()

    def moved(maps, t):
        """Each map along t times its field, at the size of the map."""
        along = [t * resizing.resized(u, maps.shape[2:]) for u in field]
        return np.stack([bilinear.warp(x, u, "border") for x, u in zip(maps, along, strict=True)])

    def composed(t):
        with torch.no_grad():
            out = model[:upto](torch.from_numpy(moved(images.numpy(), t))).numpy()
        return moved(out, -t) if out.ndim == 4 else out

    drift = (composed(step) - composed(-step)) / (2 * step)
    found = raw(model, images, family, layer, padding="border")
    np.testing.assert_allclose(found, (drift.reshape(3, -1) ** 2).sum(1), rtol=1e-3)


def test_twice_the_field_is_four_times_the_number():
    field = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(0))
    once, twice = (raw(smooth(), pictures(4), Flow(factor * field), "1") for factor in (1, 2))
    np.testing.assert_allclose(twice, 4 * once, rtol=1e-5)


def test_scale_and_offset_do_not_matter():
    class Affine(nn.Module):
        def forward(self, x):
            return 0.7 - 2.5 * x

    model = nn.Sequential(*smooth()[:3], Affine())
    profile = measure(model, pictures(8), Lie("scale"), ["2", "3"], "lie_derivative", padding="border")
    assert profile.estimate[2] == pytest.approx(profile.estimate[1], rel=1e-5)


def test_the_preprocessing_is_inside_the_derivative():
    class Squared(nn.Module):
        def forward(self, x):
            return x * x - 0.4

    inside = nn.Sequential(Squared(), *smooth())
    for layer, same in (("0", "1"), ("3.1", "4.1")):
        found = raw(smooth(), pictures(4), Lie("shear"), layer, preprocess=Squared())
        np.testing.assert_allclose(found, raw(inside, pictures(4), Lie("shear"), same), rtol=1e-9)


def test_tokens_have_no_place():
    class Tokens(nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(1, 2)

    profile = measure(nn.Sequential(Tokens()), pictures(4), Lie("scale"), metric="lie_derivative")
    assert profile.undefined == {"0": "(n, 144, 3) is neither a feature map (n, c, h, w) nor a vector (n, k)"}
    assert np.isnan(profile.distances[1]).all()
    assert profile["input"].estimate == 0.0


def test_derivatives_that_are_not_finite_are_told():
    class Root(nn.Module):
        def forward(self, x):
            return x.clamp(min=0).sqrt()

    profile = measure(nn.Sequential(Root()), pictures(4), Lie("scale"), metric="lie_derivative")
    assert profile.undefined == {
        "0": "NaN or infinite derivatives, or lost on the way (detach, an operation without one)"
    }


def test_the_unit_is_that_of_the_deformation_stability():
    found = {
        metric: measure(smooth(), pictures(9), Lie("scale"), ["3.1"], metric, block=4)
        for metric in ("lie_derivative", "deformation_stability")
    }
    np.testing.assert_allclose(found["lie_derivative"].medians, found["deformation_stability"].medians, rtol=1e-6)


def test_without_tangents_it_says_so():
    with pytest.raises(InputError) as error:
        LieDerivative().read(Block(torch.zeros(3, 4), torch.zeros(3, 4)))
    assert str(error.value) == "this block holds no tangents: a metric that reads them must set `tangent = True`"
