"""Where a training stands: counted on the device, read seldom, so that counting does not slow it."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pliant._checks import InputError
from pliant.plan import Training

_SECONDS_BETWEEN_READINGS = 0.5


@dataclass(frozen=True)
class Progress:
    """Where a training stands: `epoch` of `epochs`, from 1; `step` of `steps` done, all epochs together.

    `loss` (cross-entropy, nats) and `accuracy` (share of hits) are means over this epoch's images so far, each as the
    net was when it met the image; `seconds` and `images_per_second` count from the start of the training, of one that
    goes on with the seconds before it stopped.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    seconds: float
    images_per_second: float

    @property
    def seconds_left(self) -> float:
        """How long the rest takes at the pace so far."""
        return self.seconds / self.step * (self.steps - self.step)


@dataclass(frozen=True)
class History:
    """The course of a training: the precision it ran in, "fp32" or "bf16", and where it stood after each epoch."""

    precision: str
    epochs: tuple[Progress, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """One JSON object for each epoch: epoch, step, loss, accuracy, seconds."""
        names = ("epoch", "step", "loss", "accuracy", "seconds")
        return [{name: getattr(epoch, name) for name in names} for epoch in self.epochs]


class Ledger:
    """The losses and hits of the running epoch, kept on the device. Reading them waits for the device."""

    def __init__(self, plan: Training, batch: int, steps_an_epoch: int, device: torch.device) -> None:
        self.plan = plan
        self.batch = batch
        self.steps_an_epoch = steps_an_epoch
        self.step = 0
        self._losses = torch.zeros(steps_an_epoch, device=device)
        self._hits = torch.zeros((), dtype=torch.int64, device=device)
        self._start = self._read = time.perf_counter()

    def go_on(self, step: int, seconds: float) -> None:
        """Count on from a training that had done so many steps in so many seconds."""
        self.step = step
        self._start -= seconds

    def add(self, loss: Float[Tensor, ""], hits: Int[Tensor, ""]) -> None:
        """Count a step."""
        within = self.step % self.steps_an_epoch
        if within == 0:
            self._hits.zero_()
        self._losses[within] = loss
        self._hits += hits
        self.step += 1

    @property
    def due(self) -> bool:
        """An epoch has ended, or the last reading is half a second old."""
        return self.step % self.steps_an_epoch == 0 or time.perf_counter() - self._read > _SECONDS_BETWEEN_READINGS

    def read(self) -> Progress:
        """Where the training stands. Raises `InputError`, naming the step, for a loss that is not finite."""
        before = (self.step - 1) // self.steps_an_epoch * self.steps_an_epoch
        losses = self._losses[: self.step - before].cpu()
        broken = (~losses.isfinite()).nonzero()
        if len(broken):
            first = int(broken[0])
            raise InputError(
                f"the loss is {losses[first].item()} at step {before + first + 1} of "
                f"{self.steps_an_epoch * self.plan.epochs}: lower peak_rate (now {self.plan.peak_rate}) or lengthen "
                f"warmup (now {self.plan.warmup})"
            )
        self._read = time.perf_counter()
        seconds = self._read - self._start
        return Progress(
            epoch=before // self.steps_an_epoch + 1,
            epochs=self.plan.epochs,
            step=self.step,
            steps=self.steps_an_epoch * self.plan.epochs,
            loss=losses.double().mean().item(),
            accuracy=self._hits.item() / (len(losses) * self.batch),
            seconds=seconds,
            images_per_second=self.step * self.batch / seconds,
        )
