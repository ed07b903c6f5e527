"""What a training is given: images and labels that fit the model, checked once at the door."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pliant._checks import InputError, require
from pliant.capture import kept


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters lie."""
    for parameter in model.parameters():
        return parameter.device
    raise InputError("the model has no parameters: there is nothing to train")


def check_task(model: nn.Module, images: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"]) -> None:
    """Raise `InputError` unless the model tells as many classes as the labels name, of images like these."""
    require(
        images.ndim == 4 and images.is_floating_point(),
        f"images must be floating point of the shape (n, c, h, w), got {images.dtype} of {tuple(images.shape)}: "
        "convert and standardise them first",
    )
    require(
        labels.shape == images.shape[:1] and labels.dtype == torch.int64,
        f"labels must be int64 of the shape ({len(images)},), one for each image, got {labels.dtype} of "
        f"{tuple(labels.shape)}",
    )
    require(len(images) >= 1, "there are no images: give at least one")
    # A sum passes NaN and infinity on, without a mask as large as the images.
    broken = (~images.sum((1, 2, 3), dtype=torch.float32).isfinite()).nonzero()
    if len(broken):
        raise InputError(
            f"{len(broken)} of {len(images)} images hold NaN or infinite values, the first is number "
            f"{int(broken[0])}: leave them out"
        )
    with kept(model), torch.no_grad():
        scores = model.eval()(images[:1].to(device_of(model)))
    require(
        isinstance(scores, Tensor) and scores.ndim == 2,
        "the model must put out one tensor of the shape (n, classes): pick its scores in a module of your own",
    )
    classes = scores.shape[1]
    low, high = int(labels.min()), int(labels.max())
    require(
        low >= 0 and high < classes,
        f"labels run from {low} to {high}, but the model tells {classes} classes, 0 to {classes - 1}: build it with "
        f"classes={high + 1}, and count labels from 0",
    )
