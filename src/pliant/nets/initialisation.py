"""The initial weights of the study: a truncated normal whose numbers are a pure function of a seed."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from pliant._checks import require, unknown

CUT = 2.0
"""Where the normal is cut, in standard deviations of the normal before cutting."""

PADDING_MODES = ("zeros", "circular")
"""What stands outside the map of a convolution."""

_MASS = math.erf(CUT / math.sqrt(2))  # the share of a normal within the cut


def seeded(seed: int) -> torch.Generator:
    """A generator of its own for initial weights. Raises `InputError` for a seed outside [0, 2^64)."""
    require(0 <= seed < 1 << 64, f"seed={seed}: a seed is an integer from 0 to 2^64 - 1")
    return torch.Generator().manual_seed(seed)


def initialise(layers: Iterable[nn.Conv2d | nn.Linear], generator: torch.Generator) -> None:
    """Draw the weights of the layers in place, in their order, and set their biases to 0.

    Normal of mean 0 and standard deviation 1/sqrt(n_in), cut at +-2 standard deviations; n_in is the number of
    weights that feed one output: input channels * kernel height * kernel width. Ruderman et al. 2018. The generator
    is one of the CPU; layers may lie elsewhere.

    Drawn through the inverse of the distribution, not by `torch.nn.init.trunc_normal_`: that one cuts at +-2 rather
    than at two standard deviations, and its numbers for one generator differ between releases of torch.
    """
    with torch.no_grad():
        for layer in layers:
            inputs = layer.weight[0].numel()
            uniform = torch.rand(layer.weight.shape, dtype=torch.float64, generator=generator, device="cpu")
            normal = math.sqrt(2) * torch.erfinv((2 * uniform - 1) * _MASS)
            layer.weight.copy_(normal / math.sqrt(inputs))
            if layer.bias is not None:
                layer.bias.zero_()


def convolution(
    in_channels: int,
    channels: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    seed: int = 0,
    padding_mode: str = "zeros",
) -> nn.Conv2d:
    """A convolution without bias, with initial weights that depend on `seed` and its shape alone.

    padding_mode: "zeros" or "circular"; another raises `InputError`.
    """
    if padding_mode not in PADDING_MODES:
        raise unknown("padding_mode", padding_mode, PADDING_MODES)
    # The layer's own initialisation draws from the global generator, which must come out as it was.
    with torch.random.fork_rng(devices=[]):
        conv = nn.Conv2d(
            in_channels, channels, kernel_size, stride, padding, bias=False, padding_mode=padding_mode, device="cpu"
        )
    initialise([conv], seeded(seed))
    return conv


def linear(inputs: int, outputs: int, seed: int = 0) -> nn.Linear:
    """A linear layer with biases 0 and initial weights that depend on `seed` and its shape alone."""
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(inputs, outputs, device="cpu")
    initialise([layer], seeded(seed))
    return layer
