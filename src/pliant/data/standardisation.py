"""Images as the study feeds them: each with mean 0 and variance 1."""

import torch
from jaxtyping import Float32, Num
from torch import Tensor

from pliant.zoo.preprocessing import Standardise


def standardise(images: Num[Tensor, "n c h w"]) -> Float32[Tensor, "n c h w"]:
    """Each image, of any type, standardised as by `zoo.preprocessing.Standardise`."""
    return Standardise()(images.to(torch.float32))
