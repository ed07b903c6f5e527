"""Calls: what each run of each module puts out, heard by forward hooks that always end."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pliant._checks import InputError, require

INPUT = "input"
OUTPUT = "output"


@dataclass(frozen=True)
class Call:
    """One tensor that one run of a module put out.

    name: the module's dotted name; `name#2` for its second run; `name[key]` for a tensor in a structured output;
    "output" for the model's own.
    module: the dotted name alone. kind: the module's class. shape: without the batch dimension.
    repeats: the earliest call that put out the same numbers; a container often repeats what its last layer said.
    took: the earliest call that put out the numbers which this run took in first; None where no call did, as after a
        sum. took_shape: the shape of those numbers, without the batch dimension.
    leaf: the module has no children. batched: the first dimension is the batch.
    """

    name: str
    module: str
    kind: type[nn.Module]
    shape: tuple[int, ...]
    repeats: str | None
    took: str | None
    took_shape: tuple[int, ...]
    leaf: bool
    batched: bool

    @property
    def fresh(self) -> bool:
        """No earlier call put out the same numbers."""
        return self.repeats is None


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
    said: dict[tuple[Any, ...], str] = {}
    taken: dict[str, list[tuple[str | None, tuple[int, ...]]]] = {}  # a run may start another of the same module
    alive: list[Tensor] = []  # so that no later tensor can take the place of an earlier one in memory
    modules = dict(_named(model))

    def take(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            first = next(_tensors([args, kwargs]), None)
            found = (None, ()) if first is None else (said.get(_numbers(first[1])), tuple(first[1].shape[1:]))
            taken.setdefault(path, []).append(found)

        return hook

    def heard(name: str, path: str, tensor: Tensor) -> None:
        module, numbers = modules[path], _numbers(tensor)
        took, took_shape = taken[path][-1]
        calls.append(
            Call(
                name=name,
                module=path,
                kind=type(module),
                shape=tuple(tensor.shape[1:]),
                repeats=said.get(numbers),
                took=took,
                took_shape=took_shape,
                leaf=next(module.children(), None) is None,
                batched=tensor.ndim > 1 and len(tensor) == len(images),
            )
        )
        said.setdefault(numbers, name)
        alive.append(tensor)

    handles = [module.register_forward_pre_hook(take(path), with_kwargs=True) for path, module in modules.items()]
    try:
        with torch.inference_mode(False), torch.no_grad(), capture(model, heard):
            model(images.clone())  # which the model may write into
    except InputError:
        raise
    except Exception as error:  # whatever the model's own code raises
        message = str(error).strip().partition("\n")[0]
        grey = "; a model of grey images in a file needs one --mean and one --std" if images.shape[1:2] == (3,) else ""
        raise InputError(
            f"the model does not take images of {tuple(images.shape[1:])}, {str(images.dtype)[6:]}: check their "
            f"size, channels and type{grey} ({type(error).__name__}: {message})"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return calls


@contextmanager
def replaced(model: nn.Module, call: Call, become: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the context, which is for one forward pass, the model goes on with `become` of what the call puts out.

    The hook is gone at the end, also after an error. Raises `InputError` for a part of what its module puts out.
    """
    require("[" not in call.name, f"layer {call.name!r} is a part of what its module puts out: choose whole outputs")
    left = int(call.name.partition("#")[2] or 1)

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        nonlocal left
        left -= 1
        return output if left else become(output)

    handle = dict(_named(model))[call.module].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _numbers(tensor: Tensor) -> tuple[int, int, int, int]:
    """The same memory in the same version holds the same numbers."""
    version = 0 if tensor.is_inference() else tensor._version  # inference tensors count no versions
    return tensor.untyped_storage().data_ptr(), int(tensor.storage_offset()), tensor.numel(), version


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
