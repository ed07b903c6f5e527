"""Displacements that are sums of fixed patterns, summed where they are needed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pliant import _gpu
from pliant.deform.recipe import Recipe, has_tangent

_ROWS, _COLUMNS = 16, 16  # of one product: so many rows at least, and a multiple of so many columns
_PATTERNS = 8  # of one product, at least
_PIXELS = 1 << 16  # of one row, from which on more rows in a product do not make it faster
_NEARLY = 1e-3  # pixels from whole ones: more than rounding does to displacements of hundreds of pixels
_TWICE = 1 << 24  # bytes of patterns that are kept a second time, for finding places
_KEPT = 1 << 28  # bytes of one kind of tensor, and of what it is made of
Make = TypeVar("Make", bound=Callable[..., Tensor])


def cached(make: Make) -> Make:
    """The last results kept, up to 256 MB of them with the tensors that they are made of, and the last one in any case:
    tensors that can be trained through, wherever they are first asked for.
    """
    kept: dict[tuple[Any, ...], Tensor] = {}

    @wraps(make)
    def made(*arguments: Any) -> Tensor:
        # Without a lock, which a fork would copy as it is: threads may make the same twice.
        tensor = kept.pop(arguments, None)
        if tensor is not None:
            kept[arguments] = tensor  # behind all others
            return tensor
        with torch.inference_mode(False):
            tensor = kept[arguments] = make(*arguments)
        for oldest in list(kept)[:-1]:
            if sum(_bytes(*made_of, other) for made_of, other in list(kept.items())) <= _KEPT:
                break
            kept.pop(oldest, None)
        return tensor

    return made  # pyright: ignore[reportReturnType]


def _bytes(*things: Any) -> int:
    """Of the tensors among them."""
    return sum(thing.nbytes for thing in things if isinstance(thing, Tensor))


@dataclass(frozen=True, eq=False)
class Series(Recipe):
    """The displacements of n images of `size` (h, w): along each axis the sum over k of weight times pattern, pixels.

    weights: (n, 2, k); basis: (k, hw), the patterns, the same for all images and both axes.
    """

    dear = False

    weights: Float[Tensor, "n 2 k"]
    size: tuple[int, int]
    basis: Float[Tensor, "k hw"]

    def to(self, device: torch.device | str) -> "Series":
        """That on another device, where the patterns are kept."""
        weights = _gpu.sent(self.weights, device)
        return replace(self, weights=weights, basis=_there(self.basis, weights.device))

    def summed(self, room: Float[Tensor, "n 2 h w"] | None = None) -> Float[Tensor, "n 2 h w"]:
        """The displacements, differentiable in the weights; without gradients the same to the bit in every batch."""
        basis, trained = self.basis, torch.is_grad_enabled() and self.weights.requires_grad
        if basis.device.type == "cpu" and not trained and not has_tangent(self.weights):
            rows = None if room is None else room.view(-1, basis.shape[1])
            return _products(self.weights.flatten(0, 1), basis, rows).reshape(len(self), 2, *self.size)
        basis = basis.to(self.weights.dtype)
        if trained or has_tangent(self.weights):
            # On GPUs in float64: products of float32 may be allowed to round what they multiply.
            exact = basis.dtype if basis.device.type == "cpu" else torch.float64
            with torch.autocast(basis.device.type, enabled=False):
                summed = self.weights.to(exact) @ basis.to(exact)
            return summed.to(basis.dtype).unflatten(2, self.size)
        # Sums in a fixed order: a matrix product may choose another for another batch.
        displacement = self.weights.new_zeros((len(self), 2, basis.shape[1]))
        for k in range(basis.shape[0]):
            displacement.addcmul_(self.weights[:, :, k, None], basis[k])
        return displacement.unflatten(2, self.size)

    def placed(
        self, pixels: Float[Tensor, "2 h w"], scale: float, room: Float[Tensor, "n 2 h w"]
    ) -> Float[Tensor, "n 2 h w"]:
        """`pixels` plus `scale` times the displacements, by one product; in `room` where it fits.

        On a CPU, and not differentiable.
        """
        own = torch.eye(2, dtype=self.weights.dtype).expand(len(self), 2, 2)
        weights = torch.cat((self.weights, own), 2).flatten(0, 1)
        return _products(weights, _placing(self.basis, pixels, scale), room.view(len(weights), -1)).reshape(room.shape)

    def placeable(self, pixels: Float[Tensor, "2 h w"], scale: float) -> bool:
        """Whether `placed` gives to the bit what scaling the displacements and adding them does: on a CPU, where the
        scale is a power of two, which rounds nothing; and the patterns are few, so that they may be kept twice.
        """
        here = pixels.device.type == "cpu" and pixels.dtype == self.weights.dtype and math.frexp(scale)[0] == 0.5
        if not here or self.basis.nbytes > _TWICE:
            return False
        try:
            self.weights.detach().numpy()
        except RuntimeError:  # in a transform of torch.func, whose tensors may hold no numbers
            return False
        return len(_placing(self.basis, pixels, scale)) > 0

    def maybe_whole(self) -> Int[Tensor, " some"]:
        """The images whose displacements can be whole pixels everywhere: at one pixel they nearly are. On a CPU."""
        # NumPy starts an operation several times as fast, and wakes no other thread for it.
        weights = self.weights.detach().numpy().reshape(-1, len(self.basis))
        pattern = np.ascontiguousarray(self.basis.numpy()[:, self.basis.shape[1] // 3])
        with np.errstate(all="ignore"):
            one = weights @ pattern
            near = np.abs(one - np.rint(one)) < _NEARLY
        return torch.from_numpy(np.flatnonzero(near[::2] & near[1::2]))

    @property
    def together(self) -> int:
        """How many images, or a multiple of it, are summed together without waste."""
        return _group(self.basis.shape[1]) // 2


@cached
def _placing(basis: Float[Tensor, "k hw"], pixels: Float[Tensor, "2 h w"], scale: float) -> Float[Tensor, "more hw"]:
    """The patterns times the scale, and the pixels. Empty where a product of them, tried with some weights, differs in
    any bit from scaling and adding what the patterns alone give, as this processor sums it in another order.
    """
    patterns, pixels = torch.cat((scale * basis, pixels.flatten(1))), pixels.flatten(1)
    weights = torch.arange(2 * _ROWS * len(basis), dtype=pixels.dtype).sin().view(_ROWS, 2, -1)
    summed = _products(weights.flatten(0, 1), basis).view(_ROWS, 2, -1)
    own = torch.eye(2, dtype=pixels.dtype).expand(_ROWS, 2, 2)
    placed = _products(torch.cat((weights, own), 2).flatten(0, 1), patterns).view(_ROWS, 2, -1)
    same = torch.equal(placed, torch.addcmul(pixels, summed, pixels.new_tensor(scale)))
    return patterns if same else patterns.new_empty(0, patterns.shape[1])


@cached
def _there(basis: Float[Tensor, "k hw"], device: torch.device) -> Float[Tensor, "k hw"]:
    return basis.to(device)


@cached
def _product_ready(basis: Float[Tensor, "k hw"], dtype: torch.dtype) -> Float[Tensor, "more wider"]:
    """The patterns as a type, with zeros added: products over fewer patterns are slower, and narrow ones are computed
    in another way, in which rows do not stand alone.
    """
    more = -basis.shape[1] % _COLUMNS, max(0, _PATTERNS - len(basis))
    basis = basis.to(dtype)
    return F.pad(basis, (0, more[0], 0, more[1])) if any(more) else basis


def _group(wide: int) -> int:
    return _ROWS * min(4, max(1, _PIXELS // max(wide, 1)))


def _products(
    rows: Float[Tensor, "m k"], basis: Float[Tensor, "k hw"], room: Float[Tensor, "m hw"] | None = None
) -> Float[Tensor, "m hw"]:
    """`rows @ basis` in products of one and the same shape, so that the batch does not choose how they are computed.

    Each number is then the same chain of multiply-adds over the basis, whatever rows stand beside it. In `room`, where
    it is just as large as the products.
    """
    count, wide = len(rows), basis.shape[1]
    group = _group(wide)
    basis = _product_ready(basis, rows.dtype)
    more = len(basis) - rows.shape[1], -count % group
    padded = F.pad(rows, (0, more[0], 0, more[1])) if any(more) else rows
    # All in one call, in which each stands alone; into memory of this type also where products are autocast.
    several = padded.reshape(-1, group, len(basis))
    shape = (len(several), group, basis.shape[1])
    if room is None or room.dtype != rows.dtype or room.numel() != math.prod(shape):
        room = rows.new_empty(shape)
    out = room.view(shape)
    torch.bmm(several, basis.expand(len(several), -1, -1), out=out)
    return out.flatten(0, 1)[:count, :wide]
