"""The loop: nothing stands between the data and the device."""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pliant._checks import require
from pliant.draws import Stream, permutation, uniform
from pliant.plan import Training
from pliant.training.augmentation import augment
from pliant.training.checkpoint import Checkpoint
from pliant.training.precision import resolve
from pliant.training.progress import History, Ledger, Progress
from pliant.training.step import Step
from pliant.training.task import check_task, device_of
from pliant.training.weights import save_weights


def train(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, " n"],
    plan: Training,
    seed: int = 0,
    *,
    checkpoint: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    at: Collection[int] = (),
    on_step: Callable[[int], None] | None = None,
    resume: Checkpoint | None = None,
    on_epoch: Callable[[Checkpoint], None] | None = None,
) -> History:
    """Train the model, in place and on the device where it is, to tell the labels by their cross-entropy.

    images: as the net shall see them (standardised, say); they are copied to the device once. labels: classes from
    0. seed: of the order of the images, of flips and crops, and of a model's own dropout. The same model, images,
    plan and seed end at the same weights to the bit on one machine with one number of threads; global generators
    come back as they were.

    Each step takes `plan.batch_size` images, or all where there are fewer. What an epoch's random order has left
    over is left out, other images each time: all steps weigh the same, and batch norm never meets a lone image.
    `on_progress` hears how things stand twice a second and after each epoch. On Ctrl-C the weights are saved to
    `checkpoint` (safetensors; whole or not at all), and `KeyboardInterrupt` goes on. Every module comes back in the
    mode, train or eval, in which it came, and in torch's plain memory format.

    `on_step` hears the number of steps done each time that it is among `at`, between two steps; it may measure the
    model, and gives it back as it was. `on_epoch` is given a checkpoint after each epoch; a training that is given
    one as `resume` goes on from there and ends at the same weights to the bit.

    Raises `InputError` for images or labels that do not fit, and for a loss that is no longer finite.
    """
    check_task(model, images, labels)
    require(len(images) >= 2, "there is 1 image: batch norm needs at least 2 a step")
    device = device_of(model)
    precision = resolve(plan.precision, device)
    images, labels = images.to(device), labels.to(device)
    batch = min(plan.batch_size, len(images))
    steps = len(images) // batch
    ledger = Ledger(plan, batch, steps, device)
    history: list[Progress] = []
    with _training(model, device, seed), _saved_when_interrupted(model, checkpoint):
        # Made here, where the weights lie channels last: the velocities then lie as they do.
        optimiser = torch.optim.SGD(
            model.parameters(),
            momentum=plan.momentum,
            nesterov=plan.momentum > 0,
            weight_decay=plan.weight_decay,
            fused=device.type == "cuda",
        )
        step = Step(model, optimiser, device, bf16=precision == "bf16")
        if resume is not None:
            resume.restore(model, optimiser)
            history.extend(resume.history)
            ledger.go_on(resume.step, max((epoch.seconds for epoch in history), default=0.0))
        for epoch in range(0 if resume is None else resume.epoch, plan.epochs):
            order = permutation(seed, Stream.SHUFFLE, epoch, len(images)).to(device)
            chances = _chances(plan, seed, epoch, len(images), device)
            for indices in order[: steps * batch].split(batch):
                some, truth = images[indices], labels[indices]
                if chances is not None:
                    some = augment(some, chances[indices], plan.flip, plan.crop)
                ledger.add(*step(some, truth, rate(plan, ledger.step, steps * plan.epochs)))
                if ledger.due:
                    progress = ledger.read()
                    if on_progress is not None:
                        on_progress(progress)
                    if progress.step == (epoch + 1) * steps:
                        history.append(progress)
                if on_step is not None and ledger.step in at:
                    on_step(ledger.step)
            if on_epoch is not None:
                on_epoch(Checkpoint.of(model, optimiser, epoch + 1, ledger.step, tuple(history)))
        optimiser.zero_grad()
    return History(precision, tuple(history))


def rate(plan: Training, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0, of `steps`: a line up to the peak, half a cosine down towards 0.

    The warm-up takes the share `plan.warmup` of all steps and the peak follows it; 0 would come one step after the
    last. Goyal et al. 2017 (warm-up), Loshchilov and Hutter 2017 (cosine).
    """
    warmup = round(plan.warmup * steps)
    if step < warmup:
        return plan.peak_rate * (step + 1) / (warmup + 1)
    return plan.peak_rate * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def _chances(plan: Training, seed: int, epoch: int, count: int, device: torch.device) -> Float[Tensor, "n 3"] | None:
    """What flips and crops each image in this epoch, whatever the batch it falls in."""
    if not (plan.flip or plan.crop):
        return None
    return uniform(seed, Stream.AUGMENTATION, torch.arange(count), epoch, 3, device)


@contextmanager
def _training(model: nn.Module, device: torch.device, seed: int) -> Iterator[None]:
    """The model in training mode, channels last in memory, and torch repeatable; all given back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index].manual_seed(seed)
        try:
            # The fastest algorithm may sum in another order each time.
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            model.train().to(memory_format=torch.channels_last)
            yield
        finally:
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
            model.to(memory_format=torch.contiguous_format)
            for module, training in modes:
                module.training = training


@contextmanager
def _saved_when_interrupted(model: nn.Module, checkpoint: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is not None:
            save_weights(model, checkpoint)
        raise
