"""`load`: a model and its preprocessing by name."""

from pathlib import Path

from pliant._checks import require
from pliant.zoo import from_file, from_run, from_timm, from_torchvision
from pliant.zoo.loaded import Loaded, Request


def load(
    name: str,
    *,
    pretrained: bool = True,
    weights: str | Path | None = None,
    size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    seed: int = 0,
) -> Loaded:
    """The model called `name`, in eval mode on the CPU, with its own preprocessing.

    `name`: one of timm's (`resnet50.a1_in1k`, also with `timm/` in front), `torchvision:resnet50/IMAGENET1K_V2`, or
    `path/to/file.py:function`, a file that is run for it, or the folder of a net that `pliant demo` has trained
    (`runs/demo-.../max_pool-seed0`). `weights`: a file of weights in place of the published ones,
    safetensors or a state dict. `pretrained=False`: initial weights, drawn from `seed`. `size` (pixels a side), `mean`,
    `std` (one a channel, of values in [0, 1]) in place of the model's own. The global random state stays as it was.
    Raises `InputError` for whatever of this is unknown or cannot be had.
    """
    file = None if weights is None else Path(weights).expanduser()
    require(file is None or file.is_file(), f"{weights}: no such file; name a file of weights")
    request = Request(pretrained, file, size, mean, std, seed)
    if name.startswith(from_torchvision.PREFIX):
        return from_torchvision.build(name, request)
    if from_file.names_file(name):
        return from_file.build(name, request)
    if from_run.names_run(name):
        return from_run.build(name, request)
    return from_timm.build(name, request)
