"""Elastic distortions: noise at every pixel, smoothed."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pliant import _gpu
from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Length, check_length, pixels
from pliant.deform.recipe import Recipe, has_tangent
from pliant.deform.series import cached

_TRUNCATED = 4.0  # standard deviations
_LARGEST = 1 - 2.0**-8  # of the noise
_ROWS, _BAND = 1024, 64  # of one product
_ALIGNED = 16  # products whose sides are multiples of it give each plane the same bits in any batch
_APART = 8  # numbers: two planes then fill blocks of what is drawn
_AT_ONCE = 1 << 19  # numbers that stay in the caches


@dataclass(frozen=True)
class Elastic(Deformation):
    """The distortion of Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks".

    At every pixel x and y are drawn uniformly from -1 to 1, smoothed by a Gaussian of sum 1 and multiplied by alpha,
    which no displacement along an axis can pass. The noise goes on beyond the border, so that the field is as large
    there as in the middle. The defaults are the paper's 34 and 4 pixels of images 29 pixels wide.

    alpha: a length; the displacement that is reached is smaller: `rms`. sigma: of the Gaussian, a length; it is cut off
        at four sigma.
    """

    name = "elastic"
    strength = "alpha"

    alpha: Length = "117%"
    sigma: Length = "13.8%"

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
        """The noise in (-1, 1), without unit: at every pixel, and around the image as far as the Gaussian reaches."""
        beyond = len(_gaussian(pixels(self.sigma, size[1]))) - 1
        rows, columns = size[0] + beyond, size[1] + beyond
        # Planes that begin equally far from one another are smoothed where they are.
        apart = -(-rows * columns // _APART) * _APART
        planes = source.noise(2 * apart).unflatten(1, (2, apart))[:, :, : rows * columns]
        return planes.unflatten(2, (rows, columns))

    def within(
        self, parameters: Float[Tensor, "n 2 rows columns"], size: tuple[int, int]
    ) -> Float[Tensor, "n 2 rows columns"]:
        """Every number of the noise between the least and the largest that is drawn."""
        return parameters.clamp(-_LARGEST, _LARGEST)

    def field(self, parameters: Float[Tensor, "n 2 rows columns"], size: tuple[int, int]) -> Field:
        """The noise smoothed, times alpha."""
        return Field(_Smoothed(parameters, size, pixels(self.sigma, size[1]), pixels(self.alpha, size[1])))


@dataclass(frozen=True, eq=False)
class _Smoothed(Recipe):
    """The displacements of n images of `size` (h, w): alpha times the noise correlated with a Gaussian.

    weights: (n, 2, rows, columns), the noise. sigma, alpha: pixels.
    """

    weights: Float[Tensor, "n 2 rows columns"]
    size: tuple[int, int]
    sigma: float
    alpha: float

    def summed(self, room: Float[Tensor, "n 2 h w"] | None = None) -> Float[Tensor, "n 2 h w"]:
        """The displacements, differentiable in the noise; without gradients the same to the bit in every batch."""
        noise, gaussian, (height, width) = self.weights, _gaussian(self.sigma), self.size
        kernels = _gpu.kernels("pliant.deform.fused_smoothing", noise.device, "noise is smoothed")
        # A kernel would lose the derivative in forward mode.
        if kernels is not None and noise.dtype == torch.float32 and not has_tangent(noise):
            weights = torch.stack((self.alpha * gaussian, gaussian)).float()
            return kernels.smooth(noise.flatten(0, 1), _gpu.sent(weights, noise.device)).unflatten(0, (-1, 2))
        if torch.is_grad_enabled() and noise.requires_grad:
            exact = torch.promote_types(noise.dtype, _exact(noise))
            across, along = (_correlation(gaussian, side).to(noise.device, exact) for side in self.size)
            with torch.autocast(noise.device.type, enabled=False):
                return (self.alpha * (across.T @ noise.to(exact) @ along)).to(noise.dtype)
        aligned = height % _ALIGNED == width % _ALIGNED == 0
        if aligned and noise.device.type == "cpu" and noise.dtype == torch.float32 and not has_tangent(noise):
            if room is None or room.dtype != noise.dtype:
                room = noise.new_empty((len(noise), 2, height, width))
            matrix = _band(self.sigma)
            for some, result in zip(noise.split(self.together), room.split(self.together), strict=True):
                _by_planes(some.flatten(0, 1), self.alpha * matrix, matrix.T, result.flatten(0, 1))
            return room
        along = _along(noise.flatten(0, 2), self.alpha * gaussian).unflatten(0, (-1, noise.shape[2]))
        across = _along(along.transpose(1, 2).flatten(0, 1), gaussian).unflatten(0, (-1, width))
        return across.transpose(1, 2).unflatten(0, (-1, 2)).contiguous()

    @property
    def together(self) -> int:
        """As many as stay in the caches, or fill a product."""
        return max(1, _AT_ONCE // (2 * self.weights.shape[2] * self.size[1]))


def _along(rows: Float[Tensor, "m longer"], weights: Float[Tensor, " taps"]) -> Float[Tensor, "m length"]:
    """Each row correlated with the weights, where they fit; the same to the bit whatever rows stand beside it.

    By products of one and the same shape, each with the band of the correlation's matrix that is not zero. On GPUs in
    float64: they may be allowed to round what they multiply in float32.
    """
    exact = _exact(rows)
    length = rows.shape[1] - len(weights) + 1
    matrix = _correlation(weights, _BAND).to(rows.device, exact)
    out = rows.new_empty((len(rows), length))
    with torch.autocast(rows.device.type, enabled=False):
        for some, result in zip(rows.split(_ROWS), out.split(_ROWS), strict=True):
            some = some.to(exact)
            some = F.pad(some, (0, 0, 0, _ROWS - len(some))) if len(some) < _ROWS else some
            for start in range(0, length, _BAND):
                band = min(_BAND, length - start)
                longer = band + len(weights) - 1
                wide = -(-band // 16) * 16  # narrow products are computed in a way in which rows do not stand alone
                found = some[:, start : start + longer] @ matrix[:longer, :wide]
                result[:, start : start + band] = found[: len(result), :band].to(out.dtype)  # as tangents need, too
    return out


def _by_planes(
    planes: Float[Tensor, "m rows columns"],
    along: Float[Tensor, "longer band"],
    across: Float[Tensor, "band longer"],
    out: Float[Tensor, "m h w"],
) -> None:
    """Each row correlated by one matrix, then each column by the other, where they fit; h and w are multiples of
    `_ALIGNED`.

    By products of each plane alone, band after band. As many planes are meant as stay in the caches.
    """
    height, width = out.shape[1:]
    beyond = planes.shape[2] - width
    middle = planes.new_empty((len(planes), planes.shape[1], width))
    with torch.autocast(planes.device.type, enabled=False):
        for start in range(0, width, _BAND):
            end = min(start + _BAND, width)
            matrix = along[: end - start + beyond, : end - start].expand(len(planes), -1, -1)
            _multiply(planes[:, :, start : end + beyond], matrix, middle[:, :, start:end])
        for start in range(0, height, _BAND):
            end = min(start + _BAND, height)
            matrix = across[: end - start, : end - start + beyond].expand(len(planes), -1, -1)
            _multiply(matrix, middle[:, start : end + beyond], out[:, start:end])


def _multiply(left: Float[Tensor, "m a b"], right: Float[Tensor, "m b c"], out: Float[Tensor, "m a c"]) -> None:
    """Products of matrices, in the fastest way to where they belong."""
    if out.is_contiguous():
        torch.bmm(left, right, out=out)
    else:
        out.copy_(torch.bmm(left, right))


def _exact(numbers: Tensor) -> torch.dtype:
    return torch.float32 if numbers.device.type == "cpu" else torch.float64


@lru_cache(maxsize=8)
def _gaussian(sigma: float) -> Float[Tensor, " taps"]:
    reach = math.ceil(_TRUNCATED * sigma)
    weights = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


@cached
def _band(sigma: float) -> Float[Tensor, "longer band"]:
    """What takes a row to its correlation with the Gaussian at `_BAND` places."""
    return _correlation(_gaussian(sigma), _BAND).float()


def _correlation(weights: Float[Tensor, " taps"], length: int) -> Float[Tensor, "longer length"]:
    """What takes a row to its correlation with the weights at `length` places, where they fit."""
    matrix = torch.zeros(length + len(weights) - 1, length, dtype=weights.dtype)
    for i in range(length):
        matrix[i : i + len(weights), i] = weights
    return matrix
