"""Images as they come, in blocks whose pairs share a median."""

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from pliant._checks import InputError, require


def consecutive(images: Tensor | Iterable[Any], block: int, device: torch.device | None) -> Iterator[Tensor]:
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


def beginning(blocks: Iterator[Tensor]) -> Tensor:
    """The first block. Raises `InputError` for fewer than 2 images."""
    first = next(blocks, None)
    if first is None or len(first) < 2:
        raise InputError(f"{0 if first is None else len(first)} images: a median over pairs needs at least 2")
    return first


def check_shape(block: Tensor, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless the images of a block have the `shape` (c, h, w) of those before."""
    require(
        tuple(block.shape[1:]) == shape,
        f"images of different sizes, {shape} and {tuple(block.shape[1:])}: bring them to one size first",
    )


def of_one_size(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """The blocks as they are; raises `InputError` where one holds images of another size than those before it."""
    shape: tuple[int, ...] | None = None
    for block in blocks:
        shape = shape or tuple(block.shape[1:])
        check_shape(block, shape)
        yield block
        del block  # before the next one comes


def all_in_one(images: Tensor | Iterable[Any]) -> Tensor:
    """All images (n, c, h, w) as one tensor, for what measures them several times.

    Raises `InputError` for fewer than 2 images and for images of different sizes.
    """
    return beginning(consecutive(images, sys.maxsize, None))


def _join(waiting: list[Tensor], device: torch.device | None) -> Tensor:
    """The parts as one tensor on the device; the list is empty afterwards."""
    parts = list(waiting)
    waiting.clear()
    sizes = {tuple(part.shape[1:]) for part in parts}
    require(len(sizes) == 1, f"images of different sizes, {sorted(sizes)}: bring them to one size first")
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).to(device)


def give_back() -> None:
    """Give the memory that a block has freed back to the system.

    glibc keeps what lies below anything still in use, such as a few numbers made amid large activations; without this
    the peak would grow from block to block by what happens to be kept.
    """
    _trim()(0)


@cache
def _trim() -> Callable[[int], int]:
    """glibc's `malloc_trim`, which returns whether there was anything; elsewhere `bool`, which does nothing."""
    return getattr(ctypes.CDLL(None), "malloc_trim", bool) if sys.platform == "linux" else bool
