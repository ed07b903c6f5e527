"""Many images into one tensor: decoded by threads, all of one size, the bad ones set aside."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from pliant._checks import InputError, require
from pliant.data.dataset import Labelled, Skipped
from pliant.data.image_file import BadImage

CHUNK = 256


@dataclass(frozen=True)
class Entry:
    """One labelled image: what it is called, what `open_image` makes it from, and its class."""

    name: str
    content: Any
    label: int


def decode(
    entries: Sequence[Entry], open_image: Callable[[Any], Image.Image], place: str, remedy: str
) -> tuple[Labelled, tuple[Skipped, ...]]:
    """All images that `open_image` does not refuse, in order, and those that it does.

    One channel if every image is grey (mode L), else three. Raises `InputError`, with the `place` and the `remedy`, if
    the images differ in size or none is left.
    """

    def pixels(chunk: Sequence[Entry]) -> list[np.ndarray | BadImage]:
        return [_pixels(entry.content, open_image) for entry in chunk]

    chunks = [entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = [result for results in pool.map(pixels, chunks) for result in results]
    good, bad = [], []
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, BadImage):
            bad.append(Skipped(entry.name, str(result)))
        else:
            good.append((entry, result))
    if not good:
        first = f"; {bad[0].file}: {bad[0].reason}" if bad else ""
        raise InputError(f"{place}: none of {len(entries)} images can be used{first}")
    first, expected = good[0]
    for entry, result in good:
        require(
            result.shape[:2] == expected.shape[:2],
            f"{place}: images of different sizes, {_size(expected)} ({first.name}) and {_size(result)} ({entry.name}); "
            f"{remedy}",
        )
    images = _stack([result for _, result in good])
    labels = torch.tensor([entry.label for entry, _ in good], dtype=torch.int64)
    return Labelled(images, labels), tuple(bad)


def _pixels(content: Any, open_image: Callable[[Any], Image.Image]) -> np.ndarray | BadImage:
    try:
        return np.asarray(open_image(content))
    except BadImage as bad:
        return bad


def _stack(arrays: list[np.ndarray]) -> UInt8[Tensor, "n c h w"]:
    if all(array.ndim == 2 for array in arrays):
        return torch.from_numpy(np.stack(arrays)).unsqueeze(1)
    coloured = [array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2) for array in arrays]
    return torch.from_numpy(np.stack(coloured)).permute(0, 3, 1, 2).contiguous()


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
