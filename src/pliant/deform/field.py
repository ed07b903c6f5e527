"""`Field`: a displacement of every pixel, for each of a batch of images."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pliant import _gpu, records
from pliant._checks import InputError, require
from pliant.deform.recipe import Recipe
from pliant.deform.resampling import read_at, resample

_SHRINKING = 0.8
_SHRINKINGS = 40  # 0.8 to the power of 40 is 1/7523: what still folds holds a jump, and is taken away whole
_STEPS = 16  # of Newton's method
_AT_ONCE = 1 << 18  # pixels whose folds are looked for together
_FLAT = 1e-3  # a Jacobian nearer to 0 is not divided by


@dataclass(frozen=True, eq=False)
class Field:
    """Displacements of a backward map: the value at pixel p of a warped image is the image at p + displacement(p).

    source: the displacements, (n, 2, h, w) float32, pixels; channel 0 points along x to the right, channel 1 along y
        downwards. Or the recipe that they are made by.
    shrunk: how often each field was shrunk so that it does not fold, where that was asked for.
    """

    source: Float[Tensor, "n 2 h w"] | Recipe
    shrunk: Int[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, Tensor):
            shape = tuple(self.source.shape)
            require(len(shape) == 4 and shape[1] == 2, f"a displacement has the shape (n, 2, h, w), got {shape}")

    @property
    def displacement(self) -> Float[Tensor, "n 2 h w"]:
        """Where each pixel is read, seen from the pixel, pixels; made by a recipe when first asked for it."""
        if isinstance(self.source, Tensor):
            return self.source
        return self.source.summed() if self.source.weights.requires_grad else self._summed

    @cached_property
    def _summed(self) -> Float[Tensor, "n 2 h w"]:
        """What a recipe makes that nothing is trained through, whatever it is first asked for in."""
        assert isinstance(self.source, Recipe)
        with torch.inference_mode(False):
            return self.source.summed()

    @property
    def moved(self) -> Float[Tensor, "n 2 h w"] | Recipe:
        """What images are resampled by: the recipe, or the displacements where it has made them and they are dear."""
        made = isinstance(self.source, Recipe) and self.source.dear and "_summed" in self.__dict__
        return self._summed if made and not self._numbers.requires_grad else self.source

    @property
    def _numbers(self) -> Float[Tensor, "n 2 *rest"]:
        """What the displacements are proportional to."""
        return self.source if isinstance(self.source, Tensor) else self.source.weights

    def _of(self, numbers: Float[Tensor, "n 2 *rest"], shrunk: Int[Tensor, " n"] | None = None) -> "Field":
        """The field of other numbers in the place of `_numbers`."""
        return Field(numbers if isinstance(self.source, Tensor) else self.source.weighted(numbers), shrunk)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int | slice | list[int]) -> "Field":
        """The field of one image, or of several; always with the dimension n."""
        part = [index] if isinstance(index, int) else index
        return Field(self.source[part], None if self.shrunk is None else self.shrunk[part])

    @property
    def size(self) -> tuple[int, int]:
        """(h, w), pixels."""
        if isinstance(self.source, Recipe):
            return self.source.size
        return self.source.shape[2], self.source.shape[3]

    @property
    def device(self) -> torch.device:
        """Where the displacements are."""
        return self._numbers.device

    def to(self, device: torch.device | str) -> "Field":
        """The same field on another device."""
        source = _gpu.sent(self.source, device) if isinstance(self.source, Tensor) else self.source.to(device)
        return Field(source, None if self.shrunk is None else _gpu.sent(self.shrunk, device))

    @property
    def length(self) -> Float[Tensor, "n h w"]:
        """Length of the displacement vector at each pixel, pixels."""
        return torch.hypot(self.displacement[:, 0], self.displacement[:, 1])

    @property
    def rms(self) -> Float[Tensor, " n"]:
        """Root mean square over the pixels of the length of the displacement vector, pixels."""
        return self.displacement.square().sum(1).mean((1, 2)).sqrt()

    @property
    def largest(self) -> Float[Tensor, " n"]:
        """Largest length of the displacement vector, pixels."""
        return self.length.amax((1, 2))

    def jacobian(self) -> Float[Tensor, "n h w"]:
        """Determinant of the derivative of p -> p + displacement(p): the local change of area; 1 for the identity.

        Central differences, one-sided at the border; along an axis of one pixel the displacement does not vary.
        """
        dx_x, dx_y = _gradient(self.displacement[:, 0])
        dy_x, dy_y = _gradient(self.displacement[:, 1])
        return (1 + dx_x) * (1 + dy_y) - dx_y * dy_x

    @property
    def folds(self) -> Float[Tensor, " n"]:
        """Share of pixels at which the map folds: at the corner of one of the squares between four pixels that meet
        there, the determinant of the differences to both neighbours is not positive, or no number.

        Stricter than `jacobian`, whose central differences look past a pixel: a field without folds, bilinear between
        the pixels, is one to one around every point, from each pixel to its neighbours on.
        """
        # On a CPU as many images at a time as stay in the caches.
        few = max(1, _AT_ONCE // max(1, math.prod(self.size)))
        step = few if self.displacement.device.type == "cpu" else max(1, len(self))
        return torch.cat([_folding(part) for part in self.displacement.split(step)])

    def scaled(self, factor: float | Float[Tensor, " n"]) -> "Field":
        """The field times a factor, or one for each image; times 0 it is the identity to the bit."""
        numbers = self._numbers
        return self._of(numbers * (_each(factor.to(numbers), numbers) if isinstance(factor, Tensor) else factor))

    def unfolded(self) -> "Field":
        """Each field that folds shrunk by a fifth, again and again, until it does not; `shrunk` counts how often, from
        what it was on.

        A field that folds however small it is, since it jumps or holds no numbers, becomes the identity.
        """
        field = self
        times = torch.zeros(len(self), dtype=torch.int64, device=self.device)
        for _ in range(_SHRINKINGS):
            folding = field.folds > 0
            if not folding.any():
                break
            times += folding
            numbers = field._numbers
            field = self._of(torch.where(_each(folding, numbers), _SHRINKING * numbers, numbers))
        else:
            folding = field.folds > 0
            field = self._of(field._numbers.masked_fill(_each(folding, field._numbers), 0))
        return self._of(field._numbers, times if self.shrunk is None else times + self.shrunk)

    def then(self, other: "Field") -> "Field":
        """One field for deforming along this one first and along `other` after it: the maps composed, so that the
        image is resampled once.

        Between pixels this field is read bilinearly, beyond the border as at the nearest pixel of it.
        """
        require(
            (len(self), self.size) == (len(other), other.size),
            f"{len(self)} fields of {self.size} and {len(other)} of {other.size} pixels do not follow one "
            "another: both must be for the same images",
        )
        return Field(other.displacement + resample(self.displacement, other.displacement, "border"))

    def invert(self) -> "Inverse":
        """The field that takes the deformation back: at each pixel p the v with v + displacement(p + v) = 0.

        The error tells how well it went, pixel by pixel the distance that is left: a field that folds has no inverse,
        nor has one that jumps where it jumps. Found as in `carry`, each pixel beginning with itself.
        """
        height, width = self.size
        y, x = torch.meshgrid(*(torch.arange(side) for side in self.size), indexing="ij")
        pixels = torch.stack((x, y), -1).view(1, -1, 2).to(self.displacement).expand(len(self), -1, -1)
        carried, error = self._solved(pixels, pixels)
        displacement = (carried - pixels).movedim(1, 2).reshape(-1, 2, height, width)
        return Inverse(Field(displacement), error.amax(1))

    def carry(self, points: Float[Tensor, "n k 2"]) -> "Carried":
        """Where the field carries what stands at points (x, y), pixels counted from the centre of the first one: the
        places p' with p' + displacement(p') = p.

        By Newton's method from the pixel, of a lattice of some 4,000, whose content comes from nearest to the point.
        Between pixels the field is read bilinearly, beyond the border it goes on as a plane. A point that nothing
        comes from, as where the field folds, gets the place that comes nearest; the error tells.
        """
        if not points.numel():
            return Carried(points, points[..., 0])
        height, width = self.size
        step = max(1, math.isqrt(height * width // 4096))
        y, x = torch.meshgrid(torch.arange(0, height, step), torch.arange(0, width, step), indexing="ij")
        lattice = torch.stack((x, y), -1).view(-1, 2).to(self.displacement)
        sources = lattice + self.displacement[:, :, ::step, ::step].flatten(2).movedim(1, 2)
        nearest = torch.cdist(points, sources.nan_to_num(math.inf)).argmin(2)
        return Carried(*self._solved(points, lattice[nearest]))

    def _solved(
        self, points: Float[Tensor, "n k 2"], start: Float[Tensor, "n k 2"]
    ) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """The best places of a fixed number of Newton steps, so that no point depends on another; and their errors."""
        if not start.numel():
            return start, start[..., 0]
        (xx, xy), (yx, yy) = (_gradient(part) for part in self.displacement.unbind(1))
        read = torch.stack((*self.displacement.unbind(1), xx, xy, yx, yy), 1)
        last = start.new_tensor([self.size[1] - 1, self.size[0] - 1])
        place, best, error = start, start, torch.full_like(start[..., 0], math.inf)
        for _ in range(_STEPS):
            inside = torch.minimum(place.clamp(min=0), last)
            x, y, xx, xy, yx, yy = read_at(read, inside).unbind(1)
            right, down = (place - inside).unbind(2)
            left = place + torch.stack((x + xx * right + xy * down, y + yx * right + yy * down), 2) - points
            length = left.norm(dim=2)
            better = length < error
            best, error = torch.where(better[..., None], place, best), torch.where(better, length, error)
            xx, yy = xx + 1, yy + 1
            area = xx * yy - xy * yx
            newton = torch.stack((yy * left[..., 0] - xy * left[..., 1], xx * left[..., 1] - yx * left[..., 0]), 2)
            step = torch.where(area.abs()[..., None] > _FLAT, newton / area[..., None], left)
            place = place - step
        return best, error

    def save(self, path: Path | str) -> Path:
        """Write the field as safetensors, to the bit; returns the path. Raises `InputError` if it cannot be written."""
        shrunk = {} if self.shrunk is None else {"shrunk": self.shrunk.cpu()}
        return records.write_bytes(
            path, save({"displacement": self.displacement.detach().cpu().contiguous(), **shrunk})
        )

    @classmethod
    def load(cls, path: Path | str) -> "Field":
        """What `save` wrote, on the CPU. Raises `InputError` for a file that is missing or holds no field."""
        try:
            tensors = load_file(path)
            return cls(tensors["displacement"], tensors.get("shrunk"))
        except FileNotFoundError as error:
            raise InputError(f"there is no {path}: name a file that `Field.save` wrote") from error
        except (SafetensorError, KeyError, OSError) as error:
            raise InputError(f"{path} holds no field ({error}): name a file that `Field.save` wrote") from error


class Inverse(NamedTuple):
    """A field taken back. error: per image, how far from its place a pixel ends at most, pixels."""

    field: Field
    error: Float[Tensor, " n"]


class Carried(NamedTuple):
    """Where points end. error: how far from each of them what stands there comes from, pixels."""

    points: Float[Tensor, "n k 2"]
    error: Float[Tensor, "n k"]


def _each(values: Shaped[Tensor, " n"], numbers: Shaped[Tensor, "n *rest"]) -> Shaped[Tensor, "n *ones"]:
    """One value for each image, beside all of its numbers."""
    return values.reshape(-1, *[1] * (numbers.ndim - 1))


def _folding(displacement: Float[Tensor, "n 2 h w"]) -> Float[Tensor, " n"]:
    """The share of pixels at which each map folds, as `Field.folds`."""
    # A side of one pixel is doubled, so that there are squares; along it the displacement does not vary.
    d = displacement
    d = d.expand(-1, -1, 2, -1) if d.shape[2] == 1 else d
    d = d.expand(-1, -1, -1, 2) if d.shape[3] == 1 else d
    xx, yx = d.diff(dim=3).unbind(1)
    xy, yy = d.diff(dim=2).unbind(1)
    xx, yy = xx + 1, yy + 1
    whole = torch.ones(len(d), *d.shape[2:], dtype=torch.bool, device=d.device)
    for row in (slice(None, -1), slice(1, None)):
        for column in (slice(None, -1), slice(1, None)):
            whole[:, row, column] &= xx[:, row] * yy[..., column] > xy[..., column] * yx[:, row]
    return (~whole).float().mean((1, 2))


def _gradient(values: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n h w"], Float[Tensor, "n h w"]]:
    """Derivatives along x and along y, per pixel."""
    along_x = torch.gradient(values, dim=2)[0] if values.shape[2] > 1 else torch.zeros_like(values)
    along_y = torch.gradient(values, dim=1)[0] if values.shape[1] > 1 else torch.zeros_like(values)
    return along_x, along_y
