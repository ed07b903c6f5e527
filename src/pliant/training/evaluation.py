"""How often a model is right."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pliant._checks import require
from pliant.capture import kept
from pliant.training.precision import resolve
from pliant.training.task import check_task, device_of


def accuracy(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    batch_size: int = 512,
    precision: str = "fp32",
) -> tuple[int, int]:
    """How many of the images the model, in eval mode, tells right; and how many there are.

    `precision`: "fp32", "bf16", or "auto", bf16 where it is faster. The batch size does not matter to the result,
    and the model comes back in the mode it was in. Raises `InputError` for images or labels that do not fit.
    """
    require(batch_size >= 1, f"batch_size={batch_size}: must be 1 or more")
    check_task(model, images, labels)
    device = device_of(model)
    bf16 = resolve(precision, device) == "bf16"
    correct = torch.zeros((), dtype=torch.int64, device=device)
    with kept(model), torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        model.eval()
        for some, truth in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            some = some.to(device).contiguous(memory_format=torch.channels_last)
            correct += (model(some).argmax(1) == truth.to(device)).sum()
    return int(correct), len(images)
