"""Smoother filters without training: convolved with a Gaussian. Ruderman et al. 2018, Figure 5a."""

import copy
import math
from collections.abc import Iterator
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require

Model = TypeVar("Model", bound=nn.Module)


def smooth_filters(model: Model, sigma: float) -> Model:
    """A copy of the model whose spatial filters are convolved with a Gaussian; the given model is unchanged.

    Every `nn.Conv2d` whose kernel is larger than 1x1, each input channel's taps on their own. `sigma`: standard
    deviation of the Gaussian, pixels (taps of the filter), sampled at whole pixels; outside a filter are zeros. The
    filter of each output channel (over all its input channels) keeps its Euclidean norm, a factor that batch norm
    would take away in any case. sigma = 0 is the identity to the bit. Raises `InputError` for a negative or infinite
    `sigma`, and for filters that are computed from other weights.
    """
    require(0 <= sigma < math.inf, f"sigma={sigma}: a standard deviation in pixels, 0 or more")
    if sigma == 0:
        return copy.deepcopy(model)
    for name, conv in _spatial(model):
        require(
            "weight" in conv._parameters,
            f"{f'{name}.' if name else ''}weight is computed from other weights (weight or spectral norm, pruning): "
            "remove that first, as with torch.nn.utils.parametrize.remove_parametrizations",
        )
    smooth = copy.deepcopy(model)
    # By identity: filters that two layers share are smoothed once.
    filters = {id(conv.weight): conv.weight for _, conv in _spatial(smooth)}
    with torch.no_grad():
        for weight in filters.values():
            weight.copy_(_smoothed(weight.double(), sigma))
    return smooth


def _spatial(model: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """(Name, convolution) of those whose kernel is larger than 1x1."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1:
            yield name, module


def _smoothed(weight: Float[Tensor, "out in kh kw"], sigma: float) -> Float[Tensor, "out in kh kw"]:
    down, across = (_gaussian(length, sigma).to(weight.device) for length in weight.shape[-2:])
    smooth = down @ weight @ across
    before, after = (filters.flatten(1).norm(dim=1)[:, None, None, None] for filters in (weight, smooth))
    return torch.where(after > 0, smooth * (before / after), smooth)


def _gaussian(length: int, sigma: float) -> Float[Tensor, "length length"]:
    """The convolution of `length` taps with a Gaussian, as a matrix. Its scale does not matter: norms are kept."""
    tap = torch.arange(length, dtype=torch.float64)
    return torch.exp(-0.5 * ((tap[:, None] - tap) / sigma).square())
