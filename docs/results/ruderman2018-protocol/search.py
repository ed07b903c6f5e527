"""Which reading of the paper comes nearest to its untrained nets? Figures 2a, 2c and 5a under each defensible one.

    uv run python docs/results/ruderman2018-protocol/search.py --data cifar10

The paper leaves open where in the block a layer is heard, how batch norm runs in an untrained net, the initial biases,
the preprocessing and what stands outside of an image. Every combination is measured for each of the figures, but for
standardising by the data set where there is none. Writes
tables.md, search.csv (2c) and photographs.csv (2a and 5a) beside this file.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pliant.data import examples
from pliant.deform import ThinPlate
from pliant.measurement import measure
from pliant.nets import cifar_net, imagenet_net, smooth_filters
from pliant.paper.published import curve
from pliant.plan import DOWNSAMPLING, Task

HEARD = {"after ReLU": "relu", "after batch norm": "norm", "raw convolution": "conv"}
NORMS = ("untouched", "calibrated")
BIASES = ("zero", "uniform")
PREPROCESSING = ("image", "dataset", "unit")
PADDINGS = ("zeros", "border", "reflection")
KEYS = ["heard", "batch_norm", "biases", "preprocessing", "padding"]
REFERENCE = ("after ReLU", "calibrated", "zero", "image", "zeros")


def biased(net, how, seed):
    """Initial biases: zero as the study's initialisation has them, or torch's own, uniform within 1/sqrt(n_in)."""
    if how == "uniform":
        generator = torch.Generator().manual_seed(seed)
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d):
                bound = module.weight[0].numel() ** -0.5
                drawn = (2 * torch.rand(module.out_channels, generator=generator) - 1) * bound
                module.bias = torch.nn.Parameter(drawn)
    return net


def curves(net, images, norm, padding, plate):
    """Sensitivity by layer for each place where a layer may be heard, all from one pass."""
    names = [
        f"{name}.{part}"
        for name, module in net.named_modules()
        if hasattr(module, "relu") and not name.endswith(".down")
        for part in HEARD.values()
    ]
    downs = [name for name, _ in net.named_modules() if name.endswith(".down")]
    count = min(256, len(images.test))
    profile = measure(
        net, images.test[:count], plate, layers=[*names, *downs], padding=padding, batch_norm=norm,
        calibration=images.train[:512], replicates=0, block=min(128, count),
    )  # fmt: skip
    found = dict(zip(profile.layers, profile.estimate.tolist(), strict=True))
    blocks = [name.removesuffix(".relu") for name in names if name.endswith(".relu")] + downs
    order = sorted(blocks, key=lambda name: (name.partition(".")[0], name.endswith("down"), name))
    return {
        place: np.array([found["input"]] + [found[b] if b.endswith(".down") else found[f"{b}.{part}"] for b in order])
        for place, part in HEARD.items()
    }


def distance(ours, paper):
    """Root mean square difference over layers."""
    return float(np.sqrt(np.mean((ours - paper) ** 2)))


def figure_2c(data, width, seeds):
    """One row for each reading and net: the RMS distance to the paper's curve, and the last layer."""
    rows = []
    for preprocessing in PREPROCESSING:
        images = examples(Task("labels", data, 10_000, preprocessing=preprocessing), 0)
        for norm, biases, padding, net, seed in product(NORMS, BIASES, PADDINGS, DOWNSAMPLING, range(seeds)):
            model = biased(cifar_net(net, width, seed=seed), biases, seed)
            for heard, ours in curves(model, images, norm, padding, ThinPlate(3, 2.0)).items():
                place = dict(zip(KEYS, (heard, norm, biases, preprocessing, padding), strict=True))
                rows.append(
                    {**place, "net": net, "seed": seed, "rms": distance(ours, curve("2c", net)), "last": ours[-1]}
                )
        print(f"2c, preprocessing {preprocessing}: done", flush=True)
    return pd.DataFrame(rows)


