"""Noise of the size of a deformation. Petrini et al. 2021."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from pliant import draws
from pliant._checks import require

_AT_ONCE = 1 << 20  # numbers


def noisy(
    clean: Real[Tensor, "n *d"], deformed: Real[Tensor, "n *d"], first: int, seed: int, draw: int
) -> Float[Tensor, "n *d"]:
    """x + eta of each image: eta isotropic Gaussian, |eta| = |deformed x - x|, as the model sees them.

    So lengths are taken after any preprocessing, and the sum is rounded to the type of the images: small deformations
    want more than 16 bits.

    Drawn by (seed, number of the image, draw), counted from `first`. Raises `InputError` for images of integers.
    """
    require(
        clean.is_floating_point(),
        f"noise cannot be added to images of {str(clean.dtype)[6:]}: give images or a preprocess of floating point",
    )
    count = clean[0].numel()
    out = torch.empty_like(clean)
    step = max(1, _AT_ONCE // max(1, count))
    for start in range(0, len(clean), step):
        part = slice(start, min(start + step, len(clean)))
        x = clean[part].flatten(1).float()
        indices = range(first + part.start, first + part.stop)
        eta = draws.as_normal(draws.uniform(seed, draws.Stream.NOISE, indices, draw, count, clean.device))
        size = _length(deformed[part].flatten(1).float() - x) / _length(eta)
        out[part] = (x + eta * size.float()).view_as(out[part])
    return out


def _length(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n 1"]:
    return torch.linalg.vector_norm(rows, dim=1, keepdim=True, dtype=torch.float64)
