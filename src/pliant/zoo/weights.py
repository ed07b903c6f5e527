"""Weights from a file of the user's. Nothing is unpickled but tensors."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pliant._checks import InputError, require

_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel's, and torch.compile's
_SHOWN = 3


def load_into(model: nn.Module, path: Path, name: str) -> None:
    """Load the weights of the file into the model, every one of them and no others.

    `.safetensors`, or `.pt`, `.pth`, `.bin`: a state dict, or one under "state_dict" or "model", with or without
    "module." before each name. `name`: what the model is called in errors. Raises `InputError` for a file that cannot
    be read or would run code, and for weights that do not fit: the model is then as it was.
    """
    state = read(path)
    expected = model.state_dict()
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    other = [
        f"{key} {tuple(state[key].shape)} in place of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    faults = [("missing", missing), ("unexpected", unexpected), ("of another shape", other)]
    told = "; ".join(f"{fault}: {_few(keys)}" for fault, keys in faults if keys)
    require(not told, f"{path} does not fit {name}: {told}. Name the model that these weights were saved from")
    model.load_state_dict(state)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of the file by their names, on the CPU."""
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise InputError(f"{path}: not one of {', '.join(_READERS)}; save the weights as safetensors or a state dict")
    require(path.is_file(), f"{path}: no such file; name a file of weights")
    state = _READERS[suffix](path)
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
            break
    if not (isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise InputError(f"{path}: holds no state dict; save it with torch.save(model.state_dict(), ...)")
    tensors = {str(key): value for key, value in state.items()}
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def _safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged, or no safetensors file ({error}); replace it by a whole copy") from error


def _pickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: damaged, or holds more than tensors, and loading that could run any code. Where you trust it, "
            "save the weights alone: torch.save(model.state_dict(), ...), or safetensors.torch.save_file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({_first_line(error)}); replace it by a whole state dict") from error


_READERS: dict[str, Callable[[Path], Any]] = {
    ".safetensors": _safetensors,
    ".pt": _pickled,
    ".pth": _pickled,
    ".bin": _pickled,
}


def _few(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
