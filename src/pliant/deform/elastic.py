"""Elastic distortions: noise at every pixel, smoothed."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from pliant._checks import require
from pliant.deform.family import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Length, check_length, pixels

_TRUNCATED = 4.0  # standard deviations


@dataclass(frozen=True)
class Elastic(Deformation):
    """The distortion of Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks".

    At every pixel x and y are drawn uniformly from -1 to 1, smoothed by a Gaussian of sum 1 and multiplied by alpha,
    which no displacement along an axis can pass. The noise goes on beyond the border, so that the field is as large
    there as in the middle. The defaults are the ones of the paper, for images 29 pixels wide.

    alpha: a length; the displacement that is reached is smaller: `rms`. sigma: of the Gaussian, a length; it is cut off
        at four sigma.
    """

    name = "elastic"
    strength = "alpha"

    alpha: Length = 34.0
    sigma: Length = 4.0

    def __post_init__(self) -> None:
        check_length("alpha", self.alpha)
        check_length("sigma", self.sigma)
        require(pixels(self.sigma, 100) > 0, f"sigma={self.sigma}: the Gaussian's width must be above 0")

    def rms(self, size: tuple[int, int]) -> float:
        """The root mean square length of the displacement on images of `size` (h, w), over images and pixels; pixels.

        The variance of a uniform number, 1/3, of each axis, times the sum of the squared weights.
        """
        squares = float(_gaussian(pixels(self.sigma, size[1])).square().sum())
        return pixels(self.alpha, size[1]) * squares * math.sqrt(2 / 3)

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 2 rows columns"]:
        """The noise in [-1, 1), without unit: at every pixel, and around the image as far as the Gaussian reaches."""
        beyond = len(_gaussian(pixels(self.sigma, size[1]))) - 1
        rows, columns = size[0] + beyond, size[1] + beyond
        return source.noise(2 * rows * columns).unflatten(1, (2, rows, columns))

    def field(self, parameters: Float[Tensor, "n 2 rows columns"], size: tuple[int, int]) -> Field:
        """The noise smoothed, times alpha."""
        weights = _gaussian(pixels(self.sigma, size[1]))
        alpha = pixels(self.alpha, size[1])
        across, along = (_toeplitz(weights, side).to(parameters) for side in size)
        # Exact on GPUs, too, which are allowed to round what they multiply in float32.
        exact = parameters.dtype if parameters.device.type == "cpu" else torch.float64
        across, along = across.to(exact), alpha * along.T.to(exact)
        with torch.autocast(parameters.device.type, enabled=False):
            if torch.is_grad_enabled() and parameters.requires_grad:
                return Field((across @ parameters.to(exact) @ along).to(parameters.dtype))
            # One image at a time: what stands beside it in the batch must not choose how the products are computed.
            displacement = parameters.new_empty((len(parameters), 2, *size))
            for noise, out in zip(parameters.flatten(0, 1), displacement.flatten(0, 1), strict=True):
                out.copy_(across @ noise.to(exact) @ along)
        return Field(displacement)


@lru_cache(maxsize=8)
def _gaussian(sigma: float) -> Float[Tensor, " taps"]:
    reach = math.ceil(_TRUNCATED * sigma)
    weights = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


def _toeplitz(weights: Float[Tensor, " taps"], length: int) -> Float[Tensor, "length longer"]:
    """The matrix that correlates with the weights where they fit, float32: `length` places of a longer signal."""
    rows = torch.zeros(length, length + len(weights) - 1, dtype=weights.dtype)
    for i in range(length):
        rows[i, i : i + len(weights)] = weights
    return rows.float()
