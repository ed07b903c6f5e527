import math

import pytest
import torch
from scipy import stats
from torch import nn

from pliant._checks import InputError
from pliant.nets import initialise, seeded
from pliant.nets.initialisation import convolution, linear


def test_the_distribution_is_scipys_truncated_normal():
    conv = convolution(32, 128, kernel_size=3, seed=3)
    drawn = conv.weight.detach().flatten().double() * math.sqrt(32 * 9)
    assert stats.kstest(drawn, stats.truncnorm(-2, 2).cdf).pvalue > 1e-3
    # must fail: the uncut normal, and one of half the variance
    assert stats.kstest(drawn, stats.norm.cdf).pvalue < 1e-6
    assert stats.kstest(drawn / math.sqrt(2), stats.truncnorm(-2, 2).cdf).pvalue < 1e-6


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (nn.Conv2d(16, 64, 3), 16 * 9),
        (nn.Conv2d(64, 64, 2, stride=2), 64 * 4),
        (nn.Conv2d(16, 64, 3, groups=4), 4 * 9),
        (nn.Linear(200, 50), 200),
    ],
    ids=["3x3", "2x2", "grouped", "linear"],
)
def test_cut_at_two_deviations_of_one_over_the_root_of_the_inputs(layer, inputs):
    initialise([layer], seeded(0))
    drawn = layer.weight.detach() * math.sqrt(inputs)
    assert 1.95 < drawn.abs().max() < 2.00001
    assert drawn.std().item() == pytest.approx(stats.truncnorm(-2, 2).std(), rel=0.03)
    assert drawn.mean().item() == pytest.approx(0, abs=0.05)
    assert not layer.bias.any()


def test_layers_are_drawn_one_after_the_other():
    one, two = nn.Linear(20, 20), nn.Linear(20, 20)
    initialise([one, two], seeded(0))
    first = one.weight.clone()
    assert not torch.equal(first, two.weight)
    initialise([two], seeded(0))
    assert torch.equal(two.weight, first)


def test_new_layers_touch_no_global_generator_and_follow_no_default_device():
    before = torch.get_rng_state()
    with torch.device("meta"):
        conv, head = convolution(3, 4, 3, seed=1), linear(6, 5, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert conv.weight.device.type == head.weight.device.type == "cpu"
    assert conv.bias is None
    assert torch.equal(conv.weight, convolution(3, 4, 3, seed=1).weight)
    assert not torch.equal(head.weight, linear(6, 5, seed=2).weight)


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InputError) as error:
        seeded(seed)
    assert str(error.value) == f"seed={seed}: a seed is an integer from 0 to 2^64 - 1"
