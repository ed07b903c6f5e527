"""What distances are made of: the lengths of a block's representations and the gaps between them, in one pass."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

# A slice of the columns and its products stay in the cache, and are enough work to share out between threads.
_SLICE_NUMBERS = {"cpu": 1 << 21}
_SLICE_NUMBERS_ELSEWHERE = 1 << 25
# In how many parts the columns of a slice are multiplied, the first of these that divides them: enough for each core.
_PARTS = {"cpu": (4, 1)}
_PARTS_ELSEWHERE = (64, 16, 4, 1)
_ROUNDING = 2.0**-20
"""Products in float32 say nothing of gaps below this share of the squared lengths, as of equal representations."""


@dataclass(frozen=True)
class Geometry:
    """Squared lengths and squared gaps of n representations and of their deformed partners; float64.

    clean, deformed: (n,) |r(x)|^2 and |r(deformed x)|^2.
    moved: (n,) |r(deformed x) - r(x)|^2.
    apart: (n, n) |r(x_i) - r(x_j)|^2.
    """

    clean: Float[Tensor, " n"]
    deformed: Float[Tensor, " n"]
    moved: Float[Tensor, " n"]
    apart: Float[Tensor, "n n"]

    @property
    def constant(self) -> Bool[Tensor, ""]:
        """All representations are the same, to the bit."""
        return ~self.apart.any()

    @property
    def finite(self) -> Bool[Tensor, ""]:
        """No representation holds a NaN or an infinity."""
        return torch.isfinite(self.moved).all() & torch.isfinite(self.apart).all()


def geometry(clean: Real[Tensor, "n *d"], deformed: Real[Tensor, "n *d"]) -> Geometry:
    """The geometry of a block of activations, any type of real numbers, flattened over all but the first dimension.

    Goes once through the activations in slices, sums within a slice in float32 and over slices in float64, and needs
    memory for one slice only. Inner products are taken after subtracting the first representation: gaps that are
    small beside the lengths keep their precision. Gaps within the rounding are 0, so that equal representations are.
    """
    x, y = _rows(clean), _rows(deformed)
    n, width = x.shape
    half = n // 2
    lengths = x.new_zeros((3, n), dtype=torch.float64)
    upper = x.new_zeros((half, n), dtype=torch.float64)
    lower = x.new_zeros((n - half, n - half), dtype=torch.float64)
    step = _SLICE_NUMBERS.get(x.device.type, _SLICE_NUMBERS_ELSEWHERE) // n
    parts_of = _PARTS.get(x.device.type, _PARTS_ELSEWHERE)
    step = max(1, step - step % parts_of[0])
    # One piece of memory for all differences: asking for a new one each time costs as much as filling it.
    scratch = torch.empty(n * min(step, width), dtype=torch.float32, device=x.device)
    norms = scratch.new_empty((3, n))
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        for start in range(0, width, step):
            xs, ys = x[:, start : start + step].float(), y[:, start : start + step].float()
            room = scratch[: xs.numel()]
            moved = torch.sub(ys, xs, out=room.view(xs.shape))
            for rows, norm in zip((xs, ys, moved), norms, strict=True):
                torch.linalg.vector_norm(rows, dim=1, out=norm)
            lengths += norms.double().square()
            # Columns in parts, so that each thread multiplies tiles of its own; a product with the own transpose is
            # symmetric, and its lower left quarter is left out.
            count = next(count for count in parts_of if xs.shape[1] % count == 0)
            parts = xs.unflatten(1, (count, -1)).transpose(0, 1)
            anchored = torch.sub(parts, parts[:, :1], out=room.view(parts.shape))
            upper += (anchored[:, :half] @ anchored.mT).sum(0, dtype=torch.float64)
            lower += (anchored[:, half:] @ anchored[:, half:].mT).sum(0, dtype=torch.float64)
    products = torch.cat((upper, torch.cat((upper[:, half:].T, lower), dim=1)))
    squares = products.diagonal()
    sums = squares[:, None] + squares[None, :]
    apart = sums - 2 * products
    apart = apart.masked_fill_(apart <= _ROUNDING * sums, 0).fill_diagonal_(0)  # a NaN is not below anything
    return Geometry(lengths[0], lengths[1], lengths[2], apart)


def squared_gaps(first: Real[Tensor, "n *d"], second: Real[Tensor, "n *d"]) -> Float[Tensor, " n"]:
    """|b - a|^2 of each image, summed as in `geometry`; float64."""
    x, y = _rows(first), _rows(second)
    n, width = x.shape
    gaps = x.new_zeros(n, dtype=torch.float64)
    step = max(1, _SLICE_NUMBERS.get(x.device.type, _SLICE_NUMBERS_ELSEWHERE) // max(1, n))
    scratch = torch.empty(n * min(step, width), dtype=torch.float32, device=x.device)
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        for start in range(0, width, step):
            xs, ys = x[:, start : start + step].float(), y[:, start : start + step].float()
            moved = torch.sub(ys, xs, out=scratch[: xs.numel()].view(xs.shape))
            gaps += torch.linalg.vector_norm(moved, dim=1).double().square()
    return gaps


def of_pairs(values: Float[Tensor, "n n"]) -> Float[Tensor, " pairs"]:
    """Those of all pairs i < j, in row order."""
    first, second = torch.triu_indices(len(values), len(values), 1, device=values.device)
    return values[first, second]


def _rows(activation: Real[Tensor, "n *d"]) -> Real[Tensor, "n d"]:
    """One row an image, a view where the memory allows: the order within a row does not matter to a distance."""
    inner = sorted(range(1, activation.ndim), key=activation.stride, reverse=True)
    return activation.permute(0, *inner).flatten(1) if inner else activation[:, None]
