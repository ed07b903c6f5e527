"""Fields that are linear in their parameters: one basis, found once for each size, makes all of them."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pliant.deform.field import Field

_ROWS, _COLUMNS = 16, 16  # of one product: so many rows at least, and a multiple of so many columns
_PIXELS = 1 << 14  # of one row, from which on more rows in a product do not make it faster
Make = TypeVar("Make", bound=Callable[..., Any])


def cached(make: Make) -> Make:
    """The last eight results kept: tensors that can be trained through, wherever they are first asked for."""

    @lru_cache(maxsize=8)
    @wraps(make)
    def made(*arguments: Any) -> Any:
        with torch.inference_mode(False):
            return make(*arguments)

    return made  # pyright: ignore[reportReturnType]


def combined(parameters: Float[Tensor, "n 2 k"], basis: Float[Tensor, "k hw"], size: tuple[int, int]) -> Field:
    """The field whose x and y are the basis times the parameters of each; the same to the bit in every batch."""
    basis = basis.to(parameters.dtype)
    if torch.is_grad_enabled() and parameters.requires_grad:
        with torch.autocast(parameters.device.type, enabled=False):
            return Field((parameters @ basis).unflatten(2, size))
    if parameters.device.type == "cpu":
        return Field(_products(parameters.flatten(0, 1), basis).reshape(len(parameters), 2, *size))
    # Sums in a fixed order: a matrix product may choose another for another batch.
    displacement = parameters.new_zeros((len(parameters), 2, basis.shape[1]))
    for k in range(basis.shape[0]):
        displacement.addcmul_(parameters[:, :, k, None], basis[k])
    return Field(displacement.unflatten(2, size))


def _products(rows: Float[Tensor, "m k"], basis: Float[Tensor, "k hw"]) -> Float[Tensor, "m hw"]:
    """`rows @ basis` in products of one and the same shape, so that the batch does not choose how they are computed.

    Each number is then the same chain of multiply-adds over the basis, whatever rows stand beside it.
    """
    count, wide = len(rows), basis.shape[1]
    group = _ROWS * min(16, max(1, _PIXELS // max(wide, 1)))
    padded = F.pad(rows, (0, 0, 0, -count % group))
    # Narrow products are computed in another way, in which rows do not stand alone.
    basis = F.pad(basis, (0, -wide % _COLUMNS)) if wide % _COLUMNS else basis
    out = rows.new_empty((len(padded), basis.shape[1]))
    for some, result in zip(padded.split(group), out.split(group), strict=True):
        torch.mm(some, basis, out=result)
    return out[:count, :wide]
