"""Which layers and calls of a model lower the resolution, and what is said of them."""

import operator
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from pliant.nets import AveragePool, BlurPool, MaxPool, Subsample
from pliant.surgery.outcome import Left
from pliant.surgery.structure import Wiring, kind_of, normalises

Pool = nn.MaxPool2d | nn.AvgPool2d | MaxPool | AveragePool | Subsample
"""Layers without weights that lower the resolution, and whose place another can take."""

LARGEST = 4
"""The largest stride that is moved behind a layer: what that costs grows with its square."""

_ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_OTHER_POOLS = (nn.LPPool2d, nn.FractionalMaxPool2d, nn.MaxPool1d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool3d)
_OTHERS = (*_OTHER_POOLS, nn.Conv1d, nn.Conv3d, nn.Unfold)
_TIMMS_BLUR = "timm.layers.blur_pool"

_STRIDE_OR_KERNEL = ((2, "stride"), (1, "kernel_size"))
_STEPS: dict[Any, tuple[tuple[int, str], ...]] = {
    F.max_pool2d: _STRIDE_OR_KERNEL,
    torch.max_pool2d: _STRIDE_OR_KERNEL,
    F.max_pool2d_with_indices: _STRIDE_OR_KERNEL,
    F.avg_pool2d: _STRIDE_OR_KERNEL,
    F.lp_pool2d: ((3, "stride"), (2, "kernel_size")),
    F.conv2d: ((3, "stride"),),
    torch.conv2d: ((3, "stride"),),
    F.unfold: ((4, "stride"),),
    F.pixel_unshuffle: ((1, "downscale_factor"),),
    torch.pixel_unshuffle: ((1, "downscale_factor"),),
    F.adaptive_avg_pool2d: ((1, "output_size"),),
    F.adaptive_max_pool2d: ((1, "output_size"),),
    F.adaptive_max_pool2d_with_indices: ((1, "output_size"),),
}
"""Where the arguments stand that say how much a function lowers the resolution; the first that is given counts."""
_CONVOLUTION = {"input": None, "weight": None, "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
"""The arguments of `F.conv2d`, in their order, as they are where they are not given."""
_UNHEARD = (7, 11)
"""A stride that no layer has fixed."""


def strided_convolutions(model: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """The two-dimensional convolutions that lower the resolution, each once."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1:
            yield name, module


def pools(model: nn.Module) -> Iterator[tuple[str, Pool]]:
    """The pools that lower the resolution, each once."""
    for name, module in model.named_modules():
        if isinstance(module, Pool) and max(stride_of(module)) > 1:
            yield name, module


def others(wiring: Wiring, own: tuple[type[nn.Module], ...]) -> Iterator[tuple[str, str]]:
    """(Name, what it is) of all else that lowers the resolution, or may, and has no counterpart: it can only be named.

    own: kinds of pliant's own layers that count. timm's blur counts where `BlurPool` does.
    """
    for name, module in wiring.model.named_modules():
        blurs = type(module).__module__ == _TIMMS_BLUR
        counts = isinstance(module, own) or (blurs and BlurPool in own)
        if max(_steps(module), default=1) > 1 or (counts and getattr(module, "stride", 2) > 1):
            yield name, type(module).__name__
        elif name and not blurs and _is_foreign(module):
            inside = Wiring.of(module).graph
            for node in inside.nodes if inside else ():
                if _lowers(node):
                    yield name, f"{type(module).__name__}, {_call(node)},"
                    break
    for node in wiring.graph.nodes if wiring.graph else ():
        if _lowers(node):
            yield node.name, _call(node)


def opaque(wiring: Wiring) -> tuple[Left, ...]:
    """What may lower the resolution unseen: the model, or layers of it, whose functions cannot be read."""
    found = [("", wiring)] if wiring.graph is None else []
    foreign = [(name, module) for name, module in wiring.model.named_modules() if name and _is_foreign(module)]
    found += [(name, inside) for name, module in foreign if (inside := Wiring.of(module)).graph is None]
    return tuple(
        Left(name, type(part.model).__name__, f"{part.why}, so that functions in it may subsample unseen")
        for name, part in found
    )


def whole_model(model: nn.Module) -> tuple[Left, ...]:
    """What is left of a model that is nothing but the layer to be replaced: it has no place of its own."""
    if not isinstance(model, nn.Conv2d | Pool):
        return ()
    return (Left("", described(model), "it is the whole model: put it into a torch.nn.Sequential"),)


def stride_of(pool: Pool) -> tuple[int, int]:
    """Pixels from one output to the next, down and across."""
    return pair(pool.stride) if isinstance(pool, nn.MaxPool2d | nn.AvgPool2d) else (2, 2)


def described(layer: nn.Conv2d | Pool) -> str:
    """In words: "Conv2d(3x3, stride 2)", "MaxPool2d(3x3, stride 2)"."""
    stride = pair(layer.stride) if isinstance(layer, nn.Conv2d) else stride_of(layer)
    side = 1 if isinstance(layer, Subsample) else 2
    kernel = (side, side) if isinstance(layer, MaxPool | AveragePool | Subsample) else pair(layer.kernel_size)
    step = str(stride[0]) if len(set(stride)) == 1 else "x".join(map(str, stride))
    return f"{type(layer).__name__}({kernel[0]}x{kernel[1]}, stride {step})"


def uneven(stride: tuple[int, int]) -> str:
    """Why a layer of this stride is left, or ""."""
    if stride[0] != stride[1]:
        return f"its stride differs between the axes, {stride[0]}x{stride[1]}"
    if stride[0] > LARGEST:
        return f"a stride above {LARGEST}: at every pixel it would run {stride[0] ** 2} times as often"
    return ""


def own_way(layer: nn.Conv2d | Pool) -> str:
    """Why a layer of a kind derived from torch's is left: its settings do not tell what it does. "" for others."""
    for kind in (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d):
        if isinstance(layer, kind) and type(layer).forward is not kind.forward:
            return f"{type(layer).__name__} computes in a way of its own"
    return ""


def by_weight_alone(conv: nn.Conv2d) -> bool:
    """Whether a kind derived from torch's computes its weight, such as one that standardises it, and convolves as
    torch's does.

    Read off its traced forward: all that happens to the map is one convolution with the layer's own settings, and that
    is what the layer puts out. Traced at a stride that no layer has fixed, so that one that does not follow shows.
    """
    stride, conv.stride = conv.stride, _UNHEARD
    try:
        graph = Wiring.of(conv).graph
    finally:
        conv.stride = stride
    calls = [node for node in graph.nodes if node.target is F.conv2d] if graph is not None else []
    if graph is None or len(calls) != 1 or graph.output_node().args != (calls[0],):
        return False
    given = {**_CONVOLUTION, **dict(zip(_CONVOLUTION, calls[0].args, strict=False)), **calls[0].kwargs}
    maps = [node for node in graph.nodes if node.op == "placeholder"]
    alone = [given["input"]] == maps and list(maps[0].users) == calls
    own = {"stride": _UNHEARD, "padding": conv.padding, "dilation": conv.dilation, "groups": conv.groups}
    return alone and all(_both(given[name]) == _both(value) for name, value in own.items())


def _both(value: Any) -> Any:
    """A setting for both axes; what is no number as it is."""
    return pair(value) if isinstance(value, int | tuple | list) else value


def pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _is_foreign(module: nn.Module) -> bool:
    """Whether it is a layer that neither torch nor pliant has made, and that nothing else is said of."""
    known = isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, *_OTHERS)) or normalises(module)
    return (
        not (known or kind_of(module))
        and not any(module.children())
        and not type(module).__module__.startswith(("torch.", "pliant."))
    )


