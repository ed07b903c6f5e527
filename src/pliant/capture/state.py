"""A model's state: given back as it was, and the batch-norm protocols of an untrained net."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pliant._checks import InputError, unknown

BatchNorm = Literal["as_is", "untouched", "calibrated"]
BATCH_NORMS = ("as_is", "untouched", "calibrated")


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Within the context the model's modes and buffers may change, and which parameters take gradients; at the end all
    is as it was.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    momenta = [(norm, norm.momentum) for norm in _norms(model)]
    trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for norm, momentum in momenta:
            norm.momentum = momentum
        for parameter, gradient in trained:
            if parameter.requires_grad != gradient:
                parameter.requires_grad_(gradient)
        with torch.no_grad():
            for module, name, buffer, copy in buffers:
                if buffer is not None and copy is not None:
                    buffer.copy_(copy)
                module._buffers[name] = buffer


def batch_norm(model: nn.Module, protocol: BatchNorm, calibration: Tensor | None = None) -> None:
    """Bring the running statistics of all batch-norm layers to `protocol`, in place.

    "as_is" changes nothing. "untouched" sets mean 0 and variance 1, a net that has never seen data. "calibrated"
    takes the statistics of the images `calibration` (n, ...) in one forward pass, in which only the batch-norm
    layers are in training mode. It takes the memory of all images at once: each layer normalises by the whole batch
    before the next one sees it. Call within `kept`. Raises `InputError` for "calibrated" without images.
    """
    if protocol not in BATCH_NORMS:
        raise unknown("batch_norm", protocol, BATCH_NORMS)
    if protocol == "as_is":
        return
    norms = _norms(model)
    for norm in norms:
        norm.reset_running_stats()
    if protocol == "untouched" or not norms:
        return
    if calibration is None or len(calibration) < 2:
        raise InputError(
            'batch_norm="calibrated" needs images to take the statistics from: pass calibration=, 512 images other '
            "than those measured"
        )
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = None  # cumulative: the statistics of this pass alone
    with torch.no_grad():
        model(calibration)
    model.eval()


def has_fresh_batch_norm(model: nn.Module) -> bool:
    """The model has batch norm that has seen no data: all its running means are 0, and its variances 1."""
    held = [(norm.running_mean, norm.running_var) for norm in _norms(model)]
    return bool(held) and all(
        mean is not None and variance is not None and not mean.any() and bool((variance == 1).all())
        for mean, variance in held
    )


def zero_batch_norm(model: nn.Module) -> list[str]:
    """The names of the batch-norm layers whose weights are all zero: they say the same of all images.

    Many residual nets begin so at the end of each branch (Goyal et al. 2017), and their blocks pass on their input.
    """
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.affine and not module.weight.any()
    ]


def _norms(model: nn.Module) -> list[_BatchNorm]:
    """The batch-norm layers that hold running statistics."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
