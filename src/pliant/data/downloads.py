"""CIFAR-10 and MNIST: from the folder that PLIANT_DATA names, else downloaded once by torchvision."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from pliant._checks import InputError
from pliant.data import parquet
from pliant.data.dataset import Found, Labelled

TITLES = {"cifar10": "CIFAR10", "mnist": "MNIST"}
"""What torchvision calls the data set."""


def read(name: Literal["cifar10", "mnist"]) -> Found:
    """The data set from parquet files in `$PLIANT_DATA/<name>` if there are any, else from torchvision.

    torchvision checks the MD5 sum of what it downloads and keeps it in the cache folder. Raises `InputError` if there
    is neither a copy nor a network.
    """
    local = os.environ.get("PLIANT_DATA")
    if local and parquet.files(Path(local) / name):
        return parquet.read_folder(Path(local) / name)
    from torchvision import datasets  # slow to import

    cache = cache_folder()
    try:
        parts = [getattr(datasets, TITLES[name])(cache, train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{name} is not on this machine, and downloading it to {cache} failed ({reason}). Connect to a network, "
            f"or set PLIANT_DATA to a folder that holds {name}/*.parquet, or give a folder in place of the name"
        ) from error
    classes = tuple(str(label).split(" - ")[0] for label in parts[0].classes)
    return Found(_labelled(parts[0]), _labelled(parts[1]), classes, f"{TITLES[name]} through torchvision")


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/pliant`, else `~/.cache/pliant`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pliant"


def _labelled(part: Any) -> Labelled:
    images = torch.from_numpy(np.asarray(part.data))
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return Labelled(images.contiguous(), torch.as_tensor(part.targets, dtype=torch.int64))
