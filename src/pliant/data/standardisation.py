"""Images as the study feeds them: each with mean 0 and variance 1."""

import torch
from jaxtyping import Float32, Num
from torch import Tensor


def standardise(images: Num[Tensor, "n c h w"]) -> Float32[Tensor, "n c h w"]:
    """Each image less its mean, over its standard deviation (divisor c h w), over all channels and pixels together.

    A constant image becomes zeros.
    """
    values = images.to(torch.float32)
    centred = values - values.mean((1, 2, 3), keepdim=True)
    deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    # Told by the extremes, since a rounded mean leaves a constant image a little deviation to be blown up.
    constant = values.amax((1, 2, 3), keepdim=True) == values.amin((1, 2, 3), keepdim=True)
    return torch.where(constant, torch.zeros_like(centred), centred / deviation)
