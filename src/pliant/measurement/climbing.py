"""Gradient ascent on the parameters of deformations, within the bound of their family."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Real, Shaped
from torch import Tensor, nn

from pliant._checks import require
from pliant.deform import Deformation, Padding, warp
from pliant.measurement.feeding import Feeding, hear
from pliant.metrics import Distance

_FIRST = 1.0  # step, in standard deviations of what is drawn
_LONGER, _SHORTER = 1.5, 0.5
_ROUNDING = 1e-5
"""What is larger by less than this share is no better."""


class Climb:
    """How far apart a layer places each of some images and its deformation, and the way on which that grows.

    Projected gradient ascent that goes on from the best parameters seen with half the step where a step led to nothing
    better, after Croce and Hein 2020 (arXiv:2003.01690), and with a longer one where it did, or moved nothing. A step
    goes along the gradient, scaled by what is drawn and for each image by itself: where a layer answers linearly, long
    steps end at the worst parameters of a bound of any shape.
    """

    def __init__(
        self,
        model: nn.Module,
        feed: Feeding,
        layer: str,
        distance: Distance,
        deformation: Deformation,
        padding: Padding,
        images: Real[Tensor, "n c h w"],
    ):
        self._model, self._feed, self._layer, self._distance = model, feed, layer, distance
        self._deformation, self._images = deformation, images
        self._padding: Padding = padding
        self._size = (images.shape[2], images.shape[3])
        self._clean: Tensor = self._heard(images.clone(), torch.clone)

    def climb(
        self,
        parameters: Float[Tensor, "n *p"],
        values: Float[Tensor, " n"],
        spread: Float[Tensor, "*p"],
        budget: int,
    ) -> tuple[Float[Tensor, "n *p"], Float[Tensor, " n"]]:
        """The best parameters seen in `budget` steps from `parameters` on, and their distances; never below `values`.

        values: the distances of `parameters`. spread: standard deviations of what is drawn; 0 stays as it is.
        """
        step = torch.full_like(values, _FIRST)
        _, slope = self._measured(parameters)
        for _ in range(budget):
            along = _each(step, slope).to(slope) * spread * _direction(spread * slope, spread)
            moved = self._deformation.within(parameters + along, self._size)
            found, there = self._measured(moved)
            better = found > values * (1 + _ROUNDING)
            still = (moved == parameters).flatten(1).all(1)
            values = torch.where(better, found, values)
            parameters = torch.where(_each(better, moved), moved, parameters)
            slope = torch.where(_each(better, there), there, slope)
            step = step * torch.where(better | still, _LONGER, _SHORTER)
        return parameters, values

    def _measured(self, parameters: Float[Tensor, "n *p"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n *p"]]:
        """The distance of each image, float64, and its derivatives by the image's own parameters."""
        with torch.enable_grad():
            numbers = parameters.detach().requires_grad_()
            warped = warp(self._images, self._deformation.made(numbers, self._size), self._padding)
            # A copy, since the model may go on in the same memory.
            values = self._heard(warped, lambda heard: apart(self._distance, self._clean, heard.clone()))
            require(
                values.requires_grad,
                f"no gradient leads from layer {self._layer!r} back to the images: choose another layer, or budget=0 "
                "for the best of the draws alone",
            )
            (slope,) = torch.autograd.grad(values.sum(), numbers)
        return values.detach(), slope

    def _heard(self, images: Tensor, take: Callable[[Tensor], Tensor]) -> Tensor:
        """What `take` makes of the layer's activation."""
        found: list[Tensor] = []
        hear(self._model, self._feed(images), [self._layer], lambda _, heard: found.append(take(heard)))
        return found[0]


def apart(distance: Distance, clean: Real[Tensor, "n *d"], deformed: Real[Tensor, "n *d"]) -> Float[Tensor, " n"]:
    """d(clean, deformed) of each image, float64. Differentiable; where the two are equal the gradient is 0."""
    exact = torch.promote_types(deformed.dtype, torch.float32)
    x, y = clean.flatten(1).to(exact), deformed.flatten(1).to(exact)
    gap, first, second = (torch.linalg.vector_norm(rows, dim=1).double().square() for rows in (y - x, x, y))
    return distance.between(_rooted(gap), first, _rooted(second))


def _rooted(squares: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The same, with a gradient of 0 at 0 instead of none once a root is taken."""
    return torch.where(squares > 0, squares, squares.detach())


def _direction(slope: Float[Tensor, "n *p"], spread: Float[Tensor, "*p"]) -> Float[Tensor, "n *p"]:
    """The slope of each image, of root mean square 1 over what is drawn; 0 where it is 0."""
    squares = slope.double().square().flatten(1).sum(1) / spread.count_nonzero().clamp(min=1)
    return slope / _each(squares.sqrt().clamp(min=torch.finfo(slope.dtype).tiny), slope).to(slope)


def _each(values: Shaped[Tensor, " n"], numbers: Shaped[Tensor, "n *rest"]) -> Shaped[Tensor, "n *ones"]:
    """One value for each image, beside all of its numbers."""
    return values.reshape(-1, *[1] * (numbers.ndim - 1))
