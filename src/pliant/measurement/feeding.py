"""How images get to a model, how its layers are heard while it runs, and what it answers."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from jaxtyping import Real
from torch import Tensor, nn

from pliant import records
from pliant._checks import InputError, require
from pliant.capture import batch_norm, capture
from pliant.capture.state import BatchNorm


class Feeding:
    """Images as a model takes them: preprocessed, and those of floating point in its type.

    preprocess: what images go through first. device, dtype: of the model's floating-point parameters, or else of its
        buffers; None for a model without any.
    """

    def __init__(self, model: nn.Module, preprocess: Callable[[Tensor], Tensor] | None):
        self._model, self.preprocess = model, preprocess
        tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
        first = next(tensors, None)
        self.device: torch.device | None = None if first is None else first.device
        self.dtype: torch.dtype | None = None if first is None else first.dtype

    def __call__(self, images: Tensor) -> Tensor:
        """The images, ready for the model."""
        images = images if self.preprocess is None else self.preprocess(images)
        return images.to(self.dtype) if self.dtype is not None and images.is_floating_point() else images

    def bring_batch_norm(self, protocol: BatchNorm, calibration: Tensor | None) -> None:
        """Bring the model's batch norm to a protocol, with images of the calibration; within `kept` alone."""
        if protocol == "calibrated" and calibration is not None:  # of the others they are not asked for
            calibration = self(calibration.to(self.device))
        batch_norm(self._model, protocol, calibration)

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


def hear(model: nn.Module, fed: Tensor, layers: Collection[str], heard: Callable[[str, Tensor], None]) -> None:
    """Run the model on `fed` (n, ...); `heard(layer, activation)` gets each of `layers` once, before it can change.

    Raises `InputError` for a layer that does not put out a row for each image, or does not run.
    """
    waiting = set(layers)

    def listen(name: str, path: str, activation: Tensor) -> None:
        require(
            len(activation) == len(fed),
            f"layer {name!r} put out {len(activation)} rows for {len(fed)} images: it cannot be measured, choose "
            "another",
        )
        waiting.remove(name)
        heard(name, activation)

    with capture(model, listen, waiting.copy()):
        model(fed)
    require(not waiting, f"layers {sorted(waiting)} did not run on every block: the model's path depends on its input")


def check_statistics(block: int, replicates: int, level: float) -> None:
    """Raise `InputError` unless blocks have pairs and the interval exists."""
    require(block >= 2, f"block={block}: a block needs at least 2 images")
    require(replicates >= 0 and 0 < level < 1, f"replicates={replicates}, level={level}: no such interval")
