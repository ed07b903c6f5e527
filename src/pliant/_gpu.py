"""What GPUs need: numbers sent to them, and kernels that are tried before they are relied on."""

import warnings
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

_CAPABILITY = (7, 0)  # of GPUs that Triton makes kernels for
_KERNELS: dict[tuple[str, torch.device], ModuleType | None] = {}


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on the device, without waiting for the work that a GPU has already.

    What lies in ordinary memory is read before this returns; what lies in pinned memory must stay as it is until the
    GPU has copied it. Not for modules: a recorded step of a training would copy from the same place for ever.
    """
    return tensor.to(device, non_blocking=torch.device(device).type == "cuda")


def kernels(module: str, device: torch.device, work: str) -> ModuleType | None:
    """The module of kernels for a GPU, if its `trial` runs there; else a warning says what `work` is done without."""
    if device.type != "cuda":
        return None
    if (module, device) not in _KERNELS:
        _KERNELS[module, device] = _tried(module, device, work)
    return _KERNELS[module, device]


def _tried(module: str, device: torch.device, work: str) -> ModuleType | None:
    if find_spec("triton") is None or torch.cuda.get_device_capability(device) < _CAPABILITY:
        return None
    found = import_module(module)
    try:
        found.trial(device)
    except Exception as error:  # whatever Triton and its compilers raise
        message = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"{work} on {device} without pliant's kernel, several times slower: it does not run there "
            f"({type(error).__name__}: {message}). Triton needs a C compiler and Python's headers.",
            stacklevel=2,
        )
        return None
    return found
