"""What measuring costs beside the forward passes that it needs: time and peak memory, and how both grow.

    uv run --no-sync python benchmarks/measure.py

timm's resnet50, untrained, 224 x 224, every convolution layer. `bare` runs the same 2N images through the model in
the same batches and does nothing else.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ledger
import timm
import torch
from torch import Tensor, nn

import pliant

SIZE, BLOCK = 224, 128


def images(count: int, device: str) -> Iterator[Tensor]:
    """Smooth random images in batches of 32, made when they are asked for: they take no memory of their own."""
    for start in range(0, count, 32):
        generator = torch.Generator().manual_seed(start)
        coarse = torch.rand(min(32, count - start), 3, 14, 14, generator=generator).to(device)
        yield nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")


def bare(model: nn.Module, count: int, device: str) -> None:
    """The forward passes alone: 2 * 128 images at a time."""
    batches = list(images(BLOCK, device))
    for _ in range(count // BLOCK):
        with torch.no_grad():
            model(torch.cat(batches + batches))


def measured(model: nn.Module, count: int, device: str) -> None:
    """The measurement of `count` images."""
    deformation = pliant.ThinPlate(grid=5, reach=10.0)
    pliant.measure(model, images(count, device), deformation, layers="convs", padding="border")


def three(model: nn.Module, count: int, device: str) -> None:
    """Three metrics of `count` images in one pass, one of which needs noisy images."""
    deformation = pliant.ThinPlate(grid=5, reach=10.0)
    metrics = ("cosine", "relative_stability", "equivariance")
    pliant.measure_each(model, images(count, device), deformation, "convs", metrics, padding="border")


RUNS = {"bare": bare, "measured": measured, "three": three}


def peak(run: str, count: int) -> dict[str, float]:
    """Seconds, and MiB of peak memory above what stood before, in a process of its own."""
    command = [sys.executable, __file__, "--child", run, "--images", str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(run: str, count: int, device: str) -> None:
    """One run in this process, warmed up by one block; prints what `peak` reads."""
    model = timm.create_model("resnet50").eval().to(device)
    before = _memory(device)
    RUNS[run](model, min(count, BLOCK), device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = ledger.interleaved({run: lambda: RUNS[run](model, count, device)}, repeats=1, warmup=0)[run]
    print(json.dumps({"seconds": seconds, "peak_mib": _memory(device) - before}))


def _memory(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not ru_maxrss: a process inherits that of the one that started it.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", choices=RUNS)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-growth", action="store_true", help="leave out the run with 8 times the images")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if arguments.child:
        return child(arguments.child, arguments.images, device)
    count = arguments.images
    model = timm.create_model("resnet50").eval().to(device)
    runs = {name: lambda run=run: run(model, count, device) for name, run in RUNS.items()}
    seconds = ledger.interleaved(runs, arguments.repeats)
    memory = {name: peak(name, count)["peak_mib"] for name in RUNS}
    results = {
        "model": "resnet50, convs",
        "images": count,
        "seconds": seconds,
        "time_ratio": seconds["measured"] / seconds["bare"],
        "three_metrics_ratio": seconds["three"] / seconds["measured"],
        "peak_mib": memory,
        "memory_ratio": memory["measured"] / memory["bare"],
    }
    if not arguments.no_growth:
        eightfold = peak("measured", 8 * count)
        results["eight_times_the_images"] = {
            "time_ratio": eightfold["seconds"] / seconds["measured"],
            "memory_ratio": eightfold["peak_mib"] / memory["measured"],
        }
    ledger.write("measure", results, arguments.out)


if __name__ == "__main__":
    main()
