"""Philox on a GPU: all rounds in one kernel, where `pliant.draws` needs some hundred operations.

`pliant.draws` says what the words are, and draws them where this does not run.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Int
from torch import Tensor

_BLOCKS = 512  # of four words, of one program


def words(given: Int[Tensor, "3 n"], stream: int, blocks: int, rounds: int) -> Int[Tensor, "n 4 blocks"]:
    """Four times `blocks` random words of 32 bits for each index: the first of all blocks, then the second, and so on.

    given: of each index itself, its draw, and its seed as a signed number of 64 bits.
    """
    count = given.shape[1]
    out = given.new_empty((count, 4, blocks))
    if out.numel():
        with torch.cuda.device_of(out):
            programs = count * triton.cdiv(blocks, _BLOCKS)
            _words[(programs,)](given, out, count, blocks, stream, BLOCKS=_BLOCKS, ROUNDS=rounds)
    return out


def trial(device: torch.device) -> None:
    """Run the kernel once."""
    words(torch.zeros(3, 1, dtype=torch.int64, device=device), 0, 1, 10)


@triton.jit
@no_type_check
def _words(given, out, count, blocks, stream, BLOCKS: tl.constexpr, ROUNDS: tl.constexpr):
    parts = tl.cdiv(blocks, BLOCKS)
    image = tl.program_id(0) // parts
    block = tl.program_id(0) % parts * BLOCKS + tl.arange(0, BLOCKS)
    index = tl.load(given + image)
    draw = tl.load(given + count + image).to(tl.uint32)
    seed = tl.load(given + 2 * count + image)
    counter = (block | (stream << 24)).to(tl.uint32)
    same = tl.zeros_like(counter)
    low, high = index.to(tl.uint32), (index >> 32).to(tl.uint32)
    first, second, third, fourth = tl.philox(seed, counter, same + draw, same + low, same + high, ROUNDS)
    start = out + image.to(tl.int64) * 4 * blocks + block
    there = block < blocks
    tl.store(start, first.to(tl.int64), mask=there)
    tl.store(start + blocks, second.to(tl.int64), mask=there)
    tl.store(start + 2 * blocks, third.to(tl.int64), mask=there)
    tl.store(start + 3 * blocks, fourth.to(tl.int64), mask=there)
