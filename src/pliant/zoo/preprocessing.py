"""A model's own preprocessing in two halves, so that an image can be deformed between them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from pliant._checks import require

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RESIZE = 0.875
"""Side of the crop over the shorter side after resizing, where a model does not say: 224 of 256."""


@dataclass(frozen=True)
class Normalise:
    """(images - mean) / std, channel by channel; images in [0, 1], on any device, in any floating type."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        require(len(self.mean) == len(self.std), f"mean={self.mean} and std={self.std}: give one for every channel")
        require(all(value > 0 for value in self.std), f"std={self.std}: must be positive")

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The model's input."""
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    @property
    def description(self) -> str:
        """The numbers in words."""
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"less the mean ({mean}), over the standard deviation ({std})"


@dataclass(frozen=True)
class Standardise:
    """Each image less its mean, over its standard deviation (divisor c h w), over all channels and pixels together.

    A constant image becomes zeros.
    """

    description = "each image less its mean, over its standard deviation"

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The model's input."""
        centred = images - images.mean((1, 2, 3), keepdim=True)
        deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
        # Told by the extremes, since a rounded mean leaves a constant image a little deviation to be blown up.
        constant = images.amax((1, 2, 3), keepdim=True) == images.amin((1, 2, 3), keepdim=True)
        return torch.where(constant, torch.zeros_like(centred), centred / deviation)


@dataclass(frozen=True)
class ResizeAndCrop:
    """From a photograph to a tensor (c, h, w) in [0, 1], float32.

    `geometry`: resizes and crops, to 8 bits; `channels`: 3, or 1 for a grey copy; `description`: the geometry in words.
    """

    geometry: Callable[[Image.Image], UInt8[Tensor, "c h w"]]
    channels: int
    description: str

    def __post_init__(self) -> None:
        require(
            self.channels in (1, 3),
            f"the model takes images of {self.channels} channels, and photographs have 3 (or 1, in grey)",
        )

    def __call__(self, image: Image.Image) -> Float[Tensor, "c h w"]:
        """The image resized and cropped."""
        return self.geometry(image.convert("L" if self.channels == 1 else "RGB")).float() / 255


def resized_and_cropped(size: tuple[int, int], channels: int, share: float = 1.0) -> ResizeAndCrop:
    """Bilinear, to images of `size` (h, w) that are this share of the resized image's shorter side."""
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize  # slow to import

    resized = round(max(size) / share)
    geometry = Compose([Resize(resized, InterpolationMode.BILINEAR, antialias=True), CenterCrop(size), PILToTensor()])
    return ResizeAndCrop(geometry, channels, described(resized, size, "bilinear"))


def described(resized: int | str, cropped: tuple[int, int], interpolation: str) -> str:
    """The usual geometry in words: width x height, pixels."""
    return f"shorter side resized to {resized} ({interpolation}), centre crop of {cropped[1]} x {cropped[0]}"
