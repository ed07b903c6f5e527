"""What one layer makes of one block of images: what metrics ask for, computed when the first one asks."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from pliant._checks import InputError
from pliant.metrics.gaps import Geometry, geometry, of_pairs, squared_gaps

Take = Literal["mean", "median"]
_NUMBERS = {"cpu": 1 << 22}
_NUMBERS_ELSEWHERE = 1 << 24


@dataclass(frozen=True, eq=False)
class Sample:
    """Numbers of a block, one for each image or for each pair i < j in row order, and what is taken of them."""

    values: Float[Tensor, " k"]
    over: Literal["images", "pairs"]
    take: Take


class Signs(NamedTuple):
    """What kind of numbers a layer has in a block.

    finite: no activation, clean or deformed, is a NaN or an infinity. constant: the layer says the same of all images,
    to the bit. blank: it says 0 of all.
    """

    finite: bool
    constant: bool
    blank: bool


@runtime_checkable
class Along(Protocol):
    """The deformations of a block's images, at the resolution of any feature map."""

    def warp(self, maps: Real[Tensor, "n c h w"], part: slice) -> Real[Tensor, "n c h w"]:
        """The maps of the images in `part`, deformed as the images were."""
        ...

    def tangent(self, maps: Real[Tensor, "n c h w"], part: slice) -> Float[Tensor, "n c h w"]:
        """How the maps of the images in `part` begin to change as they are deformed: the derivative at strength 0."""
        ...

    def inside(self, size: tuple[int, int], part: slice) -> Bool[Tensor, "n h w"]:
        """Where a deformed map of `size` (h, w) was read inside the map."""
        ...

    def fits(self, size: tuple[int, int]) -> bool:
        """A map of `size` (h, w) has the proportions of the image."""
        ...


class Block:
    """The activations of n images, of their deformed partners and, where a metric asks for them, of noisy ones.

    clean, deformed: (n, ...), any type of real numbers. noisy: of images x + eta, |eta| = |deformed x - x|.
    along: the deformations. tangent: the derivative of `clean` as the images begin to deform.
    `noisy`, `along` and `tangent` are there only for metrics that say that they need them.
    """

    def __init__(
        self,
        clean: Real[Tensor, "n *d"],
        deformed: Real[Tensor, "n *d"],
        noisy: Real[Tensor, "n *d"] | None = None,
        along: Along | None = None,
        tangent: Float[Tensor, "n *d"] | None = None,
    ):
        self.clean, self.deformed = clean, deformed
        self._noisy, self._along, self._tangent = noisy, along, tangent
        self._known: dict[Hashable, Sample] = {}

    def __len__(self) -> int:
        return len(self.clean)

    @cached_property
    def geometry(self) -> Geometry:
        """The lengths and gaps of the clean and the deformed activations."""
        return geometry(self.clean, self.deformed)

    @cached_property
    def signs(self) -> Bool[Tensor, "3"]:
        """The `Signs`, where the activations are: asking for them does not wait for the device."""
        of = self.geometry
        return torch.stack((of.finite, of.constant, ~of.clean.any()))

    @cached_property
    def noise(self) -> Float[Tensor, " n"]:
        """|r(x + eta) - r(x)|^2, float64."""
        if self._noisy is None:
            raise InputError("this block holds no noisy images: a metric that reads them must set `noise = True`")
        return squared_gaps(self.clean, self._noisy)

    @property
    def tangent(self) -> Float[Tensor, "n *d"]:
        """d/dt r(x warped along t times its deformation) at t = 0."""
        if self._tangent is None:
            raise InputError("this block holds no tangents: a metric that reads them must set `tangent = True`")
        return self._tangent

    @property
    def maps(self) -> bool:
        """The activations are read as feature maps (n, c, h, w): of four dimensions, the last two as wide beside high
        as the image, which (n, h, w, c) seldom are.
        """
        return self.clean.ndim == 4 and self._deformations().fits((self.clean.shape[2], self.clean.shape[3]))

    def followed(self) -> Iterator[tuple[Real[Tensor, "m c h w"], Real[Tensor, "m c h w"], slice]]:
        """Some images at a time: their maps deformed as the images were, the maps of the deformed images, and which."""
        for part, along in self._some():
            yield along.warp(self.clean[part], part), self.deformed[part], part

    def inside(self, part: slice) -> Bool[Tensor, "m h w"]:
        """Where the maps of the images in `part`, deformed as the images were, were read inside the map."""
        return self._deformations().inside((self.clean.shape[2], self.clean.shape[3]), part)

    def begun(self) -> Iterator[tuple[Float[Tensor, "m c h w"], Float[Tensor, "m c h w"]]]:
        """Some images at a time: how their maps begin to change as maps that are deformed like the images; and how
        they do, `tangent`.
        """
        for part, along in self._some():
            yield along.tangent(self.clean[part], part), self.tangent[part]

    def _some(self) -> Iterator[tuple[slice, Along]]:
        """The images whose maps are looked at together, and the deformations."""
        along = self._deformations()
        numbers = _NUMBERS.get(self.clean.device.type, _NUMBERS_ELSEWHERE)
        step = max(1, numbers // max(1, self.clean[0].numel()))
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self))), along

    def _deformations(self) -> Along:
        if self._along is None:
            raise InputError("this block holds no deformations: a metric that reads them must set `field = True`")
        return self._along

    def apart(self, take: Take) -> Sample:
        """|r(x_i) - r(x_j)|^2 of all pairs; the same sample for all metrics that take the same of it."""
        return self.shared(("apart", take), lambda: Sample(of_pairs(self.geometry.apart), "pairs", take))

    def shared(self, key: Hashable, make: Callable[[], Sample]) -> Sample:
        """What `make` gives, made once for all metrics that ask under the same key."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def nothing(self) -> Float[Tensor, " n"]:
        """A NaN for each image."""
        return torch.full((len(self),), torch.nan, dtype=torch.float64, device=self.clean.device)
