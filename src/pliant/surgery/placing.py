"""Where something is put into a model, and how: in the place of a module, or before or behind it."""

from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """Where something is put: `before` or behind the module of that dotted name."""

    module: str
    before: bool

    def __str__(self) -> str:
        return f"{'before' if self.before else 'behind'} {self.module}"


@final
class InTurn(nn.Module):
    """Layers one behind the other. Unlike `nn.Sequential`, it does not run what is attached to it as one more."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """What the last one puts out."""
        for part in self.parts:
            images = part(images)
        return images


def replace_module(model: nn.Module, name: str, *new: nn.Module) -> None:
    """Put `new`, in turn, in the place of the module of that name, wherever and however often the model holds it."""
    old, taking = model.get_submodule(name), InTurn(*new)
    for parent in list(model.modules()):
        for child, module in list(parent._modules.items()):
            if module is old:
                parent._modules[child] = taking


def attach(model: nn.Module, place: Place, name: str, extra: nn.Module, last: bool = False) -> None:
    """Let `extra` run before or behind a module, as its child: all weights keep their names.

    The child has that name, with a number if there is one already. Before a module it runs ahead of what is attached
    there already, unless it is to be the `last`.
    """
    module = model.get_submodule(place.module)
    children = dict(module.named_children())
    name = next(free for free in (name, *(f"{name}{n}" for n in range(2, len(children) + 3))) if free not in children)
    module.add_module(name, extra)
    if place.before:
        module.register_forward_pre_hook(_Before(name), prepend=not last)
    else:
        module.register_forward_hook(_Behind(name))


def attached(module: nn.Module) -> set[str]:
    """The names of the children that `attach` has given to a module."""
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return {hook.name for hook in hooks if isinstance(hook, _Before | _Behind)}


def hooked(module: nn.Module) -> str:
    """Why a module cannot be replaced: what hooks on it do would be lost. "" where there are none."""
    return "hooks stand on it, which would be lost" if module._forward_pre_hooks or module._forward_hooks else ""


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
