"""What `pliant.training.train` costs beside a loop written by hand that does nothing but train.

    uv run --no-sync python benchmarks/train.py

One epoch of synthetic 32x32 images through the study's CIFAR-10 net in half width: the same net, batches, optimiser,
precision and memory format on both sides. `bare` counts no hits, shows no progress, and shuffles beforehand.
The ratio is the median over turns, with a 95% interval. `null_ratio`, of the bare loop to itself, shows what the
machine's noise alone makes of it: where its interval is wide, the machine was too busy to tell.
"""

import argparse
from statistics import median

import ledger
import torch
import torch.nn.functional as F
from scipy.stats import binom
from torch import Tensor, nn

from pliant.nets import DOWNSAMPLING, cifar_net
from pliant.plan import Training
from pliant.training import Progress, faster_precision, train
from pliant.training.loop import rate


def bare(net: nn.Module, images: Tensor, labels: Tensor, order: Tensor, plan: Training, bf16: bool) -> None:
    """The loop by hand."""
    optimiser = torch.optim.SGD(net.parameters(), momentum=plan.momentum, nesterov=True, weight_decay=plan.weight_decay)
    steps = len(images) // plan.batch_size
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate(plan, step, steps)
        indices = order[step * plan.batch_size : (step + 1) * plan.batch_size]
        batch = images[indices].contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(net(batch), labels[indices])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def ratio(turns: list[dict[str, float]], over: str) -> dict[str, float]:
    """Median over the turns of `over`'s time to that of bare, and the order statistics that hold it at 95%."""
    ratios = sorted(turn[over] / turn["bare"] for turn in turns)
    outside = max(int(binom.ppf(0.025, len(ratios), 0.5)) - 1, 0)
    return {"estimate": median(ratios), "low": ratios[outside], "high": ratios[-1 - outside]}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--downsampling", choices=DOWNSAMPLING, default="max_pool")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = faster_precision(device)
    plan = Training(epochs=1, batch_size=arguments.batch, peak_rate=0.01, precision=precision)

    generator = torch.Generator().manual_seed(0)
    count = arguments.batch * arguments.steps
    images = torch.randn(count, 3, 32, 32, generator=generator).to(device)
    labels = torch.randint(10, (count,), generator=generator).to(device)
    order = torch.randperm(count, generator=generator).to(device)
    ours, theirs, again = (cifar_net(arguments.downsampling, arguments.width).to(device) for _ in range(3))
    for net in (theirs, again):
        net.to(memory_format=torch.channels_last)
    told: list[Progress] = []
    runs = {
        "bare": lambda: bare(theirs, images, labels, order, plan, precision == "bf16"),
        "pliant": lambda: train(ours, images, labels, plan, on_progress=told.append),
        "bare_again": lambda: bare(again, images, labels, order, plan, precision == "bf16"),
    }
    ledger.interleaved(runs, repeats=1, warmup=0)  # warms up
    turns = [ledger.interleaved(runs, repeats=1, warmup=0) for _ in range(arguments.repeats)]
    seconds = {name: median(turn[name] for turn in turns) for name in runs}
    results = {
        "net": f"cifar_net({arguments.downsampling!r}, width={arguments.width})",
        "precision": precision,
        "batch": arguments.batch,
        "steps": arguments.steps,
        "repeats": arguments.repeats,
        "seconds": seconds,
        "images_per_second": {name: count / value for name, value in seconds.items()},
        "time_ratio": ratio(turns, "pliant"),
        "null_ratio": ratio(turns, "bare_again"),
    }
    ledger.write("train", results, arguments.out)


if __name__ == "__main__":
    main()
