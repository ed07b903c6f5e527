"""Maximum-entropy diffeomorphisms: random sine series, smooth and zero on the border."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor

from pliant import draws
from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Length, check_length, pixels
from pliant.deform.series import Series, cached

_BEYOND = 0.001  # of the draws
_ROUNDING = 1e-5


@dataclass(frozen=True)
class MaxEntropy(Deformation):
    """The deformation of Petrini, Favero, Geiger and Wyart 2021 (arXiv:2105.02468).

    cutoff: c, the highest frequency, in half waves a side: modes (i, j) with sqrt(i^2 + j^2) < c + 1/2.
    displacement: the nominal one, delta; 1 pixel if neither it nor a temperature is given. The root mean square length
        that is really reached is smaller: `rms`.
    temperature: T, instead; delta = (n / 2) sqrt(pi T ln c), with n the width of the image, pixels.

    Their displacement (dx, dy), of an image read at p - (dx, dy), is n sqrt(T) times u(x, y) = sum of
    C_ij sin(i pi x) sin(j pi y) with C_ij ~ N(0, 1 / (i^2 + j^2)), x and y from 0 to 1; ours is its negative. The same
    length serves along both axes, so that images need not be square.
    """

    name = "max_entropy"
    strength = "displacement"
    on_host = True

    cutoff: int = 3
    displacement: Length | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        require(self.cutoff >= 2, f"cutoff={self.cutoff}: at least 2, the nominal displacement is undefined for 1")
        require(
            self.displacement is None or self.temperature is None,
            f"displacement={self.displacement} and temperature={self.temperature}: each gives the other, give one",
        )
        if self.displacement is not None:
            check_length("displacement", self.displacement)
        if self.temperature is not None:
            require(
                0 <= self.temperature < math.inf, f"temperature={self.temperature}: it must be 0 or more and finite"
            )

    def nominal(self, size: tuple[int, int]) -> float:
        """The nominal displacement on images of `size` (h, w), pixels: the paper's delta."""
        if self.temperature is not None:
            return size[1] / 2 * math.sqrt(math.pi * self.temperature * math.log(self.cutoff))
        return pixels(1.0 if self.displacement is None else self.displacement, size[1])

    def rms(self, size: tuple[int, int]) -> float:
        """The root mean square length of the displacement over draws and pixels, on images of `size` (h, w); pixels."""
        modes = torch.tensor(_modes(self.cutoff), dtype=torch.float64)
        waves = _basis(size, self.cutoff, torch.device("cpu")).double().square().mean(1)
        return self._amplitude(size) * float((2 * waves / modes.square().sum(1)).sum().sqrt())

    def temperatures(self, size: tuple[int, int]) -> tuple[float, float]:
        """The temperatures between which the displacement is at least half a pixel, and the map one-to-one in nearly
        all draws; on images of `size` (h, w).
        """
        width, log = size[1], math.log(self.cutoff)
        return 1 / (math.pi * width**2 * log), 4 / (math.pi**3 * self.cutoff**2 * log)

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 2 modes"]:
        """The coefficients C of u, then of v, without unit; the modes (i, j) run by i, then j."""
        modes = _modes(self.cutoff)
        numbers = source.uniform(2 * len(modes))
        deviations = numbers.new_tensor([1 / math.hypot(i, j) for i, j in modes])
        return draws.as_normal(numbers).unflatten(1, (2, len(modes))) * deviations

    def within(self, parameters: Float[Tensor, "n 2 modes"], size: tuple[int, int]) -> Float[Tensor, "n 2 modes"]:
        """Normal numbers have no bound: this one holds 99.9% of the draws, and those beyond it are shrunk to it, too.

        The sum over the modes of u and of v of (i^2 + j^2) C_ij^2 is at most the 99.9% quantile of chi-square with as
        many degrees of freedom as there are coefficients. What lies beyond is multiplied by one factor: the nearest in
        the measure of that sum.
        """
        modes = _modes(self.cutoff)
        weights = parameters.new_tensor([i * i + j * j for i, j in modes])
        largest = float(special.chdtri(2 * len(modes), _BEYOND))
        share = (parameters.square() * weights).sum((1, 2), keepdim=True) / largest
        return torch.where(share > 1 + _ROUNDING, parameters / share.sqrt(), parameters)

    def field(self, parameters: Float[Tensor, "n 2 modes"], size: tuple[int, int]) -> Field:
        """The sine series of the given coefficients."""
        return Field(Series(-self._amplitude(size) * parameters, size, _basis(size, self.cutoff, parameters.device)))

    def _amplitude(self, size: tuple[int, int]) -> float:
        """n sqrt(T), pixels."""
        return 2 * self.nominal(size) / math.sqrt(math.pi * math.log(self.cutoff))


@lru_cache(maxsize=8)
def _modes(cutoff: int) -> tuple[tuple[int, int], ...]:
    sides = range(1, cutoff + 1)
    return tuple((i, j) for i in sides for j in sides if math.hypot(i, j) < cutoff + 0.5)


@cached
def _basis(size: tuple[int, int], cutoff: int, device: torch.device) -> Float[Tensor, "modes hw"]:
    """sin(i pi x) sin(j pi y) of each mode: float32, from float64."""
    height, width = size
    along = [np.sin(np.pi * np.outer(np.arange(1, cutoff + 1), np.linspace(0, 1, side))) for side in (height, width)]
    waves = [np.outer(along[0][j - 1], along[1][i - 1]).ravel() for i, j in _modes(cutoff)]
    return torch.from_numpy(np.stack(waves).astype(np.float32)).to(device)
