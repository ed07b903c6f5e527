import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.prune import l1_unstructured

from pliant._checks import InputError
from pliant.metrics import filter_variations
from pliant.nets import cifar_net, smooth_filters


def conv(weight, **options):
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=False, **options)
    layer.weight.data = weight
    return layer


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.integers(1, 6), st.floats(0.2, 4), st.integers(0, 99))
def test_equals_scipys_gaussian_filter_up_to_the_norm(height, width, sigma, seed):
    layer = conv(weights(3, 2, height, width, seed=seed))
    found = smooth_filters(layer, sigma).weight.detach().numpy()
    taps = layer.weight.detach().double().numpy()
    blurred = gaussian_filter(taps, sigma, axes=(2, 3), mode="constant", truncate=50)
    norms = [np.sqrt((w**2).sum((1, 2, 3), keepdims=True)) for w in (taps, blurred)]
    np.testing.assert_allclose(found, blurred * norms[0] / norms[1], rtol=1e-4, atol=1e-5)


def test_one_tap_becomes_a_gaussian():
    one = torch.zeros(1, 1, 3, 3)
    one[0, 0, 0, 1] = 1.0  # top row, middle: cut off above
    found = smooth_filters(conv(one), 1.0).weight[0, 0]
    side, below = math.exp(-1 / 2), math.exp(-4 / 2)
    expected = torch.tensor([[side, 1, side], [side * side, side, side * side], [side * below, below, side * below]])
    torch.testing.assert_close(found, expected / expected.norm())


def test_sigma_0_is_the_identity_to_the_bit():
    net = cifar_net("strided", width=0.25)
    same = smooth_filters(net, 0)
    assert same is not net
    for name, value in net.state_dict().items():
        assert torch.equal(same.state_dict()[name], value)


def test_the_given_model_is_unchanged_and_all_else_is_copied():
    net = cifar_net("strided", width=0.25, in_channels=1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    smooth = smooth_filters(net, 0.5)
    changed = {name for name, value in smooth.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.endswith("conv.weight")}
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@given(st.floats(0.05, 20))
@settings(deadline=None, max_examples=20)
def test_each_output_filter_keeps_its_norm(sigma):
    layer = conv(weights(5, 4, 3, 3))
    norms = [model.weight.flatten(1).norm(dim=1) for model in (layer, smooth_filters(layer, sigma))]
    torch.testing.assert_close(norms[1], norms[0])


def test_batch_norm_does_not_see_the_rescaling():
    layer, images = conv(weights(4, 3, 3, 3)), weights(8, 3, 10, 10, seed=1)
    scipys = conv(torch.from_numpy(gaussian_filter(layer.weight.detach().numpy(), 0.7, axes=(2, 3), mode="constant")))
    found, pure = (
        nn.functional.batch_norm(m(images), None, None, training=True) for m in (smooth_filters(layer, 0.7), scipys)
    )
    torch.testing.assert_close(found, pure, rtol=1e-3, atol=2e-3)


def test_the_wider_the_smoother():
    net = cifar_net("max_pool", width=0.25)
    values = [[v.value for v in filter_variations(smooth_filters(net, sigma))] for sigma in (0, 0.3, 0.5, 1, 3, 100)]
    for rougher, smoother in itertools.pairwise(values):
        assert all(a > b for a, b in zip(rougher, smoother, strict=True))
    assert max(values[-1]) < 1e-3


def test_single_taps_are_left_and_single_rows_blurred_along_the_row():
    point, row = conv(weights(4, 3, 1, 1)), conv(weights(4, 3, 1, 3))
    assert torch.equal(smooth_filters(point, 2.0).weight, point.weight)
    assert not torch.equal(smooth_filters(row, 2.0).weight, row.weight)


def test_shared_filters_are_smoothed_once():
    one, two = conv(weights(3, 3, 3, 3)), conv(weights(3, 3, 3, 3))
    two.weight = one.weight
    smooth = smooth_filters(nn.Sequential(one, two, one), 0.5)
    assert smooth[0].weight is smooth[1].weight
    torch.testing.assert_close(smooth[0].weight, smooth_filters(one, 0.5).weight)


def test_filters_of_zeros_stay_zeros_and_types_stay():
    taps = weights(3, 2, 3, 3).bfloat16()
    taps[1] = 0
    found = smooth_filters(conv(taps), 0.5).weight
    assert found.dtype == torch.bfloat16
    assert [bool(f.any()) for f in found] == [True, False, True]


@pytest.mark.parametrize("sigma", [-0.5, float("inf"), float("nan")])
def test_a_sigma_that_is_none_is_refused(sigma):
    with pytest.raises(InputError) as error:
        smooth_filters(nn.Conv2d(1, 1, 3), sigma)
    assert str(error.value) == f"sigma={sigma}: a standard deviation in pixels, 0 or more"


@pytest.mark.parametrize("computed", [weight_norm, lambda layer: l1_unstructured(layer, "weight", 0.5)])
def test_filters_that_are_computed_from_other_weights_are_refused(computed):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), computed(nn.Conv2d(2, 2, 3)))
    with pytest.raises(InputError) as error:
        smooth_filters(net, 0.5)
    assert str(error.value) == (
        "1.weight is computed from other weights (weight or spectral norm, pruning): remove that first, as with "
        "torch.nn.utils.parametrize.remove_parametrizations"
    )