def photographs(width):
    """Figures 2a and 5a, one seed: one row for each reading and curve."""
    wanted = [("2a", net, net, 0.0) for net in ("max_pool", "strided_relu")]
    wanted += [("5a", f"{sigma:g}", "strided_relu", sigma) for sigma in (0.1, 0.3, 0.5)]
    rows = []
    for preprocessing in ("image", "unit"):  # there is no data set whose statistics could be taken
        images = examples(Task("labels", "photographs", 32, preprocessing=preprocessing), 0)
        for norm, biases, padding, (figure, series, net, sigma) in product(NORMS, BIASES, PADDINGS, wanted):
            model = biased(smooth_filters(imagenet_net(net, width), sigma), biases, 0)
            paper = curve(figure, series)
            for heard, ours in curves(model, images, norm, padding, ThinPlate(5, 10.0)).items():
                place = dict(zip(KEYS, (heard, norm, biases, preprocessing, padding), strict=True))
                found = {"figure": figure, "series": series, "rms": distance(ours, paper), "last": ours[-1]}
                rows.append({**place, **found, "paper": paper[-1]})
        print(f"2a and 5a, preprocessing {preprocessing}: done", flush=True)
    return pd.DataFrame(rows)


def markdown(table):
    """A Markdown table of the frame."""
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + "---|" * len(table.columns)]
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row) + " |")
    return "\n".join(lines)


def main():
    """Search, and write what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    here = Path(__file__).parent
    found = figure_2c(arguments.data, arguments.width, arguments.seeds)
    found.to_csv(here / "search.csv", index=False, float_format="%.4f")
    ranked = found.groupby(KEYS, as_index=False)["rms"].mean().sort_values("rms")
    lasts = found.pivot_table(index=KEYS, columns="net", values="last").reset_index()
    ranked = ranked.merge(lasts, on=KEYS)
    reference = ranked[(ranked[KEYS] == list(REFERENCE)).all(axis=1)]
    large = photographs(0.25)
    large.to_csv(here / "photographs.csv", index=False, float_format="%.4f")
    large["curve"] = large["figure"] + " " + large["series"]
    nearest = large.pivot_table(index=KEYS, columns="curve", values="rms").reset_index()
    nearest.insert(len(KEYS), "rms", nearest.iloc[:, len(KEYS) :].mean(axis=1))
    nearest = nearest.sort_values("rms")
    figures = large.groupby([*KEYS, "figure"])["rms"].mean().unstack()
    joint = figures.join(found.groupby(KEYS)["rms"].mean().rename("2c"))[["2a", "2c", "5a"]]
    joint.insert(0, "mean", joint.mean(axis=1))
    joint = joint.sort_values("mean").reset_index()
    references = [joint[(joint[KEYS] == [REFERENCE[0], norm, *REFERENCE[2:]]).all(axis=1)] for norm in NORMS]
    (here / "tables.md").write_text(
        "\n\n".join(
            [
                "## All three figures: the eight nearest readings, then the reference under either batch norm",
                markdown(pd.concat([joint.head(8), *references])),
                "## Figure 2c: the twelve nearest readings, and the reference",
                markdown(pd.concat([ranked.head(12), reference])),
                "## Figure 2c: each choice, mean over all others",
                *(markdown(found.groupby(key, as_index=False)["rms"].mean().sort_values("rms")) for key in KEYS),
                "## Figures 2a and 5a: the twelve nearest readings, and the reference",
                markdown(pd.concat([nearest.head(12), nearest[(nearest[KEYS] == list(REFERENCE)).all(axis=1)]])),
                "## Figures 2a and 5a: each choice, mean over all others",
                *(markdown(large.groupby(key, as_index=False)["rms"].mean().sort_values("rms")) for key in KEYS),
            ]
        )
        + "\n"
    )
    print((here / "tables.md").read_text())


if __name__ == "__main__":
    main()
