"""How rough the filters of a convolution are. Ruderman et al. 2018, Section 5."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require, unknown

Reduction = Literal["layer", "filter"]
REDUCTIONS = ("layer", "filter")


def total_variation(weight: Float[Tensor, "out in kh kw"], reduction: Reduction = "layer") -> Float[Tensor, ""]:
    """TV(W) / |W|_1: the sum of the absolute differences of neighbouring taps along both axes, over that of the taps.

    A filter is one kh x kw slice. "layer": the ratio of the sums over all filters of the layer, as the paper writes
    it; "filter": the mean over the filters of each one's ratio. 0 = constant filters; the factor of a layer or
    filter does not matter. Larger kernels have more neighbours a tap, so compare layers of one kernel size, and read
    "smoother" as below the same layer's own value before training: 1.857 ("layer") for 3x3 filters from the normal cut
    at two standard deviations, 12 sqrt(2) / 9 = 1.886 from a whole one.

    NaN where it is undefined: a 1x1 kernel has no neighbours, and of zeros there is no ratio ("layer": all filters
    are zero; "filter": one of them is). Differentiable; summed in float32, float64 for float64.
    Raises `InputError` for another shape or reduction.
    """
    require(weight.ndim == 4, f"weights have the shape (out, in, kh, kw), got {tuple(weight.shape)}")
    if reduction not in REDUCTIONS:
        raise unknown("reduction", reduction, REDUCTIONS)
    exact = weight.to(torch.promote_types(weight.dtype, torch.float32))
    if weight.shape[2] * weight.shape[3] == 1:
        return exact.sum() * torch.nan
    variation = exact.diff(dim=2).abs().sum((2, 3)) + exact.diff(dim=3).abs().sum((2, 3))
    mass = exact.abs().sum((2, 3))
    return variation.sum() / mass.sum() if reduction == "layer" else (variation / mass).mean()


@dataclass(frozen=True)
class FilterVariation:
    """The total variation of a convolution's filters: the convolution's dotted name, the value, how many filters."""

    layer: str
    value: float
    filters: int


def filter_variations(model: nn.Module, reduction: Reduction = "layer") -> list[FilterVariation]:
    """The `total_variation` of every two-dimensional convolution of the model, in the order of its modules.

    Kernels below 3 pixels on a side are left out: with two taps or one there is too little to be smooth. The lower
    the value, the smoother the filters; NaN where undefined.
    """
    return [
        FilterVariation(
            name, total_variation(module.weight.detach(), reduction).item(), module.weight.shape[:2].numel()
        )
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and min(module.kernel_size) >= 3
    ]


def smoothness_penalty(model: nn.Module) -> Float[Tensor, ""]:
    """How rough the filters of a model are, to be added to a loss: the mean `total_variation` of its convolutions.

    `loss = task + 0.1 * smoothness_penalty(model)`. Over the two-dimensional convolutions with kernels of 3x3 or more,
    each weight once, as a ratio of sums ("layer"): a layer's scale does not matter, so that weights do not shrink for
    it. Differentiable. Layers whose filters are all zero count as smooth. Raises `InputError` for a model without such
    convolutions.
    """
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    weights = {id(conv.weight): conv.weight for conv in convolutions if min(conv.kernel_size) >= 3}
    require(bool(weights), "the model has no convolution with a kernel of 3x3 or more: it has nothing to smooth")
    return torch.stack([_roughness(weight) for weight in weights.values()]).mean()


def _roughness(weight: Float[Tensor, "out in kh kw"]) -> Float[Tensor, ""]:
    """The total variation of the layer; 0, with gradients of 0, where all filters are."""
    exact = weight.to(torch.promote_types(weight.dtype, torch.float32))
    variation = exact.diff(dim=2).abs().sum() + exact.diff(dim=3).abs().sum()
    return variation / exact.abs().sum().clamp_min(torch.finfo(exact.dtype).tiny)
