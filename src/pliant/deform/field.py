"""`Field`: a displacement of every pixel, for each of a batch of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pliant import records
from pliant._checks import InputError, require
from pliant.deform.resampling import read_at, resample

_SHRINKING = 0.8
_SHRINKINGS = 40  # 0.8 to the power of 40 is 1/7523: what still folds holds a jump, and is taken away whole
_INVERSIONS = 50


@dataclass(frozen=True, eq=False)
class Field:
    """Displacements of a backward map: the value at pixel p of a warped image is the image at p + displacement(p).

    displacement: (n, 2, h, w) float32, pixels; channel 0 points along x to the right, channel 1 along y downwards.
    shrunk: how often each field was shrunk so that it does not fold, where that was asked for.
    """

    displacement: Float[Tensor, "n 2 h w"]
    shrunk: Int[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.displacement.shape)
        require(len(shape) == 4 and shape[1] == 2, f"a displacement has the shape (n, 2, h, w), got {shape}")

    def __len__(self) -> int:
        return len(self.displacement)

    def __getitem__(self, index: int | slice) -> "Field":
        """The field of one image, or of several; always with the dimension n."""
        part = index if isinstance(index, slice) else [index]
        return Field(self.displacement[part], None if self.shrunk is None else self.shrunk[part])

    @property
    def size(self) -> tuple[int, int]:
        """(h, w), pixels."""
        return self.displacement.shape[2], self.displacement.shape[3]

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
        """Share of pixels at which the map folds: their Jacobian is not positive, or no number."""
        return (~(self.jacobian() > 0)).float().mean((1, 2))

    def scaled(self, factor: float | Float[Tensor, " n"]) -> "Field":
        """The field times a factor, or one for each image; times 0 it is the identity to the bit."""
        if isinstance(factor, Tensor):
            factor = factor[:, None, None, None]
        return Field(self.displacement * factor)

    def unfolded(self) -> "Field":
        """Each field that folds shrunk by a fifth, again and again, until it does not; `shrunk` counts how often.

        A field that folds however small it is, since it jumps or holds no numbers, becomes the identity.
        """
        displacement = self.displacement
        times = torch.zeros(len(self), dtype=torch.int64, device=displacement.device)
        for _ in range(_SHRINKINGS):
            folding = Field(displacement).folds > 0
            if not folding.any():
                break
            times += folding
            displacement = torch.where(folding[:, None, None, None], _SHRINKING * displacement, displacement)
        else:
            folding = Field(displacement).folds > 0
            displacement = displacement.masked_fill(folding[:, None, None, None], 0)
        return Field(displacement, times)

    def then(self, other: "Field") -> "Field":
        """One field for deforming along this one first and along `other` after it: the maps composed, so that the
        image is resampled once.

        Between pixels this field is read bilinearly, beyond the border as at the nearest pixel of it.
        """
        require(
            self.displacement.shape == other.displacement.shape,
            f"fields of {tuple(self.displacement.shape)} and {tuple(other.displacement.shape)} do not follow one "
            "another: both must be for the same images",
        )
        return Field(other.displacement + self._at(other))

    def invert(self, tolerance: float = 1e-3) -> "Inverse":
        """The field that takes the deformation back, found by fixed-point iteration: v(p) = -u(p + v(p)).

        It ends when no image changes by more than `tolerance` pixels, or after 50 steps. The error tells how well it
        went: a field that folds has no inverse. Beyond the border the field is read as at the nearest pixel of it.
        """
        found = Field(-self.displacement)
        for _ in range(_INVERSIONS):
            before, found = found, Field(-self._at(found))
            if not bool((found.displacement - before.displacement).abs().max() > tolerance):
                break
        return Inverse(found, Field(found.displacement + self._at(found)).largest)

    def carry(self, points: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k 2"]:
        """Where the field carries what stands at points (x, y), pixels counted from the centre of the first one: the
        places p' with p' + displacement(p') = p, by fixed-point iteration at each point.
        """
        carried = points
        for _ in range(_INVERSIONS):
            carried = points - read_at(self.displacement, carried).movedim(1, 2)
        return carried

    def _at(self, field: "Field") -> Float[Tensor, "n 2 h w"]:
        """The displacement where `field` points to."""
        return resample(self.displacement, field.displacement, "border")

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


def _gradient(values: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n h w"], Float[Tensor, "n h w"]]:
    """Derivatives along x and along y, per pixel."""
    along_x = torch.gradient(values, dim=2)[0] if values.shape[2] > 1 else torch.zeros_like(values)
    along_y = torch.gradient(values, dim=1)[0] if values.shape[1] > 1 else torch.zeros_like(values)
    return along_x, along_y
