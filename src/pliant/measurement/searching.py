"""The search for the worst deformations, a block of images at a time: random draws, then gradient ascent."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from pliant.deform import Deformation, Padding, warp
from pliant.measurement.climbing import Climb
from pliant.measurement.feeding import Feeding, hear
from pliant.measurement.pool import Parts
from pliant.measurement.summary import Moved, check_folds
from pliant.measurement.tally import Tally
from pliant.metrics import Block, Distance, Reading, Sample, Signs
from pliant.stats import PairBootstrap

KINDS = ("random", "best_of", "worst")
_PIXELS = 1 << 20  # of the images whose gradients are held at a time
_SPREAD_OVER = 256  # draws
_TOGETHER = 32  # of them at a time


class Searched:
    """What has been found of one layer so far: a tally of each of `KINDS`, and the worst parameters of each block.

    moved: how far the fields of each kind move the images.
    """

    def __init__(self, distance: Distance, replicates: int):
        self.distance = distance
        self.tallies = {kind: Tally(distance, replicates) for kind in KINDS}
        self.moved = {kind: Moved() for kind in KINDS}
        self.parameters: list[Tensor] = []

    @property
    def undefined(self) -> bool:
        """Some image had no distance: the layer will have no number."""
        return bool(self.tallies["worst"].undefined)


class Searching:
    """Goes through the images a block at a time. moved: how far the fields of each of `KINDS` move the images."""

    def __init__(
        self,
        model: nn.Module,
        feed: Feeding,
        deformation: Deformation,
        padding: Padding,
        draws: int,
        budget: int,
        seed: int,
        size: tuple[int, int],
        device: torch.device,
        refuse_folds: bool,
    ):
        self._refuse_folds = refuse_folds
        self._model, self._feed, self._deformation = model, feed, deformation
        self._padding: Padding = padding
        self._draws, self._budget, self._seed, self._size = draws, budget, seed, size
        self._spread = _spread(deformation, size, seed, device)
        self.moved = {kind: Moved() for kind in KINDS}

    def block(
        self,
        clean: Real[Tensor, "n c h w"],
        done: int,
        layers: Mapping[str, Searched],
        resampling: PairBootstrap | None,
    ) -> None:
        """Search one block, after `done` images, for all layers."""
        found: dict[str, _Found] = {}
        for draw in range(self._draws):
            indices = range(done, done + len(clean))
            drawn = self._deformation.parameters(indices, self._size, self._seed, draw, clean.device)
            parameters = self._deformation.within(drawn, self._size)
            if not draw:
                found = {name: _Found(layer, parameters, Parts(resampling)) for name, layer in layers.items()}
            self._draw(clean, parameters, found, layers)
        for name, layer in layers.items():
            here = found.pop(name)
            here.tell("random", torch.minimum(here.total / self._draws, here.values))  # equal distances round upwards
            here.tell("best_of", here.values)
            self._move(layer, "best_of", Moved.of(self._deformation.made(here.parameters, self._size)))
            if self._budget and self._spread.any() and not layer.undefined:
                self._climb(name, clean, here)
            here.tell("worst", here.values)
            worst = self._deformation.made(here.parameters, self._size)
            if self._refuse_folds:
                check_folds(worst, done, f"worst deformation for layer {name!r}")
            self._move(layer, "worst", Moved.of(worst))
            layer.parameters.append(here.parameters.cpu())

    def _move(self, layer: Searched, kind: str, moved: Moved) -> None:
        self.moved[kind].join(moved)
        layer.moved[kind].join(moved)

    def _draw(
        self, clean: Tensor, parameters: Tensor, found: Mapping[str, "_Found"], layers: Mapping[str, Searched]
    ) -> None:
        """Let all layers hear the images, and the deformations that the parameters make."""
        field = self._deformation.made(parameters, self._size)
        moved = Moved.of(field)
        for layer in layers.values():
            self._move(layer, "random", moved)
        fed = self._feed(torch.cat((clean, warp(clean, field, self._padding))))

        def heard(name: str, activation: Tensor) -> None:
            count = len(clean)
            found[name].hear(Block(activation[:count], activation[count:]), parameters)

        hear(self._model, fed, found, heard)

    def _climb(self, name: str, clean: Tensor, found: "_Found") -> None:
        """Go on from the best draws, as many images at a time as gradients are held of."""
        together = max(1, _PIXELS // (self._size[0] * self._size[1]))
        for start in range(0, len(clean), together):
            part = slice(start, start + together)
            parameters, values = found.parameters[part], found.values[part]
            if not values.any():  # where no draw moves the layer there is no slope either
                continue
            climb = Climb(self._model, self._feed, name, found.distance, self._deformation, self._padding, clean[part])
            found.replace(*climb.climb(parameters, values, self._spread, self._budget), part)


class _Found:
    """What has been found of one layer in one block of n images.

    total, values: (n,) the sum over the draws of the distances, and the largest distance. parameters: what has it.
    """

    def __init__(self, layer: Searched, parameters: Float[Tensor, "n *p"], parts: Parts):
        self.distance = layer.distance
        self.parameters = parameters.clone()
        self.total = parameters.new_zeros(len(parameters), dtype=torch.float64)
        self.values = torch.full_like(self.total, -torch.inf)
        self._layer, self._parts = layer, parts
        self._unit: Sample | None = None
        self._fault, self._varied = "", False

    def hear(self, block: Block, parameters: Float[Tensor, "n *p"]) -> None:
        """Take in one draw."""
        reading = self.distance.read(block)
        signs = Signs(*block.signs.tolist())
        self._fault = self._fault or self._layer.tallies["worst"].fault(reading, signs, self._parts)
        if self._unit is None:
            self._unit, self._varied = reading.unit, not signs.constant
        self.total += reading.own.values
        self.replace(parameters, reading.own.values, slice(None))

    def replace(self, parameters: Float[Tensor, "m *p"], values: Float[Tensor, " m"], part: slice) -> None:
        """Take the parameters of those images for which they are worse than what there was."""
        worse = (values > self.values[part]).reshape(-1, *[1] * (parameters.ndim - 1))
        self.parameters[part] = torch.where(worse, parameters, self.parameters[part])
        self.values[part] = torch.maximum(self.values[part], values)  # which keeps what is no number

    def tell(self, kind: str, values: Float[Tensor, " n"]) -> None:
        """Let the layer's tally of the kind take the distances."""
        tally = self._layer.tallies[kind]
        tally.begin(len(values))
        tally.take(
            Reading(Sample(values.clone(), "images", "mean"), self._unit, self._fault), self._parts, self._varied
        )


def _spread(deformation: Deformation, size: tuple[int, int], seed: int, device: torch.device) -> Float[Tensor, "*p"]:
    """The standard deviation over draws of each parameter of an image; 0 to the bit for what does not vary."""
    first = deformation.parameters([0], size, seed, 0, device)[0]
    varies = torch.zeros_like(first, dtype=torch.bool)
    total, squares = torch.zeros_like(first, dtype=torch.float64), torch.zeros_like(first, dtype=torch.float64)
    for draws in torch.arange(_SPREAD_OVER).split(_TOGETHER):
        drawn = deformation.parameters(torch.zeros_like(draws), size, seed, draws, device)
        varies |= ((drawn - first).abs() > 0).any(0)
        total += drawn.double().sum(0)
        squares += drawn.double().square().sum(0)
    variance = squares / _SPREAD_OVER - (total / _SPREAD_OVER).square()
    return torch.where(varies, variance.clamp(min=0).sqrt().to(first), 0.0)
