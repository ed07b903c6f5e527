import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import total_variation as reference
from scipy import integrate, stats
from torch import nn

from pliant._checks import InputError
from pliant.metrics import FilterVariation, filter_variations, smoothness_penalty, total_variation
from pliant.nets import cifar_net

REFERENCES = {"layer": reference.of_layer, "filter": reference.of_filters}


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("reduction", REFERENCES)
@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(1, 5)] * 2, *[st.integers(2, 6)] * 2), st.integers(0, 999))
def test_equals_the_loop_over_taps(reduction, shape, seed):
    weight = weights(*shape, seed=seed)
    expected = REFERENCES[reduction](weight.double().numpy())
    assert total_variation(weight, reduction).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("reduction", REFERENCES)
def test_of_constant_filters_it_is_0(reduction):
    assert total_variation(weights(6, 4, 1, 1).expand(6, 4, 3, 3), reduction) == 0


@pytest.mark.parametrize("reduction", REFERENCES)
@pytest.mark.parametrize("factor", [-1.0, 3.0, 1e-6])
def test_the_scale_does_not_matter(reduction, factor):
    weight = weights(6, 4, 3, 3)
    scaled = total_variation(factor * weight, reduction)
    torch.testing.assert_close(scaled, total_variation(weight, reduction))


@pytest.mark.parametrize("reduction", REFERENCES)
def test_the_axes_count_alike(reduction):
    weight = weights(6, 4, 3, 5)
    for turned in (weight.transpose(2, 3), weight.flip(2), weight.flip(3), weight.transpose(0, 1)):
        torch.testing.assert_close(total_variation(turned, reduction), total_variation(weight, reduction))


def test_a_checkerboard_by_hand():
    board = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])
    assert total_variation(board[None, None]) == pytest.approx(12 * 2 / 9)


def test_layer_weighs_filters_by_their_size_and_filter_does_not():
    small, large = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0)
    small[0, 0, 0, 0] = 1.0  # two differences of 1 over one tap
    both = torch.cat([small, large])
    assert total_variation(both, "layer").item() == pytest.approx(2 / 13)
    assert total_variation(both, "filter").item() == pytest.approx((2 + 0) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_at_initialisation_it_is_1857(seed):
    found = filter_variations(cifar_net("strided_relu", seed=seed))
    larger = [v.value for v in found if v.filters >= 128 * 128]
    assert larger == pytest.approx([1.857] * 3, abs=0.006)


@pytest.mark.parametrize("seed", range(2))
def test_at_initialisation_the_mean_over_filters_is_1872(seed):
    found = filter_variations(cifar_net("strided_relu", seed=seed), "filter")
    larger = [v.value for v in found if v.filters >= 128 * 128]
    assert larger == pytest.approx([1.872] * 3, abs=0.006)


def test_the_expectation_for_the_cut_normal_is_1857():
    cut = stats.truncnorm(-2, 2)

    def gap(y, x):
        return abs(x - y) * cut.pdf(x) * cut.pdf(y)

    apart, _ = integrate.dblquad(gap, -2, 2, -2, lambda x: x)
    size = cut.expect(abs, lb=-2, ub=2)
    assert 12 * 2 * apart / (9 * size) == pytest.approx(1.857, abs=5e-4)


def test_of_a_whole_normal_it_is_12_root_2_over_9():
    found = total_variation(weights(400, 400, 3, 3)).item()
    assert found == pytest.approx(12 * math.sqrt(2) / 9, abs=0.003)


@pytest.mark.parametrize("reduction", REFERENCES)
def test_a_single_tap_has_no_neighbours(reduction):
    assert total_variation(weights(4, 4, 1, 1), reduction).isnan()


def test_zeros_have_no_ratio():
    weight = weights(3, 2, 3, 3)
    weight[1, 0] = 0
    assert total_variation(weight, "filter").isnan()
    assert total_variation(weight, "layer").isfinite()
    assert total_variation(torch.zeros(3, 2, 3, 3), "layer").isnan()


@pytest.mark.parametrize("reduction", REFERENCES)
def test_the_gradient_is_that_of_finite_differences(reduction):
    weight = weights(2, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: total_variation(w, reduction), weight)


def test_half_precision_is_summed_in_full():
    weight = weights(64, 64, 3, 3).bfloat16()
    found = total_variation(weight)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, total_variation(weight.float()))


def test_of_a_model_every_kernel_from_3_pixels_on():
    model = nn.ModuleDict(
        {
            "point": nn.Conv2d(2, 2, 1),
            "strided": nn.Conv2d(2, 2, 2, stride=2),
            "row": nn.Conv2d(2, 2, (1, 7)),
            "spatial": nn.Conv2d(4, 6, 3, groups=2),
            "large": nn.Conv2d(3, 2, 5),
            "head": nn.Linear(2, 2),
        }
    )
    found = filter_variations(model)
    assert [(v.layer, v.filters) for v in found] == [("spatial", 6 * 2), ("large", 2 * 3)]
    assert found[0] == FilterVariation("spatial", total_variation(model["spatial"].weight).item(), 12)


def test_of_the_studys_net_the_eight_layers_that_keep_the_size():
    assert [v.layer for v in filter_variations(cifar_net("strided_relu", width=0.1))] == [
        f"block{block}.layer{layer}.conv" for block in (1, 2, 3, 4) for layer in (1, 2)
    ]


@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused():
    with pytest.raises(InputError) as error:
        total_variation(torch.zeros(3, 3))
    assert str(error.value) == "weights have the shape (out, in, kh, kw), got (3, 3)"
    with pytest.raises(InputError) as error:
        total_variation(torch.zeros(1, 1, 3, 3), "layers")  # type: ignore[arg-type]
    assert str(error.value) == "unknown reduction 'layers'. Did you mean 'layer' or 'filter'?"


def test_the_penalty_is_the_mean_over_convolutions_of_3x3_and_more():
    net = cifar_net("strided", width=0.25)  # its 2x2 kernels do not count
    values = [variation.value for variation in filter_variations(net)]
    assert len(values) == 8
    assert smoothness_penalty(net).item() == pytest.approx(sum(values) / 8, rel=1e-5)


def test_the_penalty_does_not_mind_the_scale_and_counts_shared_weights_once():
    one, two = nn.Conv2d(2, 3, 3, bias=False), nn.Conv2d(2, 3, 5, bias=False)
    net = nn.Sequential(one, two)
    before = smoothness_penalty(net)
    one.weight.data *= 7
    torch.testing.assert_close(smoothness_penalty(net), before)
    again = nn.Conv2d(2, 3, 3)
    again.weight = one.weight
    torch.testing.assert_close(smoothness_penalty(nn.Sequential(one, two, again)), before)


def test_going_down_the_penalty_smooths_the_filters():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    optimiser = torch.optim.SGD(net.parameters(), 0.5)
    first = smoothness_penalty(net)
    for _ in range(20):
        optimiser.zero_grad()
        smoothness_penalty(net).backward()
        optimiser.step()
    assert smoothness_penalty(net) < 0.9 * first


def test_filters_of_zeros_cost_nothing_and_have_no_slope():
    conv = nn.Conv2d(2, 4, 3)
    conv.weight.data.zero_()
    penalty = smoothness_penalty(conv)
    penalty.backward()
    assert penalty == 0
    assert conv.weight.grad is not None
    assert not conv.weight.grad.any()


def test_a_model_with_nothing_to_smooth_is_refused():
    with pytest.raises(InputError) as error:
        smoothness_penalty(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Linear(3, 3)))
    assert str(error.value) == "the model has no convolution with a kernel of 3x3 or more: it has nothing to smooth"
