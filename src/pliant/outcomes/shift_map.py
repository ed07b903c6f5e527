"""`ShiftMap`: how far each layer is from moving along with every circular shift of the image."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant._table import Table
from pliant.saved import Format

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMAT = Format("shift_map")
_ARRAYS = ("distance", "low", "high")
_COLUMNS = 4
_PANEL = 2.4  # inches


@dataclass(frozen=True, eq=False, repr=False)
class ShiftMap(Table):
    """The internal shift map of Zhang 2019, arXiv:1904.11486: 0 where a layer's map moves along with the image.

    layers: names in the order in which the model runs them.
    distance, low, high: (layers, largest, largest) at [layer, dy, dx] the mean over images of the cosine distance of
        the layer's own map, shifted down by dy and right by dx pixels of the image, and its map of the image so
        shifted; in [0, 2], with its bootstrap interval over images (NaN for fewer than 5).
    level: of the interval. images: how many were measured.
    left_out: layer -> why it has no shift map.
    protocol: all choices that a number depends on.
    provenance: versions, device, dtype, code version, time.
    """

    layers: tuple[str, ...]
    distance: Float[np.ndarray, "layers largest largest"]
    low: Float[np.ndarray, "layers largest largest"]
    high: Float[np.ndarray, "layers largest largest"]
    level: float
    images: int
    left_out: dict[str, str]
    protocol: dict[str, Any]
    provenance: dict[str, Any]

    def to_pandas(self) -> pd.DataFrame:
        """One row a layer and shift: layer_index, layer, dy, dx (pixels), distance, low, high, n."""
        layer, dy, dx = (place.ravel() for place in np.indices(self.distance.shape))
        return pd.DataFrame(
            {
                "layer_index": layer,
                "layer": np.asarray(self.layers, dtype=object)[layer],
                "dy": dy,
                "dx": dx,
                "distance": self.distance.ravel(),
                "low": self.low.ravel(),
                "high": self.high.ravel(),
                "n": self.images,
            }
        )

    def plot(self) -> "Figure":
        """Draw one heat map a layer on a new figure, all in one scale of colours that begins at 0; matplotlib."""
        from matplotlib import pyplot

        columns = min(_COLUMNS, len(self.layers))
        rows = -(-len(self.layers) // columns)
        figure, grid = pyplot.subplots(
            rows, columns, squeeze=False, figsize=(_PANEL * columns + 0.8, _PANEL * rows), layout="constrained"
        )
        highest = float(self.distance.max()) or 1.0
        panels = list(grid.flat)
        for ax, layer, distance in zip(panels, self.layers, self.distance, strict=False):
            ax.imshow(distance, vmin=0.0, vmax=highest)
            ax.set_title(layer, fontsize="small")
        for ax in panels[len(self.layers) :]:
            ax.remove()
        for row in grid[:, 0]:
            row.set_ylabel("shift down (pixels)")
        for ax in panels[max(0, len(self.layers) - columns) : len(self.layers)]:
            ax.set_xlabel("shift right (pixels)")
        figure.colorbar(panels[0].images[0], ax=panels[: len(self.layers)], label="cosine distance")
        return figure

    def save(self, folder: Path | str) -> Path:
        """Write shift_map.json and, with the numbers, shift_map.parquet into `folder`, made if missing; returns the
        folder.
        """
        payload = {
            "layers": list(self.layers),
            "largest": self.distance.shape[1],
            "level": self.level,
            "images": self.images,
            "left_out": self.left_out,
            "protocol": self.protocol,
            "provenance": self.provenance,
        }
        return _FORMAT.write(folder, payload, self.to_pandas())

    @classmethod
    def load(cls, folder: Path | str) -> "ShiftMap":
        """What `save` wrote into `folder`. A newer schema, a missing or damaged file raise `InputError`."""
        return _FORMAT.read(folder, _built)


def _built(payload: dict[str, Any], samples: pd.DataFrame) -> ShiftMap:
    samples = samples.sort_values(by=["layer_index", "dy", "dx"])
    shape = (len(payload["layers"]), payload["largest"], payload["largest"])
    return ShiftMap(
        layers=tuple(payload["layers"]),
        **{name: samples[name].to_numpy(np.float64).reshape(shape) for name in _ARRAYS},
        level=payload["level"],
        images=payload["images"],
        left_out=payload["left_out"],
        protocol=payload["protocol"],
        provenance=payload["provenance"],
    )
