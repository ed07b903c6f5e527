"""What deforming costs beside the resampling that it needs, and beside other libraries, in one run.

    uv run --group bench python benchmarks/warp.py

Every family draws, makes its fields and warps; `grid_sample` is torch's F.grid_sample alone on the grids of one of
them. Memory that is freed is kept, so that no run pays for pages that another gave back. Other libraries get the same
images in the form that they take, on as many threads, one call an image where they draw one deformation a call;
`--ours` leaves them out, for machines that lack them. Writes docs/speed.md, too.

On a GPU there is a larger batch, and the bandwidth of warping beside that of copying the images: both read them once
and write as many.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import ledger
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

import pliant

SHAPES = ((64, 3, 224, 224), (2048, 3, 32, 32))
LARGE = (256, 3, 224, 224)  # on a GPU
RUNS = 9
SHARE = 16  # the slow ones get one image in so many; their times are scaled
DOCS = Path(__file__).parents[1] / "docs" / "speed.md"
FAMILIES: dict[str, pliant.Deformation] = {
    "ThinPlate": pliant.ThinPlate(5, "4.5%"),
    "ThinPlate of grid 3": pliant.ThinPlate(3, "4.5%"),
    "MaxEntropy": pliant.MaxEntropy(3, "2%"),
    "Translate": pliant.Translate("4%"),
    "Rotate": pliant.Rotate("4%"),
    "Scale": pliant.Scale("4%"),
    "Shear": pliant.Shear("4%"),
    "Affine": pliant.Affine((-10, 10), ("-4%", "4%"), ("-4%", "4%"), (0.9, 1.1), (-5, 5)),
    "Pose": pliant.Pose("4%", "40%"),
    "Circular": pliant.Circular("50%"),
    "Elastic": pliant.Elastic("22%", "3.2%"),
    "Sequence of two": pliant.Sequence((pliant.ThinPlate(5, "4.5%"), pliant.Rotate("4%"))),
}


def grids(field: pliant.Field) -> Tensor:
    """The field as the normalised grid that F.grid_sample takes, corners of pixels at -1 and 1."""
    height, width = field.size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((x, y), dim=-1).to(field.displacement) + field.displacement.permute(0, 2, 3, 1)
    return ((2 * places + 1) / places.new_tensor((width, height)) - 1).contiguous()


def ours(images: Tensor) -> dict[str, Callable[[], Any]]:
    """Draw, field and warp of the whole batch by each family; one of them with uint8 and bf16 images, too."""
    size = (images.shape[2], images.shape[3])

    def run(member: pliant.Deformation, batch: Tensor) -> Callable[[], Any]:
        return lambda: pliant.warp(batch, member.sample(range(len(batch)), size, device=batch.device))

    plate = FAMILIES["ThinPlate"]
    return {
        **{name: run(member, images) for name, member in FAMILIES.items()},
        "ThinPlate, uint8": run(plate, (images * 255).to(torch.uint8)),
        "ThinPlate, bf16": run(plate, images.to(torch.bfloat16)),
    }


def theirs(images: Tensor) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Other libraries: how many images they get, and the call."""
    import kornia

    width = images.shape[3]
    count = len(images) // SHARE
    few, alpha, sigma = images[:count], 0.22 * width, 0.032 * width
    elastic = v2.ElasticTransform(2 * alpha, sigma)
    kernel = 2 * round(4 * sigma) + 1
    kornia_plate = kornia.augmentation.RandomThinPlateSpline(0.1, p=1.0)
    kornia_elastic = kornia.augmentation.RandomElasticTransform(
        (kernel, kernel), (sigma, sigma), (2 * alpha / width, 2 * alpha / width), p=1.0
    )
    runs: dict[str, tuple[int, Callable[[], Any]]] = {
        "torchvision ElasticTransform": (count, lambda: [elastic(image) for image in few]),
        "kornia RandomThinPlateSpline": (count, lambda: kornia_plate(few)),
        "kornia RandomElasticTransform": (count, lambda: kornia_elastic(few)),
    }
    if images.device.type != "cpu":
        return runs
    import albumentations
    import cv2
    from monai.transforms.spatial.array import Rand2DElastic
    from skimage.transform import ThinPlateSplineTransform
    from skimage.transform import warp as skimage_warp

    cv2.setNumThreads(torch.get_num_threads())
    arrays = [image.permute(1, 2, 0).contiguous().numpy() for image in few]
    album_plate = albumentations.ThinPlateSpline(num_control_points=5, p=1.0)
    album_elastic = albumentations.ElasticTransform(alpha, sigma, noise_distribution="uniform", p=1.0)
    monai_elastic = Rand2DElastic((width / 5, width / 5), (1, 2), prob=1.0)
    ends = np.linspace(0, width - 1, 5)
    points = np.stack(np.meshgrid(ends, ends), -1).reshape(-1, 2)

    def with_skimage() -> None:
        for array in arrays:
            spline = ThinPlateSplineTransform()
            spline.estimate(points, points + np.random.default_rng().uniform(-10, 10, points.shape))
            skimage_warp(array, spline, order=1)

    return runs | {
        "albumentations ThinPlateSpline": (count, lambda: [album_plate(image=array) for array in arrays]),
        "albumentations ElasticTransform": (count, lambda: [album_elastic(image=array) for array in arrays]),
        "MONAI Rand2DElastic": (count, lambda: [monai_elastic(image) for image in few]),
        "scikit-image ThinPlateSplineTransform + warp": (count, with_skimage),
    }


