"""`measure`: the stability of a model's layers to deformations of its input, in one pass over the images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import nan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pliant import records
from pliant._checks import InputError, require, unknown
from pliant.capture import INPUT, Call, capture, kept, select, trace
from pliant.capture import batch_norm as apply_batch_norm
from pliant.capture.kept import BatchNorm
from pliant.deform import Deformation, Field, Padding, ThinPlate, warp
from pliant.metrics import DISTANCES, Distance, geometry
from pliant.profile import Profile
from pliant.stats import PairBootstrap, percentile


def measure(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metric: str = "cosine",
    seed: int = 0,
    *,
    draw: int = 0,
    padding: Padding = "zeros",
    batch_norm: BatchNorm = "as_is",
    calibration: Tensor | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    block: int = 128,
    replicates: int = 1000,
    level: float = 0.95,
    refuse_folds: bool = False,
    on_block: Callable[[int], None] | None = None,
) -> Profile:
    """Sensitivity by layer, after Ruderman et al. 2018; see `Profile` for the statistic.

    The images are deformed and fed to the model as given, in eval mode, `block` images and their deformed copies at
    a time; every layer is reduced inside its hook and dropped. The model comes back as it was, also after an error.

    images: (n, c, h, w), or an iterable of such batches (of a loader's tuples the first item is taken).
    deformation: the family that each image's own deformation is drawn from, by (seed, position of the image, draw).
    layers: "all", "blocks" (after batch norm and activation, and each downsampling), "convs", "stages", a glob, a
        dotted name (raw module output), or a list of names. Layer 0 is always the input.
    metric: "cosine" or "euclidean".
    padding: what stands outside an image: "zeros", "border" or "reflection".
    batch_norm: "as_is"; "untouched", mean 0 and variance 1; or "calibrated", the statistics of `calibration`.
    calibration: images (m, c, h, w) other than those measured, 512 by convention, fed in one forward pass.
    preprocess: applied to the images after the deformation, such as a model's normalisation.
    block: images whose pairs share a median; part of the protocol.
    replicates, level: of the bootstrap over images, within blocks, percentile interval; without replicates none.
    refuse_folds: raise `InputError` if a deformation folds, instead of reporting the share.
    on_block: called with the number of images done so far.

    Floating-point images are cast to the dtype of the model and brought to its device. Raises `InputError` for fewer
    than 2 images, images of different sizes and unknown names.
    """
    if metric not in DISTANCES:
        raise unknown("metric", metric, DISTANCES)
    require(block >= 2, f"block={block}: a block needs at least 2 images")
    require(replicates >= 0 and 0 < level < 1, f"replicates={replicates}, level={level}: no such interval")
    model = getattr(model, "_orig_mod", model)  # hooks do not reach into a compiled model
    device, dtype = _home(model)

    def feed(batch: Tensor) -> Tensor:
        batch = batch if preprocess is None else preprocess(batch)
        return batch.to(dtype) if dtype is not None and batch.is_floating_point() else batch

    blocks = _blocks(images, block, device)
    first = next(blocks, None)
    if first is None or len(first) < 2:
        raise InputError(f"{0 if first is None else len(first)} images: a median over pairs needs at least 2")
    shape, size = tuple(first.shape[1:]), (first.shape[2], first.shape[3])
    field_sums = np.zeros(2)
    largest, done, number = 0.0, 0, 0
    with torch.inference_mode(False), kept(model), torch.no_grad():
        model.eval()
        apply_batch_norm(model, batch_norm, None if calibration is None else feed(calibration.to(first.device)))
        calls = select(model, trace(model, feed(first[:2])), layers)
        tallies = [_Tally(DISTANCES[metric], replicates) for _ in range(len(calls) + 1)]
        clean: Tensor | None = first
        del first
        # Not `enumerate` nor `chain`: they hold on to what they have given out, and no block may outlive its turn.
        while clean is not None:
            require(
                tuple(clean.shape[1:]) == shape,
                f"images of different sizes, {shape} and {tuple(clean.shape[1:])}: bring them to one size first",
            )
            count = len(clean)
            field = deformation.sample(range(done, done + count), size, seed, draw, clean.device)
            folds = field.folds
            if refuse_folds and bool(folds.any()):
                raise InputError(_folding(field, done))
            field_sums += float(folds.sum()), float(field.rms.sum())
            largest = max(largest, float(field.largest.max()))
            warped = warp(clean, field, padding)
            both = feed(torch.cat((clean, warped)))
            resampling = PairBootstrap(count, replicates, seed, number) if replicates else None
            del field, clean, warped
            _hear(model, both, calls, tallies, resampling)
            del both, resampling  # so that the next block does not meet this one in memory
            done += count
            if on_block is not None:
                on_block(done)
            clean, number = next(blocks, None), number + 1
    ends = [tally.interval(level) for tally in tallies]
    names = (INPUT, *(call.name for call in calls))
    return Profile(
        layers=names,
        metric=metric,
        estimate=np.array([estimate for estimate, _, _ in ends]),
        low=np.array([low for _, low, _ in ends]),
        high=np.array([high for _, _, high in ends]),
        undefined={name: tally.undefined for name, tally in zip(names, tallies, strict=True) if tally.undefined},
        level=level,
        distances=np.stack([np.concatenate(tally.distances) for tally in tallies]),
        medians=np.stack([np.array(tally.medians) for tally in tallies]),
        folds=float(field_sums[0]) / done,
        protocol={
            "metric": metric,
            "deformation": deformation.describe(),
            "padding": padding,
            "batch_norm": batch_norm,
            "calibration": len(calibration) if batch_norm == "calibrated" and calibration is not None else 0,
            "block": block,
            "images": done,
            "image_shape": list(shape),
            "seed": seed,
            "draw": draw,
            "replicates": replicates,
            "level": level,
        },
        provenance=records.provenance(
            model=type(model).__name__,
            device=str(device or "cpu"),
            dtype=str(dtype or "as given").removeprefix("torch."),
            threads=torch.get_num_threads(),
            displacement={"rms": float(field_sums[1]) / done, "largest": largest},
        ),
    )


class _Tally:
    """What one layer has said so far: raw distances, pair medians, and the sums of the bootstrap."""

    def __init__(self, distance: Distance, replicates: int):
        self.distance = distance
        self.distances: list[np.ndarray] = []
        self.medians: list[float] = []
        self.undefined = ""
        self._varied = self._resampled = False
        self._numerators, self._divisors, self._weights = np.zeros((3, replicates))
        self._sum = self._divisor = 0.0

    def begin(self, n: int) -> None:
        """Make room for a block of `n` images.

        Before the forward pass: a few numbers that are made amid large activations and outlive them would keep the
        heap from shrinking behind them, and the memory would grow with the blocks.
        """
        self.distances.append(np.empty(n))

    def hear(self, clean: Tensor, deformed: Tensor, resampling: PairBootstrap | None) -> None:
        """Reduce one block's activations (n, ...) to numbers."""
        block = geometry(clean, deformed)
        paired, pairs = self.distances[-1], self.distance.pairs(block).cpu().numpy()
        paired[:] = self.distance.paired(block).cpu().numpy()
        self.medians.append(float(np.median(pairs)) if len(pairs) else nan)
        if self.undefined:
            return
        self.undefined = _fault(block.finite, not block.clean.any(), paired, pairs)
        if self.undefined:
            return
        self._varied |= not block.constant
        self._sum += paired.sum()
        if len(pairs):  # a last block of one image has none
            self._divisor += len(pairs) * self.medians[-1]
        if resampling is not None:
            self._resample(paired, pairs, resampling)

    def _resample(self, paired: np.ndarray, pairs: np.ndarray, resampling: PairBootstrap) -> None:
        self._resampled = True
        self._numerators += resampling.sums(paired)
        if len(pairs):
            medians = resampling.medians(pairs)
            # A replicate that drew one image of a small block alone has no pair there, but has pairs in other blocks.
            self._divisors += len(pairs) * np.nan_to_num(medians)
            self._weights += len(pairs) * np.isfinite(medians)

    def interval(self, level: float) -> tuple[float, float, float]:
        """Estimate, low and high; NaN where undefined, and `undefined` then says why."""
        if not self.undefined and self._divisor == 0:
            what = (
                "at least half of the pairs of images coincide" if self._varied else "constant: the same for all images"
            )
            self.undefined = what
        if self.undefined:
            return nan, nan, nan
        images = sum(map(len, self.distances))
        pairs = sum(len(part) * (len(part) - 1) // 2 for part in self.distances)
        estimate = self._sum / images / (self._divisor / pairs)
        if not self._resampled:
            return estimate, nan, nan
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = self._numerators / images / (self._divisors / self._weights)
        return estimate, *percentile(replicates, level)


def _fault(finite: bool, zero: bool, paired: np.ndarray, pairs: np.ndarray) -> str:
    """Why a block's activations have no distances; empty where they have."""
    if not finite:
        return "NaN or infinite activations"
    if not np.isfinite(paired).all() or not np.isfinite(pairs).all():
        return f"zero for {'all' if zero else 'some'} images of a block: no direction, take euclidean"
    return ""


def _hear(
    model: nn.Module, both: Tensor, calls: Sequence[Call], tallies: Sequence[_Tally], resampling: PairBootstrap | None
) -> None:
    """Feed a block, clean images first, and let each layer's tally hear it."""
    half = len(both) // 2
    waiting = dict(zip((call.name for call in calls), tallies[1:], strict=True))

    def heard(name: str, path: str, activation: Tensor) -> None:
        require(
            len(activation) == 2 * half,
            f"layer {name!r} put out {len(activation)} rows for {2 * half} images: it cannot be measured, choose "
            "another",
        )
        waiting.pop(name).hear(activation[:half], activation[half:], resampling)

    for tally in tallies:
        tally.begin(half)
    tallies[0].hear(both[:half], both[half:], resampling)
    with capture(model, heard, set(waiting)):
        model(both)
    require(not waiting, f"layers {sorted(waiting)} did not run on every block: the model's path depends on its input")


def _blocks(images: Tensor | Iterable[Any], block: int, device: torch.device | None) -> Iterator[Tensor]:
    """Consecutive blocks of images on `device`, whatever the size of the batches that they come in."""
    batches = [images] if isinstance(images, Tensor) else images
    waiting: list[Tensor] = []
    for item in batches:
        batch = item if isinstance(item, Tensor) else next(iter(item))
        require(
            isinstance(batch, Tensor) and batch.ndim == 4,
            f"images have the shape (n, c, h, w), got {tuple(batch.shape) if isinstance(batch, Tensor) else batch!r}",
        )
        start = 0
        while start < len(batch):
            room = block - sum(map(len, waiting))
            waiting.append(batch[start : start + room])
            start += room
            if sum(map(len, waiting)) == block:
                yield _join(waiting, device)  # not kept here: the block's memory ends with its turn
    if waiting:
        yield _join(waiting, device)


def _join(waiting: list[Tensor], device: torch.device | None) -> Tensor:
    """The parts as one tensor on the device; the list is empty afterwards."""
    parts = list(waiting)
    waiting.clear()
    sizes = {tuple(part.shape[1:]) for part in parts}
    require(len(sizes) == 1, f"images of different sizes, {sorted(sizes)}: bring them to one size first")
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).to(device)


def _home(model: nn.Module) -> tuple[torch.device | None, torch.dtype | None]:
    """Device and floating dtype of the model's parameters; None for a model without any."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.device, parameter.dtype
    return None, None


def _folding(field: Field, offset: int) -> str:
    worst = int(field.folds.argmax())
    return (
        f"the deformation of image {offset + worst} folds at {float(field.folds[worst]):.1%} of its pixels: lower the "
        "reach or the grid, or allow folds"
    )
