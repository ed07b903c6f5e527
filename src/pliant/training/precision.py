"""Which precision is faster where."""

import torch

from pliant._checks import unknown

PRECISIONS = ("auto", "fp32", "bf16")


def resolve(precision: str, device: torch.device) -> str:
    """The precision that is meant, "fp32" or "bf16". Raises `InputError` for an unknown one."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    return faster_precision(device) if precision == "auto" else precision


def faster_precision(device: torch.device) -> str:
    """ "bf16" where the device has it in hardware, so that training in it is faster; else "fp32".

    That is CUDA from Ampere on, and processors with AVX512-BF16 or AMX. Others emulate it, slower than fp32.
    """
    native = {"cuda": _cuda, "cpu": _cpu}.get(device.type, bool)()
    return "bf16" if native else "fp32"


def _cuda() -> bool:
    return torch.cuda.is_bf16_supported(including_emulation=False)


def _cpu() -> bool:
    # Before `get_capabilities` became public, torch knew the first of the two under a name of its own.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    older = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or older())
