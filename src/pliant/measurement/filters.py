"""What is measured of a model's filters: no images are needed, and none are looked at."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd
from torch import Tensor, nn

from pliant.metrics import filter_variations, laplacian_spectrum


def variations(model: nn.Module, images: Tensor | Iterable[Any] | None = None) -> pd.DataFrame:
    """One row a convolution with kernels of 3x3 or more: layer, value (its `total_variation`), filters (how many)."""
    return pd.DataFrame(map(asdict, filter_variations(model)), columns=["layer", "value", "filters"])


def spectra(model: nn.Module, images: Tensor | Iterable[Any] | None = None) -> pd.DataFrame:
    """One row a convolution of `variations` and eigenvector: layer, eigenvalue, energy; see `laplacian_spectrum`."""
    names = {variation.layer for variation in filter_variations(model)}
    rows: list[dict[str, Any]] = []
    for name, module in model.named_modules():
        if name in names and isinstance(module, nn.Conv2d):
            values, energies = laplacian_spectrum(module.weight.detach())
            pairs = zip(values.tolist(), energies.tolist(), strict=True)
            rows += [{"layer": name, "eigenvalue": value, "energy": energy} for value, energy in pairs]
    return pd.DataFrame(rows, columns=["layer", "eigenvalue", "energy"])
