"""Subsampling on the grid that a small learned net chooses. Rojas-Gomez et al. 2022."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require
from pliant.nets.initialisation import convolution, initialise, seeded
from pliant.nets.phases import phases, take_phase


@final
class LPS(nn.Module):
    """Learnable polyphase sampling: one small net scores each of the stride x stride grids of pixels, the best is kept.

    The net is the same for all grids, so that a circular shift of the image is one of what comes out: two circular 3x3
    convolutions with a ReLU between, and the mean over the pixels. In evaluation mode the grid of the highest score is
    taken, in training mode a sum of all grids whose weights are drawn from the scores (Gumbel-softmax), so that the
    scores can be learned; these draws come from torch's global generator, as those of dropout do. Rojas-Gomez et al.
    2022, arXiv:2210.08001.

    hidden: channels between the two convolutions; seed: of their initial weights, the study's truncated normal.
    temperature: of the softmax, above 0; towards 0 one grid has all the weight.
    Raises `InputError` for other arguments and for sizes that the stride does not divide.
    """

    def __init__(
        self, channels: int, seed: int = 0, stride: int = 2, hidden: int = 16, temperature: float = 1.0
    ) -> None:
        super().__init__()
        require(stride >= 1, f"stride={stride}: pixels from one output to the next, 1 or more")
        require(hidden >= 1, f"hidden={hidden}: channels between the two convolutions, 1 or more")
        require(0 < temperature < float("inf"), f"temperature={temperature}: of a softmax, above 0 and finite")
        self.stride, self.temperature = stride, temperature
        self.first = convolution(channels, hidden, 3, padding=1, padding_mode="circular")
        self.second = convolution(hidden, 1, 3, padding=1, padding_mode="circular")
        initialise([self.first, self.second], seeded(seed))  # one after the other: they share no numbers

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """The pixels of one grid for each image; in training mode a sum over the grids."""
        scores = self.scores(images)
        if not self.training:
            return take_phase(images, scores.argmax(1), self.stride)
        weights = F.gumbel_softmax(scores, tau=self.temperature).to(images.dtype)
        return torch.einsum("np,npchw->nchw", weights, phases(images, self.stride))

    def scores(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n phases"]:
        """How good each grid is, counted row by row; the higher the better."""
        grids = phases(images, self.stride)
        scored = self.second(F.relu(self.first(grids.flatten(0, 1))))
        # Grids score nearly alike: rounded to 16 bits they would often tie.
        scored = scored.to(torch.promote_types(scored.dtype, torch.float32))
        return scored.mean((1, 2, 3)).unflatten(0, grids.shape[:2])
