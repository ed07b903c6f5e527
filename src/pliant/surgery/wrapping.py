"""Layers that see the map wrapped around its border, so that a circular shift of the input is one of the output."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from pliant.nets import AveragePool, MaxPool, Subsample
from pliant.nets.blur_pool import padded
from pliant.surgery.subsampling import Pool, own_way, pair, stride_of, uneven

Margins = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below, columns left and right."""

SIZE = "the size of its output is not that of its input over the stride"


@final
class Wrap(nn.Module):
    """The map with so many `rows` (above, below) and `columns` (left, right) more, from its other side."""

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """Also where the map is smaller than the margins."""
        return padded(images, self.rows, self.columns, "circular")

    def extra_repr(self) -> str:
        """Shown where a model is printed."""
        return f"rows={self.rows}, columns={self.columns}"


def margins_of(layer: nn.Conv2d | Pool) -> tuple[Margins, str]:
    """What has to stand around the map for an output at every pixel, aligned as it is; or why that cannot be."""
    if isinstance(layer, Subsample):
        return ((0, 0), (0, 0)), ""
    if isinstance(layer, MaxPool | AveragePool):
        return ((0, 1), (0, 1)), ""
    if why := own_way(layer):
        return ((0, 0), (0, 0)), why
    if isinstance(layer, nn.MaxPool2d) and layer.return_indices:
        return ((0, 0), (0, 0)), "it puts out indices, too"
    strides = pair(layer.stride) if isinstance(layer, nn.Conv2d) else stride_of(layer)
    if why := uneven(strides):
        return ((0, 0), (0, 0)), why
    if layer.padding == "same":
        paddings = tuple(d * (k - 1) // 2 for k, d in zip(pair(layer.kernel_size), _dilation(layer), strict=True))
    else:
        paddings = (0, 0) if layer.padding == "valid" else pair(layer.padding)
    found = []
    for kernel, dilation, padding in zip(pair(layer.kernel_size), _dilation(layer), paddings, strict=True):
        reach = dilation * (kernel - 1)
        # With n pixels, which the stride divides, there are floor((n + 2 padding - reach - 1) / stride) + 1 outputs.
        spare = 2 * padding - reach - 1
        outputs = -(-spare // strides[0]) if getattr(layer, "ceil_mode", False) else spare // strides[0]
        if outputs != -1:
            return ((0, 0), (0, 0)), SIZE
        found.append((padding, reach - padding))
    return (found[0], found[1]), ""


def _dilation(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> tuple[int, int]:
    return pair(getattr(layer, "dilation", 1))
