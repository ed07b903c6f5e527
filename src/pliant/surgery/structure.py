"""How a model is wired: what follows a convolution."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase

from pliant.nets import LPS, MaxBlurPool, PoolSkip, StridedBlur
from pliant.surgery.placing import Place, attached

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)
_WHOLE = (LPS, MaxBlurPool, PoolSkip, StridedBlur)
_PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d)
_ACTIVATIONS = {F.relu, torch.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, torch.tanh}
_METHODS = {"relu", "relu_", "tanh"}
_ACTIVATION_MODULES = {"torch.nn.modules.activation", "timm.layers.activations", "timm.layers.activations_me"}


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

    def run_order(self) -> dict[str, int]:
        """When each module runs, by name; of those that run more than once the last time."""
        return {name: number for number, (name, _) in enumerate(self.calls())}

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
        """What can be said without a graph: in a sequence one layer follows the other. A layer that the model holds
        more than once may run elsewhere, too.
        """
        held = Counter(id(child) for parent in self.model.modules() for child in parent._modules.values())
        parent, _, last = name.rpartition(".")
        siblings = list(self.model.get_submodule(parent)._modules.items())
        place = name
        if isinstance(self.model.get_submodule(parent), nn.Sequential):
            for sibling, module in siblings[[child for child, _ in siblings].index(last) :]:
                if module is None or held[id(module)] > 1:
                    break
                if sibling == last:
                    continue
                if not (kind := kind_of(module)):
                    break
                place = f"{parent}.{sibling}" if parent else sibling
                if kind == "activation":
                    break
        return Place(place, before=False)


def kind_of(module: nn.Module) -> str:
    """ "activation", "passing" for what changes no positions, or "" for anything else."""
    if type(module).__module__ in _ACTIVATION_MODULES and not isinstance(module, nn.MultiheadAttention):
        return "activation"
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
        return ""  # it holds a weight for every position
    return "passing" if normalises(module) or isinstance(module, _PASSING) else ""


def normalises(module: nn.Module) -> bool:
    """Whether it is a normalisation. torchvision's frozen batch norm is one: whoever has it has loaded torchvision,
    which for all others would take longer than torch itself.
    """
    vision = sys.modules.get("torchvision.ops.misc")
    return isinstance(module, _NORMS if vision is None else (*_NORMS, vision.FrozenBatchNorm2d))


class _Tracer(fx.Tracer):
    """Layers that hold no others are not looked into, whoever wrote them; nor are normalisations, nor layers of
    pliant's own that look at their input. What is attached to a layer does not count.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = m._modules.keys() - attached(m)
        inner = bool(own) and not (normalises(m) or isinstance(m, _WHOLE))
        return not inner or super().is_leaf_module(m, module_qualified_name)
