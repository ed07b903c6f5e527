"""Counter-based randomness: every number is a pure function of (seed, stream, index, draw, position).

Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3") in integer
arithmetic, so that the numbers are the same to the bit on every device, whatever the batch size or the worker count.
Nothing here reads or changes a global generator. `noise` takes 7 of the 10 rounds.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pliant import _gpu
from pliant._checks import require

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_FEW = 1 << 15  # blocks of four words that one thread draws
_SENT = 1 << 12  # blocks of four words that are drawn on the CPU for other devices
_AT_ONCE = 1 << 18  # blocks of four words that `noise` draws
_ROUNDS, _FEWEST = 10, 7  # of Philox 4x32: the usual ones, and the fewest that pass BigCrush (Salmon et al. 2011)


class Stream(IntEnum):
    """What the numbers are for. Streams of one seed are independent of each other."""

    DEFORMATION = 0
    SHUFFLE = 1
    AUGMENTATION = 2
    SPLIT = 3
    LABELS = 4
    PIXELS = 5
    CHILDREN = 6
    POOLING = 7
    NOISE = 8
    SHIFTS = 9
    CHANNELS = 10


def philox(counter: Int[Tensor, "*n 4"], key: tuple[int, int]) -> Int[Tensor, "*n 4"]:
    """Four 32-bit words (held in int64) for each counter of four 32-bit words and one key of two."""
    return torch.stack(_rounds(list(counter.unbind(-1)), key), dim=-1)


def _rounds(counter: list[Any], key: tuple[int, int], rounds: int = _ROUNDS) -> list[Any]:
    """The four words that the four words of the counter become, of the shape that these have together: what they have
    in common goes through the first rounds once.

    Tensors, or arrays of NumPy, which starts an operation five times as fast.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for done in range(rounds):
        # Products of 32 by 32 bits wrap around at 2^63, which leaves all 64 bits of them as they are.
        if done:
            c0 *= _MULTIPLIERS[0]
            c2 *= _MULTIPLIERS[1]
        else:  # the counter is the caller's
            c0, c2 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        # The products go on with their upper bits, which `_mixed` takes away.
        c0, c1, c2, c3 = _mixed(c2, c1, k0), c2, _mixed(c0, c3, k1), c0
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return [c0, c1 & _LOW, c2, c3 & _LOW]


def _mixed(product: Any, word: Any, key: int) -> Any:
    """The upper half of the product, the lower half of the word and the key, by exclusive or."""
    mixed = product >> 32
    if mixed.shape == word.shape:
        mixed ^= word
        mixed ^= key
    else:
        mixed = mixed ^ (word ^ key)
    mixed &= _LOW
    return mixed


