"""A model made less sensitive to shifts by blurring before each subsampling. Zhang 2019."""

import copy
from typing import TypeVar, final

from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require
from pliant.nets import APS, LPS, AveragePool, BlurPool, MaxPool, PermutedPool, Subsample
from pliant.surgery.outcome import Left, Replaced, Surgery
from pliant.surgery.structure import (
    Place,
    Pool,
    Wiring,
    attach,
    described,
    others,
    pair,
    pools,
    replace_module,
    stride_of,
    strided_convolutions,
    uneven,
    whole_model,
)

Model = TypeVar("Model", bound=nn.Module)

_OWN = (APS, LPS, PermutedPool)


def antialias(model: Model, filter: int = 3) -> Surgery[Model]:
    """A copy of the model that blurs before it subsamples, with a report; the given model is unchanged. Zhang 2019.

    filter: taps a side of the binomial filter of every `BlurPool`, 1 or more; its border is reflected.

    - A strided convolution runs at every pixel, and the blur with the stride comes behind the normalisation and the
      activation that follow it. What follows is read off the traced forward pass. An activation that is a function, or
      a module used several times, as in torchvision's residual blocks, has the blur before the next layer. Where the
      model cannot be traced, only sequences are read; what they do not tell has the blur right behind the convolution.
      The report says where each blur stands.
    - Before a strided 1x1 convolution, as of a shortcut, the blur stands itself: the two commute.
    - Max pooling runs at every pixel, then comes the blur. Average pooling and plain subsampling become the blur alone.

    All weights keep their values and names, `state_dict()` its keys, and outputs their shapes. A convolution costs the
    square of its stride more. Left as they are, and listed with the reason: strides above 4, such as the patches of a
    transformer; pools whose output size a blur does not give; functional calls; other dimensions. Raises `InputError`
    for a filter below 1.
    """
    require(filter >= 1, f"filter={filter}: taps a side, 1 or more; 3 is the usual")
    changed = copy.deepcopy(model)
    if left_whole := whole_model(changed):
        return Surgery(changed, (), left_whole)
    wiring = Wiring.of(changed)
    replaced: list[Replaced] = []
    left = [Left(name, what, "it has no blurred counterpart") for name, what in others(wiring, _OWN)]
    old_pools = list(pools(changed))
    # All places before the first change: what is attached changes what follows what.
    convolutions = [(name, conv, _place(wiring, name, conv)) for name, conv in strided_convolutions(changed)]
    for name, conv, place in convolutions:
        was = described(conv)
        if why := uneven(pair(conv.stride)):
            left.append(Left(name, was, why))
            continue
        stride, conv.stride = conv.stride[0], (1, 1)
        attach(changed, place, "blur", BlurPool(conv.out_channels, filter, stride))
        replaced.append(Replaced(name, was, f"stride 1, and {_blur(filter, stride)} {place}"))
    for name, pool in old_pools:
        was, strides = described(pool), stride_of(pool)
        before, why = _before_blur(pool)
        if why := uneven(strides) or why:
            left.append(Left(name, was, why))
            continue
        blur = BlurPool(0, filter, strides[0])
        replace_module(changed, name, blur if before is None else nn.Sequential(before, blur))
        now = "stride 1, then " if isinstance(before, nn.MaxPool2d) else ""
        replaced.append(Replaced(name, was, now + _blur(filter, strides[0])))
    return Surgery(changed, tuple(replaced), tuple(left))


def _place(wiring: Wiring, name: str, conv: nn.Conv2d) -> Place:
    pointwise = conv.kernel_size == (1, 1) and conv.padding in ((0, 0), "valid")
    return Place(name, before=True) if pointwise else wiring.behind_activation(name)


def _before_blur(pool: Pool) -> tuple[nn.Module | None, str]:
    """What runs before the blur, so that the output has the size it had; or why nothing gives that."""
    size = "the size of its output is not that of a blur"
    if isinstance(pool, MaxPool):
        return nn.MaxPool2d(2, 1), ""
    if isinstance(pool, AveragePool | Subsample):
        return _WholeBlocks(2), ""
    if isinstance(pool, nn.MaxPool2d):
        if pool.return_indices:
            return None, "it puts out indices, too"
        whole = nn.MaxPool2d(pool.kernel_size, 1, pool.padding, pool.dilation)
        return (None, size) if pool.ceil_mode else (whole, "")
    stride = stride_of(pool)[0]
    kernels, paddings = pair(pool.kernel_size), pair(pool.padding)
    if kernels == (stride, stride) and paddings == (0, 0):
        return (None if pool.ceil_mode else _WholeBlocks(stride)), ""
    centred = all(2 * padding == kernel - 1 for kernel, padding in zip(kernels, paddings, strict=True))
    return None, "" if centred and not pool.ceil_mode else size


def _blur(filter: int, stride: int) -> str:
    return f"BlurPool({filter} taps, stride {stride})"


@final
class _WholeBlocks(nn.Module):
    """The map without the last rows and columns that fill no block of size x size pixels."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        height, width = (side // self.size * self.size for side in images.shape[-2:])
        return images[..., :height, :width]
