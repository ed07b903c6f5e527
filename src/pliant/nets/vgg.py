"""The study's VGG-like nets, which differ in their downsampling alone. Ruderman et al. 2018."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require, unknown
from pliant.draws import child
from pliant.nets.downsampling import DOWNSAMPLING, downsampling
from pliant.nets.initialisation import PADDING_MODES, convolution, initialise, linear, seeded
from pliant.nets.pool_skip import PoolSkip

_CIFAR = ((32, 2), (64, 2), (128, 2), (256, 2))
_IMAGENET = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@final
class ConvLayer(nn.Module):
    """A 3x3 convolution that keeps the size (zeros outside), batch norm, ReLU: what the study calls a layer.

    With padding_mode="circular" the map wraps around. The convolution has no bias, which batch norm would take away.
    Its initial weights are the study's truncated normal; they depend on `seed` and the numbers of channels alone.
    """

    def __init__(self, in_channels: int, channels: int, seed: int = 0, padding_mode: str = "zeros") -> None:
        super().__init__()
        self.conv = convolution(in_channels, channels, kernel_size=3, padding=1, seed=seed, padding_mode=padding_mode)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, images: Float[Tensor, "n c_in h w"]) -> Float[Tensor, "n c h w"]:
        """The activations after batch norm and ReLU."""
        return self.relu(self.norm(self.conv(images)))


def cifar_net(
    downsampling: str,
    width: float = 1.0,
    in_channels: int = 3,
    classes: int = 10,
    seed: int = 0,
    padding_mode: str = "zeros",
    pool_skip: int = 0,
) -> nn.Sequential:
    """The net for 32x32 images: blocks of 2x32, 2x64, 2x128 and 2x256 layers. Images from 16x16 on fit, and with
    `pool_skip` those that still hold one of its blocks after three halvings.

    downsampling: "subsample", "max_pool", "average_pool", "strided" or "strided_relu", the study's own, or another of
    `nets.DOWNSAMPLING`; one after each block. "aps" and "lps" need images whose sides 16 divides.
    width: factor on the channels of every layer, rounded, at least one channel remains.
    seed: of the initial weights. Layers of the same name and shape begin with the same weights whatever the
    downsampling and the other options, so that the nets of one seed differ in nothing else.
    padding_mode: what the 3x3 convolutions, and the filters that blur, see outside the map: "zeros" (the latter:
    reflected), or "circular", the map itself.
    pool_skip: pixels a side of the blocks of a `PoolSkip` before each downsampling; 0 for none, as in the study.

    The modules are `block1.layer1`, `block1.layer2`, `block1.down` ... `block4.down`, `pool`, `flatten`, `head`, with
    `pool_skip` also `block1.skip`; a layer's own are `conv`, `norm` and `relu`. The net is new, on the CPU, in training
    mode, and no global generator has been touched. Raises `InputError` for an unknown downsampling or padding mode, or
    sizes that are not positive.
    """
    return _net(_CIFAR, downsampling, width, in_channels, classes, seed, padding_mode, pool_skip)


def imagenet_net(
    downsampling: str,
    width: float = 1.0,
    in_channels: int = 3,
    classes: int = 1000,
    seed: int = 0,
    padding_mode: str = "zeros",
    pool_skip: int = 0,
) -> nn.Sequential:
    """The net for 224x224 images: blocks of 2x64, 2x128, 3x256, 3x512 and 3x512 layers. Images from 32x32 on fit.

    Arguments, names and errors are those of `cifar_net`; "aps" and "lps" need images whose sides 32 divides.
    """
    return _net(_IMAGENET, downsampling, width, in_channels, classes, seed, padding_mode, pool_skip)


def layers_of(net: nn.Module) -> list[str]:
    """What the study counts as the layers of one of these nets: one name for each layer, skip and downsampling."""
    blocks = [(name, block) for name, block in net.named_children() if name.startswith("block")]
    return [f"{name}.{part}" for name, block in blocks for part, _ in block.named_children()]


def _net(
    blocks: Sequence[tuple[int, int]],
    down: str,
    width: float,
    in_channels: int,
    classes: int,
    seed: int,
    padding_mode: str,
    pool_skip: int,
) -> nn.Sequential:
    if down not in DOWNSAMPLING:
        raise unknown("downsampling", down, DOWNSAMPLING)
    if padding_mode not in PADDING_MODES:
        raise unknown("padding_mode", padding_mode, PADDING_MODES)
    require(0 < width < float("inf"), f"width={width}: a factor on the channels, above 0")
    require(in_channels >= 1, f"in_channels={in_channels}: images have at least 1 channel")
    require(classes >= 1, f"classes={classes}: a net tells at least 1 class")
    require(pool_skip >= 0, f"pool_skip={pool_skip}: pixels a side of the blocks, 1 or more, or 0 for none")
    generator = seeded(seed)
    with torch.device("cpu"):
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for position, (base, depth) in enumerate(blocks, start=1):
            channels = max(1, round(width * base))
            block: OrderedDict[str, nn.Module] = OrderedDict()
            for layer in range(1, depth + 1):
                block[f"layer{layer}"] = ConvLayer(in_channels, channels, padding_mode=padding_mode)
                in_channels = channels
            if pool_skip:
                block["skip"] = PoolSkip(channels, pool_skip, padding_mode=padding_mode)
            block["down"] = downsampling(down, channels, child(seed, position), padding_mode)
            stages[f"block{position}"] = nn.Sequential(block)
        stages["pool"] = nn.AdaptiveAvgPool2d(1)
        stages["flatten"] = nn.Flatten()
        stages["head"] = linear(in_channels, classes)
    net = nn.Sequential(stages)
    # The weights that all nets share are drawn first, so that they are the same in all of them; those of skips by
    # themselves, so that they do not depend on the downsampling either.
    weighted = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    weighted.sort(key=lambda named: ".down." in named[0])
    initialise([module for name, module in weighted if ".skip." not in name], generator)
    skips = seeded(child(seed, len(blocks) + 1))
    initialise([module for name, module in weighted if ".skip." in name], skips)
    return net