def measured(shape: tuple[int, int, int, int], repeats: int, others: bool) -> dict[str, Any]:
    """Milliseconds of everything on one batch, and ratios to F.grid_sample, ours with the least and the largest of some
    runs, for the pace of a machine changes; on a GPU also to the time of a copy.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    grid = grids(FAMILIES["ThinPlate"].sample(range(len(images)), (shape[2], shape[3]), device=device))
    alone: Callable[[], Any] = lambda: F.grid_sample(images, grid, align_corners=False)  # noqa: E731
    rounds = [ledger.interleaved({"grid_sample": alone, **ours(images)}, repeats) for _ in range(RUNS)]
    ratios = {name: [each[name] / each["grid_sample"] for each in rounds] for name in rounds[0]}
    seconds = {name: median(each[name] for each in rounds) for name in rounds[0]}
    if others:
        runs = theirs(images)
        slow = ledger.interleaved({name: run for name, (_, run) in runs.items()}, 2)
        seconds |= {name: value * len(images) / runs[name][0] for name, value in slow.items()}
    return {
        **(copying(images, repeats) if device == "cuda" else {}),
        "shape": shape,
        "milliseconds": {name: 1e3 * value for name, value in seconds.items()},
        "ratio_to_grid_sample": {name: value / seconds["grid_sample"] for name, value in seconds.items()}
        | {name: median(found) for name, found in ratios.items()},
        "least_and_largest_ratio": {name: (min(found), max(found)) for name, found in ratios.items()},
    }


def copying(images: Tensor, repeats: int) -> dict[str, Any]:
    """The share of the bandwidth of a copy that warping along drawn fields reaches, by family and type of images."""
    size = (images.shape[2], images.shape[3])
    runs: dict[str, Callable[[], Any]] = {}
    for dtype in (torch.float32, torch.bfloat16, torch.uint8):
        batch = (255 * images).to(dtype)
        runs[f"copy {dtype}"] = batch.clone
        for name in ("ThinPlate", "ThinPlate of grid 3", "MaxEntropy", "Affine", "Pose"):
            field = FAMILIES[name].sample(range(len(batch)), size, device=batch.device)
            runs[f"{name} {dtype}"] = lambda batch=batch, field=field: pliant.warp(batch, field)
    seconds = {name: _in_a_row(run) for name, run in runs.items()}
    alone = ledger.interleaved(runs, repeats, warmup=0)
    return {
        "share_of_copy_bandwidth": {
            name: seconds[f"copy {name.split()[-1]}"] / value for name, value in seconds.items()
        },
        "milliseconds_in_a_row": {name: 1e3 * value for name, value in seconds.items()},
        "milliseconds_alone": {name: 1e3 * value for name, value in alone.items()},
    }


def _in_a_row(run: Callable[[], Any], count: int = 50) -> float:
    """Seconds of a call on a GPU that always has the next one waiting, so that starting it costs nothing."""
    run()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(count):
        run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / count


def page(records: list[dict[str, Any]]) -> str:
    """The page as Markdown: a section for each machine."""
    lines = [
        "# Speed of deformations",
        "",
        "Made by `uv run --group bench python benchmarks/warp.py`: draw, field and warp of a batch, in times of "
        "`F.grid_sample` alone on the same images and as many grids, in one process; fp32 unless said otherwise. "
        "Where a range stands, several runs lay between its ends, and their median is before it. "
        f"Other libraries were given one image in {SHARE}, and their times scaled.",
        "",
    ]
    return "\n".join([*lines, *(line for record in records for line in section(record))])


def section(record: dict[str, Any]) -> list[str]:
    """The ratios of one machine, and what share of a copy's bandwidth its kernel reaches."""
    machine, results = record["machine"], record["results"]["batches"]
    on_gpu = machine["device"] != "cpu"
    place = machine["device"] if on_gpu else f"{machine['processor']}, {machine['threads']} threads"
    heads = [" x ".join(map(str, result["shape"])) for result in results]
    lines = [f"## {place}, torch {machine['versions']['torch']}", ""]
    lines += [record["note"], ""] if "note" in record else []
    lines += [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name in results[0]["ratio_to_grid_sample"]:
        ratios = " | ".join(_with_range(result, name) for result in results)
        label = name if name in ("grid_sample",) or name in theirs_names(results) else f"pliant `{name}`"
        lines.append(f"| {label} | {ratios} |")
    times = ", ".join(f"{result['milliseconds']['grid_sample']:.1f} ms" for result in results)
    kept = record["results"].get("freed_memory_is_kept", False) and not on_gpu
    memory = " Memory that is freed is kept, so that no run pays for pages that another gave back." if kept else ""
    lines += ["", f"`grid_sample` itself takes {times}.{memory}", ""]
    if on_gpu:
        shares = results[-1]["share_of_copy_bandwidth"]
        kinds = [name.removeprefix("copy ") for name in shares if name.startswith("copy ")]
        families = list(dict.fromkeys(name.rpartition(" ")[0] for name in shares if not name.startswith("copy ")))
        lines += [
            "What is above it is mostly the host's time: drawing on the CPU, and starting kernels. Warping alone, by "
            f"fields that are there, calls in a row, {heads[-1]}: the share of the bandwidth of copying the images.",
            "",
            f"| | {' | '.join(kind.removeprefix('torch.') for kind in kinds)} |",
            f"|---|{'---:|' * len(kinds)}",
        ]
        for family in families:
            row = " | ".join(f"{shares[f'{family} {kind}']:.2f}" for kind in kinds)
            lines.append(f"| pliant `{family}` | {row} |")
        lines.append("")
    return lines


def _with_range(result: dict[str, Any], name: str) -> str:
    """The ratio, and between what it lay in several runs."""
    ratio = f"{result['ratio_to_grid_sample'][name]:.2f}"
    low, high = result.get("least_and_largest_ratio", {}).get(name, (1.0, 1.0))
    return ratio if low == high else f"{ratio} ({low:.2f} to {high:.2f})"


def theirs_names(results: list[dict[str, Any]]) -> set[str]:
    """Names of other libraries' runs: they begin with a library."""
    known = ("torchvision", "kornia", "albumentations", "MONAI", "scikit-image")
    return {name for name in results[0]["ratio_to_grid_sample"] if name.startswith(known)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out")
    parser.add_argument("--ours", action="store_true", help="leave the other libraries out, and docs/speed.md as it is")
    arguments = parser.parse_args()
    kept = ledger.keep_memory()
    shapes = (*SHAPES, LARGE) if torch.cuda.is_available() else SHAPES
    results = [measured(shape, arguments.repeats, not arguments.ours) for shape in shapes]
    path = ledger.write("warp", {"freed_memory_is_kept": kept, "batches": results}, arguments.out)
    if not arguments.ours and not arguments.out:
        DOCS.write_text(page([json.loads(each.read_text()) for each in sorted(path.parent.glob("warp-*.json"))]))
    print(page([json.loads(path.read_text())]))


if __name__ == "__main__":
    main()
