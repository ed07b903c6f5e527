"""A model made less sensitive to shifts by blurring before each subsampling. Zhang 2019."""

import copy
from typing import TypeVar, final

from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require
from pliant.nets import APS, LPS, AveragePool, BlurPool, MaxPool, PermutedPool, Subsample
from pliant.surgery.outcome import Left, Replaced, Surgery
from pliant.surgery.placing import Place, attach, hooked, replace_module
from pliant.surgery.structure import Wiring
from pliant.surgery.subsampling import (
    Pool,
    by_weight_alone,
    described,
    opaque,
    others,
    own_way,
    pair,
    pools,
    stride_of,
    strided_convolutions,
    uneven,
    whole_model,
)

Model = TypeVar("Model", bound=nn.Module)

_OWN = (APS, LPS, PermutedPool)
_SIZE = "the size of its output is not that of a blur"


def antialias(model: Model, filter: int = 3) -> Surgery[Model]:
    """A copy of the model that blurs before it subsamples, with a report; the given model is unchanged. Zhang 2019.

    filter: taps a side of the binomial filter of every `BlurPool`, 1 or more; its border is reflected, whatever stood
        there. 1 only subsamples: the model then computes what it did, but for group and instance norms in between,
        whose statistics are then those of the larger map. A filter of fewer taps than a stride leaves out pixels: with
        a stride of 4, 3 taps pass over every fourth row and column.

    - A strided convolution runs at every pixel, and the blur with the stride comes behind the normalisation and the
      activation that follow it. What follows is read off the traced forward pass. An activation that is a function, or
      a module used several times, as in torchvision's residual blocks, has the blur before the next layer. Where the
      model cannot be traced, only sequences are read; what they do not tell has the blur right behind the convolution.
      The report says where each blur stands.
    - Before a strided 1x1 convolution, as of a shortcut, the blur stands itself: the two commute. Where an activation
      follows, this departs from Zhang, who blurs behind it.
    - So it is with a convolution of a class of its own that computes its weight, as timm's `StdConv2d` standardises it,
      and is torch's in all else, read off its traced forward, too.
    - Max pooling runs at every pixel, then comes the blur. Average pooling and plain subsampling become the blur alone.

    All weights keep their values and names, `state_dict()` its keys, and outputs their shapes. A convolution costs the
    square of its stride more. Left as they are, and listed with the reason: strides above 4, such as the patches of a
    transformer; pools whose output size a blur does not give, averages over more pixels than the blur reaches; layers
    derived from torch's that compute in a way of their own; functional calls; other dimensions; layers whose forward
    cannot be traced, for they may subsample. What subsamples by reshaping is not seen. Raises `InputError` for a
    filter below 1.
    """
    require(filter >= 1, f"filter={filter}: taps a side, 1 or more; 3 is the usual")
    changed = copy.deepcopy(model)
    if left_whole := whole_model(changed):
        return Surgery(changed, (), left_whole)
    wiring = Wiring.of(changed)
    left = [Left(name, what, "it has no blurred counterpart") for name, what in others(wiring, _OWN)]
    left += opaque(wiring)
    # All places before the first change: what is attached changes what follows what.
    places = {name: _place(wiring, name, conv) for name, conv in strided_convolutions(changed)}
    device = next((weight.device for weight in changed.parameters()), None)
    pooled: list[Replaced] = []
    # Pools first: what is attached to one would be lost with it.
    for name, pool in list(pools(changed)):
        was, strides = described(pool), stride_of(pool)
        before, why = _before_blur(pool, filter)
        if why := uneven(strides) or own_way(pool) or hooked(pool) or why:
            left.append(Left(name, was, why))
            continue
        replace_module(changed, name, *before, BlurPool(0, filter, strides[0]).to(device))
        now = "stride 1, then " if any(isinstance(layer, nn.MaxPool2d) for layer in before) else ""
        pooled.append(Replaced(name, was, now + _blur(filter, strides[0])))
    replaced: list[Replaced] = []
    blurs: dict[str, BlurPool] = {}
    for name, conv in list(strided_convolutions(changed)):
        was = described(conv)
        if why := uneven(pair(conv.stride)) or _not_as_torch(conv):
            left.append(Left(name, was, why))
            continue
        stride, conv.stride = conv.stride[0], (1, 1)
        blurs[name] = BlurPool(conv.out_channels, filter, stride).to(conv.weight.device)
        replaced.append(Replaced(name, was, f"stride 1, and {_blur(filter, stride)} {places[name]}"))
    # The last to run comes first, as the latest attached runs ahead of the others.
    runs = wiring.run_order()
    for name in sorted(blurs, key=lambda name: -runs.get(name, 0)):
        attach(changed, places[name], "blur", blurs[name])
    return Surgery(changed, (*replaced, *pooled), tuple(left))


def _place(wiring: Wiring, name: str, conv: nn.Conv2d) -> Place:
    pointwise = conv.kernel_size == (1, 1) and conv.padding in ((0, 0), "valid")
    return Place(name, before=True) if pointwise else wiring.behind_activation(name)


def _not_as_torch(conv: nn.Conv2d) -> str:
    """Why a convolution of a class of its own is left, or ""."""
    why = own_way(conv)
    return "" if why and by_weight_alone(conv) else why


def _before_blur(pool: Pool, filter: int) -> tuple[tuple[nn.Module, ...], str]:
    """What runs before the blur, so that the output has the size it had; or why no blur takes the pool's place."""
    if isinstance(pool, MaxPool):
        return (nn.MaxPool2d(2, 1),), ""
    if isinstance(pool, Subsample):
        return (_WholeBlocks(2),), ""
    if isinstance(pool, AveragePool):
        return (_WholeBlocks(2),), _short(2, 0, filter)
    if isinstance(pool, nn.MaxPool2d):
        if pool.return_indices:
            return (), "it puts out indices, too"
        return (nn.MaxPool2d(pool.kernel_size, 1, pool.padding, pool.dilation),), _SIZE if pool.ceil_mode else ""
    if pool.divisor_override is not None:
        return (), f"it divides by {pool.divisor_override}, which a blur does not"
    stride, kernels, paddings = stride_of(pool)[0], pair(pool.kernel_size), pair(pool.padding)
    blocks = kernels == (stride, stride) and paddings == (0, 0)
    centred = all(2 * padding == kernel - 1 for kernel, padding in zip(kernels, paddings, strict=True))
    if not blocks and (pool.ceil_mode or not centred):
        return (), _SIZE
    why = max(_short(kernel, padding, filter) for kernel, padding in zip(kernels, paddings, strict=True))
    return ((_WholeBlocks(stride),) if blocks and not pool.ceil_mode else ()), why


def _short(kernel: int, padding: int, filter: int) -> str:
    """Why no blur takes the place of an average: pixels of it would have no weight. The blur's middle stands over the
    pixel at `padding`, and an even filter reaches one pixel further to the right.
    """
    if (filter - 1) // 2 >= padding and filter // 2 >= kernel - 1 - padding:
        return ""
    return f"a blur of {filter} taps does not reach all of the pixels that it averages: take a larger filter"


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
