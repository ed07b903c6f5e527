"""A model whose convolutions have lost track of their input channels. Tomasini et al. 2022."""

import copy
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from pliant.draws import Stream, uniform
from pliant.surgery.outcome import Left, Replaced, Surgery

Model = TypeVar("Model", bound=nn.Module)


def permuted_channels(model: Model, seed: int = 0) -> Surgery[Model]:
    """A copy of the model with the input channels of each convolution permuted, with a report; the model is unchanged.

    Every convolution, the first included, has the weights of its input channels in a random order of its own, which
    depends on `seed` and its place in the model alone. Each filter keeps its spatial pattern, and what a layer pools in
    space stays; what it pools across channels that belong together is lost. Tomasini et al. 2022, arXiv:2210.01506.

    In a grouped convolution the channels are permuted within each group. Left, and listed with the reason:
    convolutions with one input channel a filter, such as depthwise ones, and weights that are computed from others.
    Dense layers keep theirs. Raises `InputError` for a seed outside [0, 2^64).
    """
    changed = copy.deepcopy(model)
    convolutions = [(name, module) for name, module in changed.named_modules() if isinstance(module, _ConvNd)]
    replaced, left = list[Replaced](), list[Left]()
    for place, (name, conv) in enumerate(convolutions):
        if why := _stays(conv):
            left.append(Left(name, _described(conv), why))
            continue
        channels = conv.in_channels // conv.groups
        orders = uniform(seed, Stream.CHANNELS, range(conv.groups), place, channels).argsort(dim=1, stable=True)
        weight = _permuted(conv.weight.detach(), orders.to(conv.weight.device), 0 if conv.transposed else 1)
        conv.weight = nn.Parameter(weight, conv.weight.requires_grad)
        within = f" within each of its {conv.groups} groups" if conv.groups > 1 else ""
        replaced.append(Replaced(name, _described(conv), f"its input channels permuted{within}"))
    return Surgery(changed, tuple(replaced), tuple(left))


def _permuted(weight: Float[Tensor, "a b *k"], orders: Int[Tensor, "groups c"], axis: int) -> Float[Tensor, "a b *k"]:
    """The weights with the input channels of group g, which lie along `axis` of its part, in the order orders[g]."""
    parts = weight.chunk(len(orders))
    return torch.cat([part.index_select(axis, order) for part, order in zip(parts, orders, strict=True)])


def _stays(conv: _ConvNd) -> str:
    """Why a convolution is left, or ""."""
    if conv.in_channels == conv.groups:
        return "one input channel a filter: there is nothing to permute"
    if conv._parameters.get("weight") is None:
        return "its weight is computed from others"
    return ""


def _described(conv: _ConvNd) -> str:
    return f"{type(conv).__name__}({conv.in_channels} to {conv.out_channels} channels)"
