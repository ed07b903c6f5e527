"""Calls: what each run of each module puts out, heard by forward hooks that always end."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pliant._checks import InputError

INPUT = "input"
OUTPUT = "output"


@dataclass(frozen=True)
class Call:
    """One tensor that one run of a module put out.

    name: the module's dotted name; `name#2` for its second run; `name[key]` for a tensor in a structured output;
    "output" for the model's own.
    module: the dotted name alone. kind: the module's class. shape: without the batch dimension.
    fresh: no earlier call put out the same numbers; a container often repeats what its last layer said.
    leaf: the module has no children. batched: the first dimension is the batch.
    """

    name: str
    module: str
    kind: type[nn.Module]
    shape: tuple[int, ...]
    fresh: bool
    leaf: bool
    batched: bool


Heard = Callable[[str, str, Tensor], None]


@contextmanager
def capture(model: nn.Module, heard: Heard, names: Collection[str] | None = None) -> Iterator[None]:
    """Within the context, call `heard(name, module, activation)` for each call among `names`; for all if None.

    `heard` runs inside the forward hook, before a later operation can overwrite the activation in place; what it
    wants to keep it must copy. The hooks are gone at the end, also after an error.
    """
    runs: dict[str, int] = {}
    wanted = None if names is None else {name.partition("[")[0].partition("#")[0] for name in names}

    def begin(module: nn.Module, args: Any) -> None:
        runs.clear()

    def listen(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            runs[path] = run = runs.get(path, 0) + 1
            for key, tensor in _tensors(output):
                name = f"{path}#{run}{key}" if run > 1 else f"{path}{key}"
                if names is None or name in names:
                    heard(name, path, tensor)

        return hook

    handles = [model.register_forward_pre_hook(begin)]
    try:
        for path, module in _named(model):
            if wanted is None or path in wanted:
                handles.append(module.register_forward_hook(listen(path)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def trace(model: nn.Module, images: Tensor) -> list[Call]:
    """All calls of one forward pass of `images` (n, ...), in the order in which they end.

    Raises `InputError` where the model does not take the images.
    """
    calls: list[Call] = []
    seen: dict[tuple[Any, ...], Tensor] = {}
    modules = dict(_named(model))

    def heard(name: str, path: str, tensor: Tensor) -> None:
        module = modules[path]
        # The same memory in the same version holds the same numbers. The tensor is kept so that no later one can
        # take its place in memory.
        version = 0 if tensor.is_inference() else tensor._version  # inference tensors count no versions
        numbers = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.numel(), version)
        calls.append(
            Call(
                name=name,
                module=path,
                kind=type(module),
                shape=tuple(tensor.shape[1:]),
                fresh=numbers not in seen,
                leaf=next(module.children(), None) is None,
                batched=tensor.ndim > 1 and len(tensor) == len(images),
            )
        )
        seen[numbers] = tensor

    with torch.inference_mode(False), torch.no_grad(), capture(model, heard):
        try:
            model(images)
        except InputError:
            raise
        except Exception as error:  # whatever the model's own code raises
            said = str(error).strip().partition("\n")[0]
            raise InputError(
                f"the model does not take images of {tuple(images.shape[1:])}, {str(images.dtype)[6:]}: check their "
                f"size, channels and type ({type(error).__name__}: {said})"
            ) from error
    return calls


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules with their dotted names; the model itself is "output", a child of a reserved name gets a prefix."""
    for path, module in model.named_modules():
        if path in (INPUT, OUTPUT):
            path = f"model.{path}"
        yield path or OUTPUT, module


def _tensors(output: Any, key: str = "") -> Iterator[tuple[str, Tensor]]:
    """The floating-point tensors in a module's output, each with the key that tells it from the others."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield key, output
    elif isinstance(output, Mapping):
        for name, value in output.items():
            yield from _tensors(value, f"{key}[{name}]")
    elif isinstance(output, list | tuple):
        for position, value in enumerate(output):
            yield from _tensors(value, f"{key}[{position}]")
