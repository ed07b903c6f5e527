"""The folder of a `pliant demo` run, of nets that were not trained."""

from pathlib import Path

from pliant import records
from pliant.nets import cifar_net
from pliant.plan import Study
from pliant.training import save_weights

CLASSES = tuple("0123456789")


def made(folder: Path, kinds: tuple[str, ...], width: float = 0.1) -> list[Path]:
    """Write a run of narrow nets for grey images of 32x32 into `folder`; returns the folders of its nets."""
    study = Study(downsampling=kinds, width=width)
    records.write_json(folder / "plan.json", study.to_json())
    records.write_json(folder / "data.json", {"name": "digits", "classes": list(CLASSES), "shape": [1, 32, 32]})
    nets = []
    for kind in kinds:
        net = folder / f"{kind}-seed0"
        records.write_json(net / "record.json", {"downsampling": kind, "seed": 0, "plan": study.identity})
        save_weights(cifar_net(kind, width, 1, len(CLASSES), seed=3), net / "weights.safetensors")
        nets.append(net)
    return nets
