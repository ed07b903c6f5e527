"""The folder of a demo run, of made-up nets whose truth is known: no net is trained to test a report."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pliant import records
from pliant.plan import Measuring, Study, Training
from pliant.profile import Profile
from pliant.stats import proportion

LAYERS = ("input", *(f"block{b}.{part}" for b in range(1, 5) for part in ("layer1", "layer2", "down")))
CONVOLUTIONS = tuple(f"block{b}.layer{n}.conv" for b in range(1, 5) for n in (1, 2))
CONDITIONS = (("initial", "untouched"), ("initial", "calibrated"), ("trained", "as_is"))
INPUT = 0.14
BEFORE = {"subsample": 0.60, "max_pool": 0.24, "average_pool": 0.17, "strided": 0.55, "strided_relu": 0.51}
AFTER = {"subsample": 0.05, "max_pool": 0.03, "average_pool": 0.02, "strided": 0.04, "strided_relu": 0.045}
CONVERGING = {
    "initial-untouched": {k: v / 2 for k, v in BEFORE.items()},
    "initial-calibrated": BEFORE,
    "trained": AFTER,
}
DIVERGING = {"initial-untouched": AFTER, "initial-calibrated": AFTER, "trained": BEFORE}
HALF_WIDTH = 0.004
SCRIPT = "</script><script>document.title='broken out'</script>"


def name_of(step: str, batch_norm: str) -> str:
    return step if batch_norm == "as_is" else f"{step}-{batch_norm}"


def course(last: float) -> np.ndarray:
    """Sensitivity by layer: from the input's, over a bump, to `last`."""
    depth = np.linspace(0, 1, len(LAYERS))
    zigzag = np.array([0.0, 0.02, 0.03, -0.015] + [0.02, 0.03, -0.015] * 3)
    return np.abs(INPUT + (last - INPUT) * depth**1.5 + zigzag * (1 - depth) * 2)


def profile(
    last: float,
    half_width: float = HALF_WIDTH,
    layers: tuple[str, ...] = LAYERS,
    undefined: dict[str, str] | None = None,
    estimate: np.ndarray | None = None,
    **protocol: object,
) -> Profile:
    """A profile of 16 images whose last layer is at `last`, with intervals of the given half width."""
    undefined = undefined or {}
    estimate = course(last) if estimate is None else np.array(estimate, dtype=float)
    estimate[[layers.index(name) for name in undefined]] = np.nan
    protocol = {
        "metric": "cosine",
        "deformation": {"family": "thin_plate", "grid": 3, "reach": 2.0},
        "padding": "zeros",
        "batch_norm": "as_is",
        "calibration": 0,
        "block": 8,
        "images": 16,
        "image_shape": [1, 32, 32],
        "seed": 0,
        "draw": 0,
        "replicates": 1000,
        "level": 0.95,
        **protocol,
    }
    return Profile(
        layers=layers,
        metric="cosine",
        estimate=estimate,
        low=np.maximum(estimate - half_width, 0),
        high=estimate + 1.5 * half_width,
        undefined=undefined,
        level=0.95,
        distances=np.repeat(estimate[:, None], 16, axis=1),
        medians=np.ones((len(layers), 2)),
        folds=0.0125,
        protocol=protocol,
        provenance=records.provenance(
            model="Net", device="cpu", dtype="float32", threads=2, displacement={"rms": 1.21, "largest": 3.7}
        ),
    )


@dataclass(frozen=True)
class Searched:
    """What a search for the worst deformations has found, made up."""

    random: Profile
    best_of: Profile
    worst: Profile
    rms: dict[str, np.ndarray]
    folds: dict[str, np.ndarray]

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"layer": self.worst.layers, "worst": self.worst.estimate})


def searched(layers: tuple[str, ...], *three: tuple[float, ...], undefined: dict[str, str] | None = None) -> Searched:
    """Made of the estimates of the random, the best of the random, and the worst deformations of each layer."""
    profiles = (
        profile(0, layers=layers, estimate=np.array(estimate), undefined=undefined, draws=8, budget=20)
        for estimate in three
    )
    kinds = ("random", "best_of", "worst")
    rms = {kind: np.full(len(layers), 1.21 + 0.3 * place) for place, kind in enumerate(kinds)}
    folds = {kind: np.full(len(layers), 0.0125 * place) for place, kind in enumerate(kinds)}
    return Searched(*profiles, rms=rms, folds=folds)


def study(**settings: object) -> Study:
    plan = {"training": Training(epochs=3), "measuring": Measuring(images=16, block=8), **settings}
    return Study(**plan)


def shift(dx: float, dy: float, size: int = 32) -> np.ndarray:
    """A displacement (2, size, size) that is the same everywhere."""
    return np.broadcast_to(np.array([dx, dy], np.float32)[:, None, None], (2, size, size))


