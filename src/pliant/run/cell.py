"""One cell carried out: from its plan to its record, resumed after each epoch."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from pliant import records
from pliant.capture import batch_norm, kept
from pliant.capture.state import BatchNorm
from pliant.data import Dataset, Examples, examples, load
from pliant.deform import ThinPlate
from pliant.measurement import measure_each
from pliant.nets import cifar_net, imagenet_net, layers_of, smooth_filters
from pliant.plan import Cell, Task
from pliant.profile import Profile
from pliant.run.rows import CHECKPOINT, COLUMNS, write_cell
from pliant.run.smoothness import of_layers
from pliant.training import Checkpoint, History, Progress, accuracy, save_weights, train
from pliant.training.precision import resolve
from pliant.training.task import device_of

MEMORISED = 0.95
"""Share of the training images that a net must tell right where only memory can tell them."""
LEARNED = 0.1
"""Share of what chance leaves over that it must tell right in any task, or it has learned nothing."""
_FAMILIES = {"cifar": cifar_net, "imagenet": imagenet_net}
_TESTED = 2_000  # images to tell the accuracy on
_PARTS = 32  # of the training, at whose ends the filters are read: they need no images

Tell = Callable[[str, float], None]
"""Hears what a cell does, and which share of it is done."""


def carry_out(cell: Cell, folder: Path, threads: int = 1, tell: Tell = lambda what, done: None) -> None:
    """Train and measure the net of a cell, and write its numbers, weights and record into `folder`.

    After each epoch the state is written; called again it goes on from there, and ends with the same measurements to
    the byte on a CPU, with the same number of threads. Global state comes back as it was, but for the threads.
    """
    torch.set_num_threads(threads)
    start = time.perf_counter()
    tell("loading", 0.0)
    images = _examples(cell.task, cell.seed if cell.task.kind != "labels" else 0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = _net(cell, images).to(device)
    ledger = _Measured(cell, net, images)
    if cell.training is None:
        ledger.measure(0, ends=True)
        steps, history, precision, hits, fitted = 0, [], None, {}, True
    else:
        steps = max(1, len(images.train) // min(cell.training.batch_size, len(images.train))) * cell.training.epochs
        trained, before = _train(cell, net, images, ledger, folder / CHECKPOINT, steps, tell, start)
        history, precision, start = trained.to_json(), trained.precision, start - before
        hits = {"train": ledger.accuracy(steps, "train"), "test": ledger.accuracy(steps, "test")}
        fitted = hits["train"] >= (MEMORISED if memorises(cell.task) else learned(images.train_labels))
        save_weights(net, folder / "weights.safetensors")
    table = pd.DataFrame(ledger.rows).assign(run=cell.name)
    write_cell(
        folder,
        cell,
        table,
        steps=steps,
        accuracy=hits,
        fitted=fitted,
        history=history,
        precision=precision,
        seconds=time.perf_counter() - start,
        device=str(device),
        threads=threads,
        seed=cell.seed,
        images=len(images.probe[: cell.measuring.images]),
        data=_digest(cell.task),
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)


def memorises(task: Task) -> bool:
    """Whether only memory can tell the images of a task."""
    return task.kind in ("random_labels", "random_images")


def learned(labels: Tensor) -> float:
    """The accuracy at which a net has learned something of `labels` (n,); chance is the share of the commonest."""
    chance = float(labels.bincount().max()) / len(labels)
    return chance + LEARNED * (1 - chance)


def moments(steps: int, count: int) -> list[int]:
    """About `count` numbers of steps on a logarithmic grid from 0 to `steps`, both ends among them."""
    inner = [round(steps ** (i / (count - 2))) for i in range(count - 1)] if count > 2 else [steps]
    return sorted({0, *inner, steps})


def evenly(steps: int, parts: int) -> list[int]:
    """The numbers of steps at the ends of `parts` equal parts of all `steps`, and 0."""
    return sorted({round(steps * i / parts) for i in range(parts + 1)})


class _Measured:
    """The numbers of a cell so far, as rows of its table."""

    def __init__(self, cell: Cell, net: nn.Module, images: Examples) -> None:
        self.cell, self.net, self.images = cell, net, images
        self.rows: list[dict[str, Any]] = []

    def measure(self, step: int, ends: bool) -> None:
        """The sensitivity of all layers and the smoothness of the filters; at an end under every protocol.

        With calibrated batch norm at every step, so that a course can be read: its own statistics lag behind the
        weights, the more so the earlier it is; and on real images, whatever the net learns from.
        """
        calibration = self.images.usual[: self.cell.measuring.calibration].to(next(self.net.parameters()).device)
        norms: tuple[BatchNorm, ...] = ("calibrated",) if step else ("untouched", "calibrated")
        for norm in norms:
            with kept(self.net):  # calibrated once, for all that is measured so
                batch_norm(self.net, norm, calibration)
                self._sensitivity(step, norm, every=ends, raw=step == 0)
        if ends and step:
            self._sensitivity(step, "as_is", every=True, raw=True)
        self.smoothness(step)
        if self.cell.training is not None:
            self.accuracy(step, "test")

    def smoothness(self, step: int) -> None:
        """The total variation of the filters, layer by layer."""
        for i, found in enumerate(of_layers(self.net)):
            self._add(step, "none", "none", i, found.layer, "total_variation", "weight", 0, found.value)

    def accuracy(self, step: int, part: str) -> float:
        """Share of the images, 2,000 at most, that the net tells right; noted once a step."""
        for row in self.rows:
            if row["step"] == step and row["metric"] == "accuracy" and row["item"] == part:
                return row["value"]
        images, labels = getattr(self.images, part), getattr(self.images, f"{part}_labels")
        hits, count = accuracy(self.net, images[:_TESTED], labels[:_TESTED])
        self._add(step, "none", "none", -1, "", "accuracy", part, 0, hits / count)
        return hits / count

    def _sensitivity(self, step: int, norm: BatchNorm, every: bool, raw: bool) -> None:
        """`every`: under all metrics and paddings of the cell, else the reference; `raw`: of that with all raw numbers.

        The net is measured as it is, and `norm` says how its batch norm was set.
        """
        cell, base = self.cell, self.cell.measuring
        for at in (replace(base, padding=name) for name in cell.paddings) if every else (base,):
            whole = raw and at == base
            profiles = measure_each(
                self.net,
                self.images.probe[: base.images],
                ThinPlate(base.grid, base.reach),
                layers=layers_of(self.net),
                metrics=cell.metrics if every else (base.metric,),
                seed=cell.seed,
                padding=at.padding,
                block=base.block,
                replicates=base.replicates if whole else 0,  # what claims compare are nets, over seeds
                level=base.level,
            )
            for metric, profile in profiles.items():
                self._add_profile(step, norm, at.padding, profile, raw=whole and metric == base.metric)

    def _add_profile(self, step: int, norm: BatchNorm, padding: str, profile: Profile, raw: bool) -> None:
        items = {"sensitivity": profile.estimate, **({"low": profile.low, "high": profile.high} if raw else {})}
        for item, values in items.items():
            for i, (layer, value) in enumerate(zip(profile.layers, values.tolist(), strict=True)):
                self._add(step, norm, padding, i, layer, profile.metric, item, 0, value)
        if raw:
            for row in profile.raw().to_dict("records"):
                place = (row["layer_index"], row["layer"], row["metric"], row["item"], row["index"], row["value"])
                self._add(step, norm, padding, *place)

    def _add(self, step: int, *values: Any) -> None:
        self.rows.append(dict(zip(COLUMNS[1:], (step, *values), strict=True)))


def _train(
    cell: Cell, net: nn.Module, images: Examples, ledger: _Measured, path: Path, steps: int, tell: Tell, start: float
) -> tuple[History, float]:
    """Train the net, measured on the way; goes on from the checkpoint where there is one of the same making.

    Returns how it went, and the seconds that were spent before `start`.
    """
    assert cell.training is not None
    making = {
        "schema": records.SCHEMA,
        "cell": cell.identity,
        "data": _digest(cell.task),
        "pliant": version("pliant"),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": str(device_of(net)),
        "precision": resolve(cell.training.precision, device_of(net)),
    }
    resume, beside, before = None, {}, 0.0
    if path.exists():
        resume, beside = Checkpoint.load(path)
        if beside["making"] != making:  # it would not end with the same bytes
            resume = None
    if resume is not None:
        ledger.rows, before = beside["rows"], beside["seconds"]
    else:
        tell("measuring", 0.0)
        ledger.measure(0, ends=True)
    measured = moments(steps, cell.moments)

    def read(step: int) -> None:
        if step in measured:
            ledger.measure(step, ends=step == steps)
        else:
            ledger.smoothness(step)

    history = train(
        net,
        images.train,
        images.train_labels,
        cell.training,
        cell.seed,
        at={*measured, *evenly(steps, _PARTS)} - {0},
        on_step=read,
        resume=resume,
        on_epoch=lambda checkpoint: checkpoint.save(
            path, rows=ledger.rows, making=making, seconds=before + time.perf_counter() - start
        ),
        on_progress=lambda progress: tell(_said(progress), progress.step / progress.steps),
    )
    return history, before


def _said(progress: Progress) -> str:
    return f"epoch {progress.epoch}/{progress.epochs}, accuracy {progress.accuracy:.2f}"


@lru_cache(maxsize=2)
def _examples(task: Task, seed: int) -> Examples:
    """Kept for the next cell, which often has the same task."""
    return examples(task, seed, _read)


@lru_cache(maxsize=2)
def _read(name: str) -> Dataset:
    return load(name)


def _digest(task: Task) -> str | None:
    """Of the data set's images; the embedded photographs have none, they come with the code."""
    return None if task.data == "photographs" else _read(task.data).digest


def _net(cell: Cell, images: Examples) -> nn.Module:
    what, channels = cell.net, images.train.shape[1]
    options = what.padding_mode, what.pool_skip
    net = _FAMILIES[what.family](what.downsampling, what.width, channels, images.classes, cell.seed, *options)
    return smooth_filters(net, what.sigma)
