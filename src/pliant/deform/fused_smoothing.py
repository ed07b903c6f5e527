"""Smoothing on a GPU: one kernel for each axis, which sums over the taps in their order.

No sum depends on what stands beside it, so that fields are the same to the bit in every batch.
`pliant.deform.elastic` says what is to come out, and runs where this does not.
"""

from typing import Any, no_type_check

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

_PIXELS = 1024  # of one program


def smooth(planes: Float[Tensor, "m rows columns"], weights: Float[Tensor, "2 taps"]) -> Float[Tensor, "m h w"]:
    """Each row correlated with the first weights, then each column with the second, where they fit; float32.

    Differentiable in the planes, in reverse mode.
    """
    return _smooth(planes, weights)


@torch.library.custom_op("pliant::smooth", mutates_args=())
def _smooth(planes: Tensor, weights: Tensor) -> Tensor:
    beyond = weights.shape[1] - 1
    count, rows, columns = planes.shape
    planes = planes.contiguous()
    along = planes.new_empty((count, rows, columns - beyond))
    out = planes.new_empty((count, rows - beyond, columns - beyond))
    for given, taps, result, step in ((planes, weights[0], along, 1), (along, weights[1], out, out.shape[2])):
        if result.numel():
            programs = count * triton.cdiv(result[0].numel(), _PIXELS)
            sizes = beyond + 1, step, *given.shape[1:], *result.shape[1:]
            with torch.cuda.device_of(result):
                _correlate[(programs,)](given, taps, result, *sizes, PIXELS=_PIXELS)
    return out


@_smooth.register_fake
def _(planes: Tensor, weights: Tensor) -> Tensor:
    beyond = weights.shape[1] - 1
    return planes.new_empty((len(planes), planes.shape[1] - beyond, planes.shape[2] - beyond))


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    (weights,) = ctx.saved_tensors
    return _smooth(F.pad(gradient, [weights.shape[1] - 1] * 4), weights.flip(1)), None


_smooth.register_autograd(_gradients, setup_context=_keep)


def trial(device: torch.device) -> None:
    """Run the kernel once."""
    smooth(torch.zeros(1, 1, 1, device=device), torch.ones(2, 1, device=device))


@triton.jit
@no_type_check
def _correlate(given, weights, out, taps, step, rows, columns, height, width, PIXELS: tl.constexpr):
    parts = tl.cdiv(height * width, PIXELS)
    plane = (tl.program_id(0) // parts).to(tl.int64)
    pixel = tl.program_id(0) % parts * PIXELS + tl.arange(0, PIXELS)
    there = pixel < height * width
    at = given + plane * rows * columns + pixel // width * columns + pixel % width
    total = tl.zeros((PIXELS,), tl.float32)
    for tap in range(taps):
        weight = tl.load(weights + tap)
        value = tl.load(at, mask=there, other=0.0)
        total = tl.fma(value, tl.broadcast_to(weight, (PIXELS,)), total)
        at += step
    tl.store(out + plane * height * width + pixel, total, mask=there)