def digit(channels: int, size: int = 32) -> np.ndarray:
    """A ring with a stem: an image (channels, size, size) that tells up from down."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    ring = np.exp(-(((np.hypot(x - 0.45, y - 0.32) - 0.2) / 0.07) ** 2))
    stem = np.exp(-(((x - 0.64) / 0.06) ** 2)) * (y > 0.3) * (y < 0.92)
    grey = np.clip(ring + stem, 0, 1)
    return (255 * np.stack([grey ** (1 + 0.6 * c) for c in range(channels)])).astype(np.uint8)


def wave(k: int, size: int = 32) -> np.ndarray:
    """A smooth displacement (2, size, size) of a few pixels."""
    y, x = np.mgrid[:size, :size] / (size - 1)
    return np.stack([2.2 * np.sin(2.2 * x + 1.3 * y + k), 1.8 * np.cos(1.7 * x - 2.1 * y + 2 * k)]).astype(np.float32)


def save_gallery(path: Path, channels: int = 1, count: int = 8, names: list[str] | None = None) -> None:
    image = digit(channels)
    fields = np.stack([shift(2.0, -1.0) if k == 0 else wave(k) for k in range(count)])
    y, x = np.mgrid[:32, :32]
    deformed = [image[:, np.clip(y + np.rint(f[1]).astype(int), 0, 31), np.clip(x + np.rint(f[0]).astype(int), 0, 31)]
                for f in fields]  # fmt: skip
    names = names or [str(k) for k in range(count)]
    np.savez(path, images=np.stack([image] * count), deformed=np.stack(deformed), displacement=fields,
             names=np.array(names))  # fmt: skip


def write(
    folder: Path,
    last: dict[str, dict[str, float]] = CONVERGING,
    half_width: float = HALF_WIDTH,
    undefined: dict[str, str] | None = None,
    hostile: str = "",
    channels: int = 1,
    rougher: tuple[str, ...] = (),
) -> Path:
    """A finished run of every net named in `last`: condition -> net -> sensitivity of the last layer.

    undefined: layer -> reason, in max_pool after training. hostile: put into every name that a user can choose.
    rougher: nets whose filters of the first layer end rougher than they began.
    """
    nets = tuple(last["trained"])
    plan = study(downsampling=nets, data=f"digits{hostile}")
    records.write_json(folder / "plan.json", plan.to_json())
    skipped = [{"file": f"broken{hostile}.jpg", "reason": f"truncated{hostile}"}] if hostile else []
    data = {
        "name": f"digits{hostile}",
        "source": f"scikit-learn's handwritten digits, resized to 32 x 32{hostile}.",
        "train": 1437,
        "test": 360,
        "classes": [f"{k}{hostile}" for k in range(10)],
        "skipped": skipped,
        "shape": [channels, 32, 32],
        "preprocessing": "each image standardised to mean 0 and variance 1, then deformed",
    }
    records.write_json(folder / "data.json", data)
    save_gallery(folder / "gallery.npz", channels, names=[f"{k}{hostile}" for k in range(8)] if hostile else None)
    for number, net in enumerate(nets):
        run = folder / f"{net}-seed0"
        profiles = []
        for step, batch_norm in CONDITIONS:
            name = name_of(step, batch_norm)
            missing = undefined if (net, step) == ("max_pool", "trained") else None
            layers = tuple(layer + hostile if i == 2 else layer for i, layer in enumerate(LAYERS))
            profile(last[name][net], half_width, layers, missing, batch_norm=batch_norm).save(run / name)
            profiles.append({"step": step, "batch_norm": batch_norm, "folder": name})
        record = {
            "run": run.name,
            "downsampling": net,
            "seed": 0,
            "plan": plan.identity,
            "width": plan.width,
            "parameters": 291_000 + 1000 * number,
            "accuracy": {
                "train": asdict(proportion(1437 - number, 1437)),
                "test": asdict(proportion(355 - number, 360)),
            },
            "precision": "fp32",
            "history": [
                {"epoch": e, "step": 11 * e, "loss": 2 / e - 0.1 * number, "accuracy": 1 - 0.5 / (e + number),
                 "seconds": 4.5 * e}
                for e in (1, 2, 3)
            ],
            "total_variation": [
                {"step": step, "layer_index": i, "layer": layer, "filters": 16 * 2**i,
                 "value": variation(net, i, step, rougher)}
                for step in ("initial", "trained") for i, layer in enumerate(CONVOLUTIONS)
            ],
            "profiles": profiles,
            "seconds": 14.2 + number,
            "provenance": records.provenance(device="cpu", threads=2, seed=0),
        }  # fmt: skip
        records.write_json(run / "record.json", record)
    return folder


def variation(net: str, layer: int, step: str, rougher: tuple[str, ...] = ()) -> float:
    """The made-up total variation: the same start for all nets, lower at the end save where `rougher` says so."""
    start = 1.857 + 0.004 * (-1) ** layer
    if step == "initial":
        return start
    if net in rougher and layer == 0:
        return start + 0.05
    return start - 0.1 - 0.02 * layer * (1 + list(BEFORE).index(net) / 4)
