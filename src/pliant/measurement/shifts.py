"""`shift_consistency`: how often two shifts of an image get the same top-1. Zhang 2019, arXiv:1904.11486."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from pliant import draws
from pliant._checks import InputError, require, unknown
from pliant.capture import kept
from pliant.capture.state import BatchNorm
from pliant.measurement.blocks import consecutive, give_back, of_one_size
from pliant.measurement.feeding import Feeding
from pliant.measurement.protocol import protocol_of
from pliant.metrics.consistency import flat
from pliant.outcomes import ShiftConsistency
from pliant.stats import Interval, MeanBootstrap, proportion

Shifts = Literal["circular", "cropped"]
SHIFTS = ("circular", "cropped")


def shift_consistency(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    seed: int = 0,
    *,
    shifts: Shifts = "circular",
    largest: int | None = None,
    crop: int | None = None,
    pairs: int = 1,
    batch_norm: BatchNorm = "as_is",
    calibration: Tensor | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    block: int = 128,
    replicates: int = 1000,
    level: float = 0.95,
    on_block: Callable[[int], None] | None = None,
) -> ShiftConsistency:
    """The probability that two random shifts of an image get the same top-1 (Zhang 2019; Chaman and Dokmanic 2020).

    Both shifts are drawn for each image, by (seed, position of the image, pair), uniformly and independently: now and
    then they are the same. Of several largest logits the first is the top-1. The model runs in eval mode and comes
    back as it was, also after an error.

    images: (n, c, h, w), or an iterable of such batches (of a loader's tuples the first item is taken).
    seed: of the shifts, and of the bootstrap.
    shifts: "circular", what leaves the image on one side comes back on the other; or "cropped", crops of a larger
        image.
    largest: how many shifts there are along each axis, 0 ... largest - 1 pixels; if not given, as many as the image
        has rows and columns ("circular"), or as crops fit ("cropped").
    crop: pixels a side of the crops, such as 224 of images of 256; of "cropped" alone, which needs it.
    pairs: of shifts an image, averaged within the image.
    batch_norm, calibration: as of `measure`; of cropped shifts the calibration's images are of the size of the crops.
    preprocess: applied to the shifted images, such as a model's normalisation.
    block: images that go through the model at a time, twice; the number does not depend on it.
    level: of the interval over images: Wilson's of 1 pair an image, of more the percentile bootstrap's.
    replicates: of that bootstrap; without any there is no interval for more than 1 pair.
    on_block: called with the number of images done so far.

    Floating-point images are cast to the dtype of the model and brought to its device. Raises `InputError` for fewer
    than 2 images, images of different sizes, shifts that do not fit, a model whose output is no logits (n, k), and
    logits that are NaN, infinite, or all equal for each of the images.
    """
    _check(shifts, largest, crop, pairs, block)
    bootstrap = MeanBootstrap(1, replicates, seed, level)
    feeding = Feeding(model, preprocess)
    agreement: list[np.ndarray] = []
    shape: tuple[int, ...] = ()
    room, done, silent = (0, 0), 0, True
    with torch.inference_mode(False), kept(model), torch.no_grad():
        model.eval()
        feeding.bring_batch_norm(batch_norm, calibration)
        for images_now in of_one_size(consecutive(images, block, feeding.device)):
            shape, count = tuple(images_now.shape[1:]), len(images_now)
            room = _room(shape[1:], largest, crop)
            same = torch.zeros(count, dtype=torch.float64)
            for pair in range(pairs):
                shift = _drawn(range(done, done + count), room, seed, pair, images_now.device)
                seen = torch.cat([_shifted(images_now, part, crop) for part in shift.unbind(1)])
                logits = feeding.logits(seen)
                silent &= flat(logits)
                first, second = logits.argmax(1).split(count)
                same += (first == second).cpu()
            agreement.append((same / pairs).numpy())
            bootstrap.add(agreement[-1][:, None])
            done += count
            give_back()
            if on_block is not None:
                on_block(done)
    require(done >= 2, f"{done} images: an interval over images needs at least 2")
    require(not silent, "all logits of each image are equal: the model has no top-1 to compare")
    told = np.concatenate(agreement)
    mean, low, high = (float(numbers[0]) for numbers in bootstrap.interval())
    return ShiftConsistency(
        interval=proportion(int(told.sum()), done, level) if pairs == 1 else Interval(mean, low, high, level, done),
        agreement=told,
        protocol=protocol_of(
            done,
            shape,
            seed,
            batch_norm,
            calibration,
            replicates,
            level,
            shifts=shifts,
            largest=list(room),
            crop=crop,
            pairs=pairs,
        ),
        provenance=feeding.provenance(),
    )


def _check(shifts: str, largest: int | None, crop: int | None, pairs: int, block: int) -> None:
    if shifts not in SHIFTS:
        raise unknown("shifts", shifts, SHIFTS)
    require(
        shifts == "circular" or crop is not None,
        "shifts='cropped' needs crop, the pixels a side of the crops, such as crop=224 of images of 256",
    )
    require(shifts == "cropped" or crop is None, f"crop={crop} is of cropped shifts: give shifts='cropped' with it")
    require(crop is None or crop >= 1, f"crop={crop}: pixels a side, 1 or more")
    require(largest is None or largest >= 2, f"largest={largest}: shifts are 0 ... largest - 1 pixels, give 2 or more")
    require(pairs >= 1, f"pairs={pairs}: of shifts an image, 1 or more")
    require(block >= 1, f"block={block}: images at a time, 1 or more")


def _room(size: tuple[int, ...], largest: int | None, crop: int | None) -> tuple[int, int]:
    """How many shifts there are down and to the right."""
    fit = [side if crop is None else side - crop + 1 for side in size]
    needed = 1 if largest is None else largest
    if min(fit) < needed or max(fit) < 2:
        within = "" if crop is None else f" for crops of {crop}"
        asked = "a shift" if largest is None else f"largest={largest} shifts"
        raise InputError(
            f"images of {size[0]}x{size[1]} have no room{within} for {asked} along each axis: give larger images, or a "
            f"smaller {'largest' if crop is None else 'crop or largest'}"
        )
    return (fit[0], fit[1]) if largest is None else (largest, largest)


def _drawn(
    indices: range, room: tuple[int, int], seed: int, pair: int, device: torch.device
) -> Int[Tensor, "n 2 axis"]:
    """Two shifts of each image, down and to the right, pixels."""
    numbers = draws.uniform(seed, draws.Stream.SHIFTS, indices, pair, 4, device).double().unflatten(1, (2, 2))
    return (numbers * numbers.new_tensor(room)).floor().long()


def _shifted(
    images: Shaped[Tensor, "n c h w"], shift: Int[Tensor, "n axis"], crop: int | None
) -> Shaped[Tensor, "n c hh ww"]:
    """The images rolled down and to the right; or their crops that begin so far down and to the right."""
    height, width = images.shape[2:]
    down, right = (-shift if crop is None else shift)[:, :, None].unbind(1)
    rows = (down + torch.arange(crop or height, device=shift.device)) % height
    columns = (right + torch.arange(crop or width, device=shift.device)) % width
    image = torch.arange(len(images), device=shift.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=shift.device)[:, None, None]
    return images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
