"""How images reach a model, and what it answers."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Real
from torch import Tensor, nn

from pliant import records
from pliant._checks import InputError, require


class Feeding:
    """Feeds images to a model: through `preprocess`, floating-point images in the dtype of the model."""

    def __init__(self, model: nn.Module, preprocess: Callable[[Tensor], Tensor] | None):
        self._model, self._preprocess = model, preprocess
        self.device, self._dtype = home(model)

    def ready(self, images: Real[Tensor, "n c h w"]) -> Tensor:
        """The images as the model takes them."""
        images = images if self._preprocess is None else self._preprocess(images)
        return images.to(self._dtype) if self._dtype is not None and images.is_floating_point() else images

    def logits(self, images: Real[Tensor, "n c h w"]) -> Real[Tensor, "n k"]:
        """What the model puts out for the images. Raises `InputError` for what is no logits and has no largest."""
        out: Any = self._model(self.ready(images))
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
            dtype=str(self._dtype or "as given").removeprefix("torch."),
            threads=torch.get_num_threads(),
            **extra,
        )


def home(model: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """Device and floating dtype of the model's parameters, or else of its buffers; None for a model without any."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return None, None
