"""What deforming costs beside the resampling that it needs, and beside other libraries, in one run.

    uv run --group bench python benchmarks/warp.py

The batch is 64 x 3 x 224 x 224 float32. `grid_sample` is torch's F.grid_sample alone on the very grids that pliant
resamples along; `pliant` draws, makes the fields and warps. torchvision's ElasticTransform draws one deformation a
call, so it is called once an image; kornia's thin plate is given one set of points for each image.
"""

import argparse
from collections.abc import Callable
from typing import Any

import kornia
import ledger
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

import pliant

SHAPE = (64, 3, 224, 224)


def grids(field: pliant.Field) -> Tensor:
    """The field as the normalised grid that F.grid_sample takes, corners of pixels at -1 and 1."""
    height, width = field.size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((x, y), dim=-1).to(field.displacement) + field.displacement.permute(0, 2, 3, 1)
    return ((2 * places + 1) / places.new_tensor((width, height)) - 1).contiguous()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)).to(device)
    count, size = SHAPE[0], (SHAPE[2], SHAPE[3])
    deformation = pliant.ThinPlate(grid=5, reach=10.0)
    elastic = v2.ElasticTransform(alpha=50.0, sigma=5.0)
    grid = grids(deformation.sample(range(count), size, device=device))
    points = deformation.parameters(range(count), size, device=device).permute(0, 2, 1) / size[0]

    def with_pliant(dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
        batch = images if dtype == torch.float32 else (images * 255).to(dtype)
        return lambda: pliant.warp(batch, deformation.sample(range(count), size, device=device))

    def with_kornia() -> Tensor:
        y, x = torch.meshgrid(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5), indexing="ij")
        source = torch.stack((x.ravel(), y.ravel()), dim=-1).to(device).expand(count, -1, -1)
        kernel, affine = kornia.geometry.transform.get_tps_transform(source + points, source)
        return kornia.geometry.transform.warp_image_tps(images, source + points, kernel, affine)

    seconds = ledger.interleaved(
        {
            "grid_sample": lambda: F.grid_sample(images, grid, align_corners=False),
            "pliant": with_pliant(),
            "pliant_uint8": with_pliant(torch.uint8),
        },
        arguments.repeats,
    )
    others = ledger.interleaved(
        {
            "torchvision_elastic_per_image": lambda: [elastic(image) for image in images],
            "kornia_thin_plate": with_kornia,
        },
        repeats=2,
    )
    seconds |= others
    results = {
        "shape": SHAPE,
        "milliseconds": {name: 1e3 * value for name, value in seconds.items()},
        "ratio_to_grid_sample": {name: value / seconds["grid_sample"] for name, value in seconds.items()},
    }
    ledger.write("warp", results, arguments.out)


if __name__ == "__main__":
    main()