def _steps(module: nn.Module) -> tuple[int, ...]:
    """By how much one of torch's other layers lowers the resolution, or may; none where that is not known."""
    if isinstance(module, nn.PixelUnshuffle):
        return (module.downscale_factor,)
    if isinstance(module, _ADAPTIVE):
        return _numbers(module.output_size)
    return _numbers(getattr(module, "stride", None) or module.kernel_size) if isinstance(module, _OTHERS) else ()


def _call(node: fx.Node) -> str:
    return f"a call of {getattr(node.target, '__name__', node.target)}"


def _lowers(node: fx.Node) -> bool:
    """Whether the call of a function leaves out pixels, or may: a pool or a convolution with a stride, or an index."""
    if node.op != "call_function":
        return False
    if node.target is operator.getitem:
        return _skips(node.args[1])

    def argument(position: int, name: str) -> Any:
        return node.args[position] if len(node.args) > position else node.kwargs.get(name)

    if node.target is F.interpolate:
        scales = argument(2, "scale_factor")
        shrinks = any(
            isinstance(s, int | float) and s < 1 for s in (scales if isinstance(scales, tuple) else (scales,))
        )
        return shrinks or bool(_numbers(argument(1, "size")))
    given = (_numbers(argument(position, name)) for position, name in _STEPS.get(node.target, ()))
    return max(next((steps for steps in given if steps), ()), default=1) > 1


def _numbers(value: Any) -> tuple[int, ...]:
    """A number or several; none where they are not known before the model runs, as of a pool of the map's size."""
    values = [number for number in (value if isinstance(value, tuple | list) else (value,)) if number is not None]
    return tuple(values) if all(isinstance(number, int) for number in values) else ()


def _skips(index: Any) -> bool:
    """Whether an index leaves out rows or columns of a batch: `[:, :, ::2, ::2]`."""
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [place for place, part in enumerate(parts) if part is ...]
    spatial = parts[dots[0] + 1 if dots else 2 :]
    return any(isinstance(part, slice) and isinstance(part.step, int) and part.step > 1 for part in spatial)
