"""Derivatives of a model's activations along a deformation, in forward mode: beside the numbers of a forward pass."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from pliant._checks import InputError, require
from pliant.capture import OUTPUT

_NONE = re.compile(r"forward (mode )?AD|jvp is not implemented")
_OPERATION = re.compile(r"forward AD with (\S+) that")


@contextmanager
def forward_mode(model: nn.Module) -> Iterator[None]:
    """Within the context tensors carry tangents (`dual`) through the model and whatever else runs.

    Attention runs as plain products of matrices there, since the fused kernels have no derivative in forward mode.
    Raises `InputError`, with the layer, where another operation has none.
    """
    running: list[str] = []

    def begin(path: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, args: running.append(path)

    def end(module: nn.Module, args: Any, output: Any) -> None:
        running.pop()

    fast = torch.backends.mha.get_fastpath_enabled()
    handles = []
    try:
        for path, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(begin(path or OUTPUT)))
            handles.append(module.register_forward_hook(end))
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level():
            _first()
            yield
    except RuntimeError as error:
        if _NONE.search(str(error)) is None:
            raise
        operation = _OPERATION.search(str(error))
        raise InputError(
            f"{operation.group(1) if operation else 'an operation'} in "
            f"{f'layer {running[-1]!r}' if running else 'preprocess'} has no derivative in forward mode: replace it, "
            "or take the metric 'equivariance', which needs none"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()


def _first() -> None:
    """A first dual tensor, at which torch loads rules of differentiation that it warns of itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is", FutureWarning)
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


def dual(images: Shaped[Tensor, "n *d"], tangent: Float[Tensor, "m *d"]) -> Float[Tensor, "n *d"]:
    """The images with the tangents of the first m of them, in their type; the others stand still.

    Shares the images' memory. Raises `InputError` for images of integers.
    """
    require(
        images.is_floating_point(),
        f"images of {str(images.dtype)[6:]} have no derivative: give images of floating point",
    )
    still = tangent.new_zeros((len(images) - len(tangent), *tangent.shape[1:]))
    return forward_ad.make_dual(images, torch.cat((tangent, still)).to(images.dtype))


def primal_of(activation: Tensor) -> Tensor:
    """The numbers alone."""
    return forward_ad.unpack_dual(activation).primal


def tangent_of(activation: Float[Tensor, "n *d"]) -> Float[Tensor, "n *d"]:
    """The tangent alone. Where there is none: zeros if the numbers are the same for all images, else NaN, since it was
    lost on the way, as by `detach` or an operation of an extension.
    """
    primal, tangent = forward_ad.unpack_dual(activation)
    if tangent is not None:
        return tangent
    return torch.full_like(primal, 0.0 if bool((primal == primal[:1]).all()) else torch.nan)


def has_tangent(activation: Tensor) -> bool:
    """Whether any of the numbers changes."""
    tangent = forward_ad.unpack_dual(activation).tangent
    return tangent is not None and bool(tangent.any())
