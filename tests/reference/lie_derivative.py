"""How images begin to change along a displacement, as an explicit matrix made pixel by pixel; Gruver et al. 2022."""

import numpy as np
import torch
from reference.bilinear import fold


def matrix(displacement: np.ndarray, padding: str) -> np.ndarray:
    """(hw, hw), float64: applied to an image's pixels it is their derivative along (2, h, w) displacements, pixels."""
    _, height, width = displacement.shape
    out = np.zeros((height * width, height * width))
    for row in range(height):
        for column in range(width):
            for axis, (down, right) in enumerate([(0, 1), (1, 0)]):
                for sign in (-1, 1):
                    y, x = row + sign * down, column + sign * right
                    if padding == "border":
                        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
                    if padding == "reflection":
                        y, x = int(fold(y, height)), int(fold(x, width))
                    if 0 <= y < height and 0 <= x < width:
                        share = sign * float(displacement[axis, row, column]) / 2
                        out[row * width + column, y * width + x] += share
    return out


def moved(maps: torch.Tensor, by: torch.Tensor, t: torch.Tensor | float) -> torch.Tensor:
    """(n, c, h, w) maps x as x + t A x, A of each image in `by` (n, hw, hw)."""
    return maps + t * torch.einsum("npq,ncq->ncp", by, maps.flatten(2)).view_as(maps)


def derivative(model, images: torch.Tensor, before: torch.Tensor, after: torch.Tensor | None) -> torch.Tensor:
    """d/dt at 0 of the model's output, moved back along `after` (None: it has no place), of the images moved along
    `before`: the composition written out, differentiated by torch.func.
    """

    def composed(t: torch.Tensor) -> torch.Tensor:
        out = model(moved(images, before, t))
        return out if after is None else moved(out, after, -t)

    zero = torch.zeros((), dtype=images.dtype)
    return torch.func.jvp(composed, (zero,), (torch.ones_like(zero),))[1]