def uniform(
    seed: int,
    stream: Stream,
    indices: Sequence[int] | Int[Tensor, " n"],
    draw: int | Int[Tensor, " n"],
    count: int,
    device: torch.device | str | None = None,
) -> Float[Tensor, "n count"]:
    """`count` numbers in [0, 1) for each index: multiples of 2^-24, float32, exact on every device.

    `seed` in [0, 2^64), `draw` in [0, 2^32), one for all or one for each index, indices in [0, 2^63): others raise
    `InputError`.
    """
    index, device = given(indices, device)
    blocks = -(-count // 4)
    place = _place(len(index) * blocks, device)
    words = _words(seed, stream, index.numpy(), _checked(draw, len(index)), blocks, place)
    if isinstance(words[0], Tensor):
        numbers = torch.empty((len(index), blocks, 4), dtype=torch.float32, device=place)
        for which, word in enumerate(words):
            numbers[:, :, which] = word >> 8
        return _gpu.sent(numbers.flatten(1)[:, :count] * 2.0**-24, device)
    # By NumPy, which wakes no other thread for it.
    few = np.empty((len(index), blocks, 4), np.float32)
    for which, word in enumerate(words):
        np.right_shift(word, 8, out=few[:, :, which], casting="unsafe")
    few = few.reshape(len(index), 4 * blocks)[:, :count] * np.float32(2.0**-24)
    return _gpu.sent(torch.from_numpy(few), device)


def noise(
    seed: int,
    stream: Stream,
    indices: Sequence[int] | Int[Tensor, " n"],
    draw: int | Int[Tensor, " n"],
    count: int,
    device: torch.device | str | None = None,
) -> Float[Tensor, "n count"]:
    """`count` numbers in (-1, 1) for each index: odd multiples of 2^-8, float32, exact on every device; a fifth as dear
    as `uniform` for where many are needed and few digits are, by 7 rounds of Philox. Errors as there.
    """
    index, device = given(indices, device)
    blocks = -(-count // 16)
    place = _place(len(index) * blocks, device)
    out = torch.empty((len(index), 4, 4 * blocks), dtype=torch.float32, device=place)
    half = torch.full((), 2.0**-8, dtype=torch.float32, device=place)
    # As many images at a time as stay in the caches.
    step = max(1, _AT_ONCE // max(blocks, 1)) if place.type == "cpu" else max(len(index), 1)
    each = _checked(draw, len(index))
    for start in range(0, len(index), step):
        part = slice(start, start + step)
        # Four numbers of 8 bits from each word, the lowest first; those of the first words of all blocks, then of the
        # second, and so on, for laying the four words of a block side by side would take longer than drawing them.
        some, at = index.numpy()[part], each if len(each) == 1 else each[part]
        for which, words in enumerate(_words(seed, stream, some, at, blocks, place, _FEWEST)):
            whole = torch.as_tensor(words).to(torch.int32, memory_format=torch.contiguous_format).view(torch.int8)
            # Half a step up, so that 0 is the middle.
            torch.add(half, whole, alpha=2.0**-7, out=out[part, which])
    return _gpu.sent(out.flatten(1)[:, :count], device)


def given(
    indices: Sequence[int] | Int[Tensor, " n"], device: torch.device | str | None
) -> tuple[Int[Tensor, " n"], torch.device]:
    """The indices on the CPU, where they are checked without waiting for a GPU, and the device that is meant."""
    if isinstance(indices, range):  # which torch would read number by number
        index = torch.from_numpy(np.arange(indices.start, indices.stop, indices.step, dtype=np.int64))
    else:
        index = torch.as_tensor(indices, dtype=torch.int64)
    return index.cpu(), index.device if device is None else torch.device(device)


def _place(blocks: int, device: torch.device) -> torch.device:
    """Where so many blocks are drawn: few on the CPU, where operations take the least time to start."""
    return device if blocks > _SENT else torch.device("cpu")


def _checked(draw: int | Int[Tensor, " n"], count: int) -> Int[np.ndarray, " n_or_1"]:
    """The draw of all of `count` indices, or that of each."""
    numbers = draw.tolist() if isinstance(draw, Tensor) else [draw]
    wrong = [number for number in numbers if not 0 <= number < 1 << 32]
    require(not wrong, f"draw={''.join(map(str, wrong[:1]))}: a draw is an integer from 0 to 2^32 - 1")
    each = isinstance(draw, Tensor)
    require(not each or len(numbers) == count, f"{len(numbers)} draws for {count} indices: give one, or one for each")
    return np.array(numbers, dtype=np.int64)


def _words(
    seed: int,
    stream: Stream,
    index: Int[np.ndarray, " n"],
    draw: Int[np.ndarray, " n_or_1"],
    blocks: int,
    place: torch.device,
    rounds: int = _ROUNDS,
) -> Sequence[Any]:
    """Four times `blocks` random words of 32 bits, held in int64, for each index, (n, blocks): tensors at the place, or
    arrays where they are few.
    """
    require(0 <= seed < 1 << 64, f"seed={seed}: a seed is an integer from 0 to 2^64 - 1")
    least = int(index.min(initial=0))
    require(least >= 0, f"image indices must be 0 or more, got {least}")
    require(
        blocks <= 1 << 24,
        f"{4 * blocks} random words for one image: a draw holds at most 2^26, take a smaller image or deformation",
    )
    kernels = _gpu.kernels("pliant._philox", place, "random numbers are drawn")
    if kernels is not None:
        signed = seed - (seed >> 63 << 64)
        counters = torch.from_numpy(np.stack(np.broadcast_arrays(index, draw, np.int64(signed))))
        return kernels.words(_gpu.sent(counters, place), int(stream), blocks, rounds).unbind(1)
    high = index >> 32
    # What is the same for all images goes through the first rounds once.
    high = high if high.any() else high[:1]
    position = np.arange(blocks, dtype=np.int64) | int(stream) << 24
    counter, key = [position[None], draw[:, None], (index & _LOW)[:, None], high[:, None]], (seed & _LOW, seed >> 32)
    if place.type == "cpu" and len(index) * blocks <= _FEW:
        return _rounds(counter, key, rounds)
    return _rounds([_gpu.sent(torch.from_numpy(word), place) for word in counter], key, rounds)


def as_normal(uniforms: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Standard normal numbers: the quantiles at the middles of the steps of 2^-24 that `uniforms` in [0, 1) stand for.

    Found in float64, so that devices differ by one unit in the last place at most. The largest is 5.4.
    """
    return torch.special.ndtri(uniforms.double() + 2.0**-25).float()


def child(seed: int, place: int) -> int:
    """The seed of part `place` of what has `seed`: the numbers of different parts are independent of each other."""
    require(0 <= seed < 1 << 64, f"seed={seed}: a seed is an integer from 0 to 2^64 - 1")
    counter = torch.tensor([int(Stream.CHILDREN) << 24, place, 0, 0])
    low, high = philox(counter, (seed & _LOW, seed >> 32))[:2].tolist()
    return high << 32 | low


def permutation(seed: int, stream: Stream, draw: int, n: int) -> Int[Tensor, " n"]:
    """A random order of 0 ... n-1, the same on every device: the order of n uniform numbers, ties by position."""
    return uniform(seed, stream, [0], draw, n)[0].argsort(stable=True)
