"""How a model is wired: what follows a convolution, and which of its layers lower the resolution."""

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torchvision.ops import FrozenBatchNorm2d

from pliant.nets import LPS, AveragePool, MaxBlurPool, MaxPool, PoolSkip, StridedBlur, Subsample
from pliant.surgery.outcome import Left

Pool = nn.MaxPool2d | nn.AvgPool2d | MaxPool | AveragePool | Subsample
"""Layers without weights that lower the resolution, and whose place another can take."""

_OTHER_POOLS = (nn.LPPool2d, nn.FractionalMaxPool2d, nn.MaxPool1d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool3d)
_OTHERS = (*_OTHER_POOLS, nn.Conv1d, nn.Conv3d)
_POOLING = {F.max_pool2d, torch.max_pool2d, F.max_pool2d_with_indices, F.avg_pool2d}
_CONVOLVING = {F.conv2d, torch.conv2d}
_NORMS = (_NormBase, FrozenBatchNorm2d, nn.GroupNorm, nn.LayerNorm)
_WHOLE = (LPS, MaxBlurPool, PoolSkip, StridedBlur)
_PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d)
_ACTIVATIONS = {F.relu, torch.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, torch.tanh}
_METHODS = {"relu", "relu_", "tanh"}

LARGEST = 4
"""The largest stride that is moved behind a layer: what that costs grows with its square."""


@dataclass(frozen=True)
class Place:
    """Where something is put: `before` or behind the module of that dotted name."""

    module: str
    before: bool

    def __str__(self) -> str:
        return f"{'before' if self.before else 'behind'} {self.module}"


@dataclass(frozen=True)
class Wiring:
    """The graph of a model's forward pass; `graph` is None, and `why` says so, where it cannot be traced."""

    model: nn.Module
    graph: fx.Graph | None
    why: str = ""

    @classmethod
    def of(cls, model: nn.Module) -> "Wiring":
        """Traced without running the model: no input is needed, and no weight or buffer is touched."""
        try:
            return cls(model, _Tracer().trace(model))
        except Exception as error:  # a forward may do anything with what is no tensor yet
            return cls(model, None, f"its forward cannot be traced ({type(error).__name__})")

    def calls(self) -> Iterator[tuple[str, fx.Node]]:
        """(Dotted name, node) of every call of a module, in the order in which they run."""
        for node in self.graph.nodes if self.graph else ():
            if node.op == "call_module":
                yield str(node.target), node

    def behind_activation(self, name: str) -> Place:
        """Behind the normalisation and the activation that follow a convolution and feed on it alone.

        Where an activation is a function, or a module that runs elsewhere, too: before the one layer that takes what
        it puts out. Where neither can be told, right behind the convolution.
        """
        if self.graph is None:
            return self._behind_in_sequence(name)
        count = Counter(called for called, _ in self.calls())
        nodes = [node for called, node in self.calls() if called == name]
        if len(nodes) != 1:
            return Place(name, before=False)
        node = nodes[0]
        while len(node.users) == 1 and (kind := self._kind(user := next(iter(node.users)))):
            node = user
            if kind == "activation":
                break
        if node.op == "call_module" and count[str(node.target)] == 1:
            return Place(str(node.target), before=False)
        users = list(node.users)
        if len(users) == 1 and users[0].op == "call_module" and users[0].args == (node,) and not users[0].kwargs:
            taker = str(users[0].target)
            return Place(taker, before=True) if count[taker] == 1 else Place(name, before=False)
        return Place(name, before=False)

    def _kind(self, node: fx.Node) -> str:
        """ "activation", "passing" for what changes no positions, or "" for anything else."""
        if node.op == "call_module":
            return kind_of(self.model.get_submodule(str(node.target)))
        if node.op == "call_function":
            return "activation" if node.target in _ACTIVATIONS else "passing" if node.target is F.batch_norm else ""
        return "activation" if node.op == "call_method" and node.target in _METHODS else ""

    def _behind_in_sequence(self, name: str) -> Place:
        """What can be said without a graph: in a sequence one layer follows the other."""
        parent, _, last = name.rpartition(".")
        siblings = list(self.model.get_submodule(parent).named_children())
        place = name
        if isinstance(self.model.get_submodule(parent), nn.Sequential):
            for sibling, module in siblings[[child for child, _ in siblings].index(last) + 1 :]:
                if not (kind := kind_of(module)):
                    break
                place = f"{parent}.{sibling}" if parent else sibling
                if kind == "activation":
                    break
        return Place(place, before=False)


