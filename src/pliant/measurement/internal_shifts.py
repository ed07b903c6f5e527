"""`shift_map`: how far each layer is from moving along with every circular shift. Zhang 2019, arXiv:1904.11486."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from pliant._checks import InputError, require
from pliant.capture import Call, kept, select, trace
from pliant.capture.state import BatchNorm
from pliant.measurement.blocks import consecutive, give_back, of_one_size
from pliant.measurement.feeding import Feeding, hear
from pliant.measurement.protocol import protocol_of
from pliant.metrics import Cosine
from pliant.outcomes import ShiftMap
from pliant.stats import MeanBootstrap

_COPIES = 7
"""Shifted copies that an image goes through the model with in one pass: once more the image is little beside them."""

Shift = tuple[int, int]
Values = Float[np.ndarray, "n layers largest largest"]


def shift_map(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    layers: str | Sequence[str] = "all",
    seed: int = 0,
    *,
    largest: int = 8,
    batch_norm: BatchNorm = "as_is",
    calibration: Tensor | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    block: int = 128,
    replicates: int = 1000,
    level: float = 0.95,
    on_block: Callable[[int], None] | None = None,
) -> ShiftMap:
    """The internal shift map of Zhang 2019: how far the map of each layer is from moving along with the image.

    For every circular shift down by dy and right by dx, both 0 ... largest - 1 pixels, the mean over images of the
    cosine distance between Shift(F(x)) and F(Shift(x)), the layer's map F brought to the resolution of the image by
    nearest neighbour, so that it can be shifted by less than one of its own pixels. The distance is not normalised by
    that of unrelated images. Without padding other than circular it is 0 before the first downsampling, and after k
    halvings 0 at multiples of 2^k. The model runs in eval mode and comes back as it was, also after an error.

    images: (n, c, h, w), or an iterable of such batches (of a loader's tuples the first item is taken).
    layers: as of `measure`. Those whose output is no map (n, c, h, w) with sides that divide the image's are left out,
        and said to be. The input, which follows every shift, is none of them.
    seed: of the bootstrap over images.
    largest: how many shifts there are along each axis, 0 ... largest - 1 pixels; not as many as fit if not given, since
        the cost is that of 8/7 largest^2 forward passes.
    batch_norm, calibration: as of `measure`.
    preprocess: applied to the shifted images, such as a model's normalisation; it must keep their size.
    block: images and their shifted copies that go through the model at a time; the map does not depend on it.
    replicates, level: of the bootstrap over images, percentile interval; without replicates none.
    on_block: called with the number of images done so far.

    The maps are not brought to the larger resolution in fact, and of images one block is held at a time. Raises
    `InputError` for fewer than 2 images, images of different sizes, fewer than `largest` rows or columns, unknown
    names, and where no layer is left.
    """
    require(largest >= 2, f"largest={largest}: shifts are 0 ... largest - 1 pixels, give 2 or more")
    require(block >= 2, f"block={block}: an image and its shifted copy make 2 at least")
    model = getattr(model, "_orig_mod", model)  # hooks do not reach into a compiled model
    feeding = Feeding(model, preprocess)
    copies = min(_COPIES, block - 1, largest * largest - 1)
    blocks = of_one_size(consecutive(images, block // (1 + copies), feeding.device))
    now, done = next(blocks, None), 0
    if now is None:
        raise InputError("0 images: an interval over images needs at least 2")
    shape, size = tuple(now.shape[1:]), (now.shape[2], now.shape[3])
    require(
        largest <= min(size),
        f"largest={largest}: images of {size[0]}x{size[1]} have {min(size)} different shifts along an axis, give no "
        "more",
    )
    with torch.inference_mode(False), kept(model), torch.no_grad():
        model.eval()
        feeding.bring_batch_norm(batch_norm, calibration)
        fed = feeding(now[:2])
        require(
            tuple(fed.shape[2:]) == size,
            f"preprocess makes images of {'x'.join(map(str, fed.shape[2:]))} of those of {size[0]}x{size[1]}: bring "
            "them to that size first, for shifts are counted in pixels that the model sees",
        )
        strides, left_out = _followed(select(model, trace(model, fed), layers), size)
        bootstrap = MeanBootstrap(len(strides) * largest * largest, replicates, seed, level)
        while now is not None:
            values = np.zeros((len(now), len(strides), largest, largest))
            for some in _groups(largest, copies):
                _hear(model, feeding, now, some, strides, values, left_out)
            bootstrap.add(values.reshape(len(values), -1))
            done += len(now)
            give_back()
            if on_block is not None:
                on_block(done)
            now = next(blocks, None)
    require(done >= 2, f"{done} images: an interval over images needs at least 2")
    mapped = [place for place, name in enumerate(strides) if name not in left_out]
    _check_any(mapped, left_out)
    mean, low, high = (numbers.reshape(-1, largest, largest)[mapped] for numbers in bootstrap.interval())
    return ShiftMap(
        layers=tuple(name for name in strides if name not in left_out),
        distance=mean,
        low=low,
        high=high,
        level=level,
        images=done,
        left_out=left_out,
        protocol=protocol_of(
            done,
            shape,
            seed,
            batch_norm,
            calibration,
            replicates,
            level,
            distance="cosine",
            shifts="circular",
            largest=largest,
            upsampling="nearest",
        ),
        provenance=feeding.provenance(),
    )


def _followed(calls: Sequence[Call], size: tuple[int, int]) -> tuple[dict[str, Shift], dict[str, str]]:
    """The pixels of the image that one of each layer's map stands for, down and across; and why others have none."""
    strides, left_out = {}, {}
    for call in calls:
        if len(call.shape) != 3:
            left_out[call.name] = f"({', '.join(['n', *map(str, call.shape)])}) is no feature map (n, c, h, w)"
        elif any(side % of_map for side, of_map in zip(size, call.shape[1:], strict=True)):
            left_out[call.name] = (
                f"the sides of its map, {call.shape[1]}x{call.shape[2]}, do not divide the image's, {size[0]}x{size[1]}"
            )
        else:
            strides[call.name] = (size[0] // call.shape[1], size[1] // call.shape[2])
    _check_any(strides, left_out)
    return strides, left_out


def _check_any(mapped: Sequence[int] | Mapping[str, Shift], left_out: Mapping[str, str]) -> None:
    if not mapped:
        name, reason = next(iter(left_out.items()))
        raise InputError(f"no layer has a shift map; of {name!r} {reason}: choose others")


def _groups(largest: int, copies: int) -> Iterator[list[Shift]]:
    """All shifts but none at all, down and to the right, as many at a time as there are copies."""
    shifts = list(product(range(largest), range(largest)))[1:]
    for start in range(0, len(shifts), copies):
        yield shifts[start : start + copies]


def _hear(
    model: nn.Module,
    feeding: Feeding,
    images: Tensor,
    shifts: Sequence[Shift],
    strides: Mapping[str, Shift],
    values: Values,
    left_out: dict[str, str],
) -> None:
    """Feed the images and their shifted copies, and fill in the distances; layers without them are left out."""
    fed = feeding(torch.cat([images, *(images.roll(shift, (2, 3)) for shift in shifts)]))
    places = {name: place for place, name in enumerate(strides)}

    def heard(name: str, maps: Tensor) -> None:
        squares = _squared(maps)
        if not bool(squares.isfinite().all()):
            left_out[name] = "NaN or infinite activations"
        elif not bool(squares.all()):
            left_out[name] = "zero for some images: no direction"
        if name in left_out:
            return
        clean, *moved = maps.split(len(images))
        square, *theirs = squares.split(len(images))
        for shift, some, their in zip(shifts, moved, theirs, strict=True):
            gap = _gap(clean, some, shift, strides[name])
            values[:, places[name], shift[0], shift[1]] = Cosine().between(gap, square, their).cpu().numpy()

    hear(model, fed, places, heard)


def _gap(
    clean: Real[Tensor, "n c h w"], moved: Real[Tensor, "n c h w"], shift: Shift, stride: Shift
) -> Float[Tensor, " n"]:
    """|Shift(clean) - moved|^2 of maps at the image's resolution, over the number of its pixels in one of the map.

    Of the pixels that one of the map stands for, some are shifted from one place of the map and the others from the
    next, so that the gap is a weighted mean of at most four gaps of the maps themselves.
    """
    gap = torch.zeros(len(clean), dtype=torch.float64, device=clean.device)
    (down, across) = (_places(*axis) for axis in zip(shift, stride, strict=True))
    for (dy, row_share), (dx, column_share) in product(down, across):
        rolled = clean.float().roll((dy, dx), (2, 3))
        gap += row_share * column_share * _squared(moved.float() - rolled)
    return gap


def _places(shift: int, stride: int) -> list[tuple[int, float]]:
    """By how many pixels of the map a shift moves it, and for which share of the image's pixels."""
    whole, rest = divmod(shift, stride)
    return [(whole, 1 - rest / stride), *([(whole + 1, rest / stride)] if rest else [])]


def _squared(maps: Real[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Squared lengths, float64."""
    return torch.linalg.vector_norm(maps.float(), dim=(1, 2, 3)).double().square()
