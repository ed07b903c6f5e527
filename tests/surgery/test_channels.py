import copy

import pytest
import torch
import torchvision
from surgery.small import Untraceable, images_of, outputs
from torch import nn

from pliant._checks import InputError
from pliant.surgery import permuted_channels


def order_of(new, old, axis=1):
    """Where each input channel's weights come from, found by comparing them."""
    pairs = [(new.select(axis, i), old.select(axis, j)) for i in range(new.shape[axis]) for j in range(old.shape[axis])]
    equal = torch.tensor([torch.equal(a, b) for a, b in pairs]).view(new.shape[axis], old.shape[axis])
    assert equal.sum(dim=0).eq(1).all()
    assert equal.sum(dim=1).eq(1).all()
    return equal.int().argmax(dim=1)


def two_convolutions(second):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), second).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (net[1].weight, net[1].bias, net[1].running_mean, net[1].running_var):
            tensor.copy_(torch.rand(8, generator=generator, dtype=torch.float64) + 0.5)
    return net


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "second", [nn.Conv2d(8, 5, 3), nn.Conv2d(8, 6, 1, groups=2), nn.ConvTranspose2d(8, 5, 3, stride=2)]
)
def test_permuting_the_producing_channels_too_changes_nothing(second, seed):
    torch.manual_seed(seed)
    net = two_convolutions(copy.deepcopy(second))
    changed = permuted_channels(net, seed).model
    images = images_of(9).double()
    first = order_of(changed[0].weight, net[0].weight)
    axis, groups = (0 if net[3].transposed else 1), net[3].groups
    parts = zip(changed[3].weight.chunk(groups), net[3].weight.chunk(groups), strict=True)
    later = torch.cat([order_of(new, old, axis) + part * 8 // groups for part, (new, old) in enumerate(parts)])
    assert later.tolist() != list(range(8))
    assert not torch.allclose(outputs(changed, images[:, first]), outputs(net, images))  # must fail
    with torch.no_grad():
        changed[0].weight.copy_(changed[0].weight[later])
        changed[0].bias.copy_(net[0].bias[later])
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(changed[1], name).copy_(getattr(net[1], name)[later])
    torch.testing.assert_close(outputs(changed, images[:, first]), outputs(net, images), rtol=1e-12, atol=1e-12)


def test_weights_alike_for_all_inputs_are_as_they_were():
    net = two_convolutions(nn.Conv2d(8, 5, 3, padding=1))
    with torch.no_grad():
        for conv in (net[0], net[3]):
            conv.weight.copy_(conv.weight[:, :1].clone().expand_as(conv.weight))
    changed = permuted_channels(net).model
    assert torch.equal(outputs(changed, images_of(9).double()), outputs(net, images_of(9).double()))


def test_each_convolution_and_seed_has_an_order_of_its_own():
    net = nn.Sequential(*(nn.Conv2d(16, 16, 1) for _ in range(4)))
    orders = []
    for seed in (0, 1):
        changed = permuted_channels(net, seed).model
        orders += [tuple(order_of(new.weight, old.weight).tolist()) for new, old in zip(changed, net, strict=True)]
        again = permuted_channels(net, seed).model
        assert all(torch.equal(a, b) for a, b in zip(changed.parameters(), again.parameters(), strict=True))
    assert len(set(orders)) == 8


def test_groups_have_orders_of_their_own():
    conv = nn.Conv2d(32, 4, 3, groups=4)
    surgery = permuted_channels(nn.Sequential(conv))
    changed = surgery.model[0].weight
    orders = {tuple(order_of(changed[g : g + 1], conv.weight[g : g + 1]).tolist()) for g in range(4)}
    assert len(orders) == 4
    assert [str(entry) for entry in surgery.replaced] == [
        "0: Conv2d(32 to 4 channels) -> its input channels permuted within each of its 4 groups"
    ]


def test_what_has_nothing_to_permute_is_left_with_the_reason():
    computed = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3, groups=4), computed, nn.Conv2d(4, 2, 1))
    surgery = permuted_channels(model)
    assert {entry.layer: entry.why for entry in surgery.left} == {
        "0": "one input channel a filter: there is nothing to permute",
        "1": "one input channel a filter: there is nothing to permute",
        "2": "its weight is computed from others",
    }
    assert [entry.layer for entry in surgery.replaced] == ["3"]
    assert str(permuted_channels(nn.Sequential(nn.Linear(3, 3)))) == "The model has nothing to replace."


@pytest.mark.parametrize("make", [torchvision.models.mobilenet_v2, torchvision.models.resnet18, Untraceable])
def test_the_given_model_is_unchanged_and_the_names_stay(make):
    torch.manual_seed(0)
    model = make().eval()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    next(model.parameters()).requires_grad_(False)
    surgery = permuted_channels(model)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert list(surgery.model.state_dict()) == list(weights)
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    assert sorted(entry.layer for entry in (*surgery.replaced, *surgery.left)) == sorted(convolutions)
    changed = {name for name, value in surgery.model.state_dict().items() if not torch.equal(value, weights[name])}
    assert changed <= {f"{entry.layer}.weight" for entry in surgery.replaced}
    assert changed
    assert not next(surgery.model.parameters()).requires_grad
    for name in changed:
        torch.testing.assert_close(surgery.model.state_dict()[name].sum(1), weights[name].sum(1))
    now, was = (outputs(one, images_of(64)) for one in (surgery.model, model))
    assert not torch.allclose(now, was, rtol=1e-2, atol=0)


def test_a_convolution_alone():
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 2, 1)
    changed = permuted_channels(conv, 1).model
    images = images_of(3, channels=6)
    order = order_of(changed.weight, conv.weight)
    torch.testing.assert_close(outputs(changed, images[:, order]), outputs(conv, images))


def test_no_seed_below_0():
    with pytest.raises(InputError) as error:
        permuted_channels(nn.Conv2d(3, 2, 1), -1)
    assert str(error.value) == "seed=-1: a seed is an integer from 0 to 2^64 - 1"