def kind_of(module: nn.Module) -> str:
    """ "activation", "passing" for what changes no positions, or "" for anything else."""
    where = type(module).__module__
    if "activation" in where and not isinstance(module, nn.MultiheadAttention):
        return "activation"
    return "passing" if isinstance(module, (*_NORMS, *_PASSING)) else ""


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
    """(Name, what it is) of all else that lowers the resolution and has no counterpart: it can only be named.

    own: kinds of pliant's own layers that count.
    """
    for name, module in wiring.model.named_modules():
        foreign = isinstance(module, _OTHERS) and _numbers(getattr(module, "stride", None) or module.kernel_size)
        if (foreign and max(foreign) > 1) or (isinstance(module, own) and getattr(module, "stride", 2) > 1):
            yield name, type(module).__name__
    for node in wiring.graph.nodes if wiring.graph else ():
        if _lowers(node):
            yield node.name, f"a call of {getattr(node.target, '__name__', node.target)}"


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


def pair(value: Any) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def replace_module(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put `new` in the place of the module of that name, wherever the model holds it."""
    old = model.get_submodule(name)
    for parent in list(model.modules()):
        for child, module in list(parent.named_children()):
            if module is old:
                parent._modules[child] = new


def attach(model: nn.Module, place: Place, name: str, extra: nn.Module) -> None:
    """Let `extra` run before or behind a module, as its child: all weights keep their names.

    The child has that name, with a number if there is one already.
    """
    module = model.get_submodule(place.module)
    children = dict(module.named_children())
    name = next(free for free in (name, *(f"{name}{n}" for n in range(2, len(children) + 3))) if free not in children)
    module.add_module(name, extra)
    if place.before:
        module.register_forward_pre_hook(_Before(name))
    else:
        module.register_forward_hook(_Behind(name))


@dataclass(frozen=True)
class _Before:
    """Found by name, so that a copied module finds its own."""

    name: str

    def __call__(self, module: nn.Module, taken: tuple[Any, ...]) -> tuple[Any, ...]:
        return (module.get_submodule(self.name)(taken[0]), *taken[1:])


@dataclass(frozen=True)
class _Behind:
    name: str

    def __call__(self, module: nn.Module, taken: tuple[Any, ...], out: Any) -> Any:
        return module.get_submodule(self.name)(out)


def _lowers(node: fx.Node) -> bool:
    """Whether the call of a function leaves out pixels: a pool or a convolution with a stride, or an index."""
    if node.op != "call_function":
        return False
    if node.target is operator.getitem:
        return _skips(node.args[1])
    if node.target not in _POOLING and node.target not in _CONVOLVING:
        return False

    def argument(position: int, name: str) -> tuple[int, ...]:
        return _numbers(node.args[position] if len(node.args) > position else node.kwargs.get(name))

    if node.target in _CONVOLVING:
        return max(argument(3, "stride"), default=1) > 1
    return max(argument(2, "stride") or argument(1, "kernel_size"), default=1) > 1


def _numbers(value: Any) -> tuple[int, ...]:
    """A number or several; none where they are not known before the model runs, as of a pool of the map's size."""
    values = value if isinstance(value, tuple | list) else (value,)
    return tuple(values) if all(isinstance(number, int) for number in values) else ()


def _skips(index: Any) -> bool:
    """Whether an index leaves out rows or columns of a batch: `[:, :, ::2, ::2]`."""
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [place for place, part in enumerate(parts) if part is ...]
    spatial = parts[dots[0] + 1 if dots else 2 :]
    return any(isinstance(part, slice) and isinstance(part.step, int) and part.step > 1 for part in spatial)


class _Tracer(fx.Tracer):
    """Layers that hold no others are not looked into, whoever wrote them; nor are normalisations, nor layers of
    pliant's own that look at their input.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        inner = any(True for _ in m.children()) and not isinstance(m, (*_NORMS, *_WHOLE))
        return not inner or super().is_leaf_module(m, module_qualified_name)
