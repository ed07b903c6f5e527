"""`Field`: a displacement of every pixel, for each of a batch of images."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pliant._checks import require


@dataclass(frozen=True, eq=False)
class Field:
    """Displacements of a backward map: the value at pixel p of a warped image is the image at p + displacement(p).

    displacement: (n, 2, h, w) float32, pixels; channel 0 points along x to the right, channel 1 along y downwards.
    """

    displacement: Float[Tensor, "n 2 h w"]

    def __post_init__(self) -> None:
        shape = tuple(self.displacement.shape)
        require(len(shape) == 4 and shape[1] == 2, f"a displacement has the shape (n, 2, h, w), got {shape}")

    def __len__(self) -> int:
        return len(self.displacement)

    def __getitem__(self, index: int | slice) -> "Field":
        """The field of one image, or of several; always with the dimension n."""
        if isinstance(index, slice):
            return Field(self.displacement[index])
        return Field(self.displacement[index].unsqueeze(0))

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


def _gradient(values: Float[Tensor, "n h w"]) -> tuple[Float[Tensor, "n h w"], Float[Tensor, "n h w"]]:
    """Derivatives along x and along y, per pixel."""
    along_x = torch.gradient(values, dim=2)[0] if values.shape[2] > 1 else torch.zeros_like(values)
    along_y = torch.gradient(values, dim=1)[0] if values.shape[1] > 1 else torch.zeros_like(values)
    return along_x, along_y
