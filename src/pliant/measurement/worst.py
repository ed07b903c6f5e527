"""What a search for the worst deformations has found."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped
from torch import Tensor

from pliant._checks import unknown
from pliant._table import Table
from pliant.deform import Deformation, Field, warp
from pliant.profile import Profile


@dataclass(frozen=True, eq=False, repr=False)
class WorstCase(Table):
    """Random and worst deformations of the same images, side by side: what `pliant.worst_case` gives.

    random: the mean over the draws of each image's distance. best_of: the largest over the draws. worst: the largest
        that was found from there on. All three in units of the same pair medians, with intervals from the same
        bootstrap; their layers are those that were searched, without the input. Folds and displacements are those of
        the draws, and of the deformations found for all layers.
    rms, folds: "random", "best_of" or "worst" -> (layers,), the mean RMS displacement of those deformations, pixels,
        and the share of pixels at which they fold. The bound is on the parameters, not on either.
    deformation: the family. parameters: layer -> (images, *p), what it makes the worst field of each image from.
    """

    random: Profile
    best_of: Profile
    worst: Profile
    deformation: Deformation
    parameters: dict[str, Float[Tensor, "n *p"]]
    rms: dict[str, Float[np.ndarray, " layers"]]
    folds: dict[str, Float[np.ndarray, " layers"]]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that were searched."""
        return self.worst.layers

    @property
    def protocol(self) -> dict[str, Any]:
        """All choices that the numbers depend on, "draws" and "budget" among them."""
        return self.worst.protocol

    def field(self, layer: str, images: slice | list[int] = slice(None)) -> Field:
        """The worst fields of a layer, of all images or of some; an unknown name raises `InputError`."""
        if layer not in self.parameters:
            raise unknown("layer", layer, self.layers)
        _, height, width = self.protocol["image_shape"]
        return self.deformation.made(self.parameters[layer][images], (height, width))

    def deformed(
        self, layer: str, images: Shaped[Tensor, "n c h w"], which: slice | list[int] = slice(None)
    ) -> Shaped[Tensor, "n c h w"]:
        """The images in the deformation that is the worst for a layer. which: their places among those searched."""
        return warp(images, self.field(layer, which), self.protocol["padding"])

    def to_pandas(self) -> pd.DataFrame:
        """One row a layer: layer, metric, n; random, best_of and worst, each with its low, high, rms (pixels) and
        folds; undefined.
        """
        table: dict[str, Any] = {"layer": list(self.layers), "metric": self.worst.metric, "n": self.worst.images}
        for name, profile in (("random", self.random), ("best_of", self.best_of), ("worst", self.worst)):
            table |= {name: profile.estimate, f"{name}_low": profile.low, f"{name}_high": profile.high}
            table |= {f"{name}_rms": self.rms[name], f"{name}_folds": self.folds[name]}
        table["undefined"] = np.array([self.worst.undefined.get(layer, "") for layer in self.layers], dtype=object)
        return pd.DataFrame(table)
