"""How the energy of filters spreads over spatial frequencies. Tomasini et al. 2022, arXiv:2210.01506."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pliant._checks import require


class Spectrum(NamedTuple):
    """Energy by eigenvector of the Laplacian of the grid of taps, from smooth to rough.

    eigenvalues: (kh kw,) ascending; 0 is the constant filter.
    energies: (kh kw,) squared length of the filters along each eigenvector, summed over the filters.
    """

    eigenvalues: Float[Tensor, " k"]
    energies: Float[Tensor, " k"]


def laplacian_spectrum(weight: Float[Tensor, "out in kh kw"]) -> Spectrum:
    """The energy of a layer's filters along each eigenvector of the Laplacian of the kh x kw grid of taps.

    Neighbouring taps are joined, those at the border have fewer neighbours: of 3x3 taps the eigenvalues are 0, 1, 1, 2,
    3, 3, 4, 4, 6. The eigenvectors are products of a cosine along y and one along x, all of length 1; of equal
    eigenvalues the one that varies less along y comes first. The energies sum to |W|^2: of constant filters all of it
    is in the first, and of independent taps each has the same share.

    Differentiable; summed in float32, float64 for float64. Raises `InputError` for another shape.
    """
    require(
        weight.ndim == 4 and weight.shape[2:].numel() > 0,
        f"weights have the shape (out, in, kh, kw), got {tuple(weight.shape)}",
    )
    exact = weight.to(torch.promote_types(weight.dtype, torch.float32))
    (along_y, down), (along_x, across) = (_path(side) for side in weight.shape[2:])
    sums = (along_y[:, None] + along_x).flatten()
    eigenvalues, places = sums.round(decimals=9).sort(stable=True)  # rounded, so that equal ones are equal
    with torch.autocast(weight.device.type, enabled=False):
        parts = down.to(exact) @ exact.flatten(0, 1) @ across.T.to(exact)
    energies = parts.square().sum(0).flatten()[places.to(weight.device)]
    return Spectrum(eigenvalues.to(exact), energies)


def _path(taps: int) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k"]]:
    """Eigenvalues of a row of taps, ascending, and its eigenvectors as rows; float64."""
    frequency = torch.arange(taps, dtype=torch.float64)[:, None] * math.pi / taps
    waves = (frequency * (torch.arange(taps) + 0.5)).cos()
    return (2 - 2 * frequency[:, 0].cos()), waves / waves.norm(dim=1, keepdim=True)
