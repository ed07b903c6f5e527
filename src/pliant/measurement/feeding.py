"""How images get to a model, what it answers, and what a measurement of it refuses before the work."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Real
from torch import Tensor, nn

from pliant import records
from pliant._checks import InputError, require


class Feeding:
    """Images as a model takes them: preprocessed, and those of floating point in its type.

    device, dtype: of the model's floating-point parameters, or else of its buffers; None for a model without any.
    """

    def __init__(self, model: nn.Module, preprocess: Callable[[Tensor], Tensor] | None):
        self._model, self._preprocess = model, preprocess
        tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
        first = next(tensors, None)
        self.device: torch.device | None = None if first is None else first.device
        self.dtype: torch.dtype | None = None if first is None else first.dtype

    def __call__(self, images: Tensor) -> Tensor:
        """The images, ready for the model."""
        images = images if self._preprocess is None else self._preprocess(images)
        return images.to(self.dtype) if self.dtype is not None and images.is_floating_point() else images

    def logits(self, images: Real[Tensor, "n c h w"]) -> Real[Tensor, "n k"]:
        """What the model puts out for the images. Raises `InputError` for what is no logits and has no largest."""
        out: Any = self._model(self(images))
        if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(images) or out.shape[1] < 2:
            said = f"{tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise InputError(
                f"the model puts out {said} for {len(images)} images: logits (n, k), k >= 2, are needed; pick them in "
                "a module of your own"
            )
        require(
            bool(out.amax(1).isfinite().all()),
            "the model puts out NaN or infinite logits for some images: they have no top-1, leave them out",
        )
        return out

    def provenance(self, **extra: Any) -> dict[str, Any]:
        """Where a number of this model comes from; and `extra`."""
        return records.provenance(
            model=type(self._model).__name__,
            device=str(self.device or "cpu"),
            dtype=str(self.dtype or "as given").removeprefix("torch."),
            threads=torch.get_num_threads(),
            **extra,
        )


def check_statistics(block: int, replicates: int, level: float) -> None:
    """Raise `InputError` unless blocks have pairs and the interval exists."""
    require(block >= 2, f"block={block}: a block needs at least 2 images")
    require(replicates >= 0 and 0 < level < 1, f"replicates={replicates}, level={level}: no such interval")


def check_pairs(first: Tensor | None) -> Tensor:
    """The first block, if it has pairs. Raises `InputError` for fewer than 2 images."""
    if first is None or len(first) < 2:
        raise InputError(f"{0 if first is None else len(first)} images: a median over pairs needs at least 2")
    return first


def check_shape(images: Tensor, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless the images of a later block have the shape of the first's."""
    require(
        tuple(images.shape[1:]) == shape,
        f"images of different sizes, {shape} and {tuple(images.shape[1:])}: bring them to one size first",
    )
