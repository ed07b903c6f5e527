"""`Profile`: the stability of a model's layers, with everything needed to trust it. Loads no torch."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant._checks import InputError, require, unknown
from pliant._table import Table
from pliant.saved import Format, decoded, encoded
from pliant.stats import Interval, percentile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FORMAT = Format("profile", table="measurements")
_ARRAYS = ("estimate", "low", "high", "medians")
_LABEL = 36
"""Characters of a line beside a plot: what fits its height."""
_WORDS = {"quantity": "sensitivity", "scale": "0: invariant, 1: as far as an unrelated image"}


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Table):
    """Sensitivity by layer: mean distance between an image and its deformation, in units of the pair median; or what
    another metric of `measure` says of each layer.

    The sensitivity of a layer is the mean over images of d(r(x), r(deformed x)), divided by the median of
    d(r(x_i), r(x_j)) over the pairs of images in a block (Ruderman et al. 2018). With several blocks the divisor is
    the mean of the blocks' medians, weighted by their numbers of pairs. 0: invariant; 1: as far as an unrelated image.
    Of other metrics the numbers of the images and the divisor are what `pliant.metrics` says of them.

    layers: names in the order in which the model runs them; index 0 is the input.
    metric: the distance d, "cosine" or "euclidean"; or the name of another metric.
    estimate, low, high: (layers,) sensitivity with its interval; NaN where undefined.
    undefined: layer -> why it has no sensitivity.
    level: of the bootstrap interval over images.
    distances: (layers, images) d(r(x), r(deformed x)), the raw samples; of other metrics their numbers of the images.
    medians: (layers, blocks) the pair medians; of other metrics their divisors, 1 where they have none.
    folds: share of pixels at which the deformations fold (Jacobian not positive; see `Field.folds`).
    protocol: all choices that a number depends on; profiles of different protocols are not comparable.
    provenance: versions, device, dtype, code version, time.
    quantity, scale: what is measured and what its values mean, in words.
    replicates: (layers, replicates) the estimate of each replicate of the bootstrap. Replicate r drew the same images
        in every profile of one seed, number of images and block, so that differences and ratios of profiles are
        paired. Not saved: None in a profile that was loaded.
    """

    layers: tuple[str, ...]
    metric: str
    estimate: Float[np.ndarray, " layers"]
    low: Float[np.ndarray, " layers"]
    high: Float[np.ndarray, " layers"]
    undefined: dict[str, str]
    level: float
    distances: Float[np.ndarray, "layers images"]
    medians: Float[np.ndarray, "layers blocks"]
    folds: float
    protocol: dict[str, Any]
    provenance: dict[str, Any]
    quantity: str = _WORDS["quantity"]
    scale: str = _WORDS["scale"]
    replicates: Float[np.ndarray, "layers replicates"] | None = None

    @property
    def images(self) -> int:
        """Number of images measured."""
        return self.distances.shape[1]

    def __getitem__(self, layer: str) -> Interval:
        """The sensitivity of one layer; an unknown name raises `InputError` with near names."""
        if layer not in self.layers:
            raise unknown("layer", layer, self.layers)
        i = self.layers.index(layer)
        return Interval(float(self.estimate[i]), float(self.low[i]), float(self.high[i]), self.level, self.images)

    def minus(self, other: "Profile") -> "Difference":
        """By how much the layers of this profile lie above those of another model, measured alike on the same images.

        The interval is the paired bootstrap's: both models meet the same replicates of the images. Layers are matched
        by their names, a module that became several with the last of them; where no names agree and both models have
        as many, by their place. Raises `InputError` for profiles of
        different protocols (the size of the images apart) and without replicates.
        """
        ours, others = _choices(self), _choices(other)
        apart = sorted(name for name in ours | others if ours.get(name) != others.get(name))
        require(not apart, f"profiles that differ in their {', '.join(apart)} are not comparable: measure both alike")
        if self.replicates is None or other.replicates is None or not self.replicates.size:
            raise InputError(
                "a difference needs the replicates of the bootstrap, and a loaded profile has none: measure both anew"
            )
        matched = _matched(self.layers, other.layers)
        mine, theirs = (list(places) for places in zip(*matched, strict=True))
        replicates = self.replicates[mine] - other.replicates[theirs]
        ends = np.array([percentile(row, self.level, self.images) for row in replicates]).reshape(-1, 2)
        return Difference(
            layers=tuple((self.layers[i], other.layers[j]) for i, j in matched),
            estimate=self.estimate[mine] - other.estimate[theirs],
            low=ends[:, 0],
            high=ends[:, 1],
            level=self.level,
            images=self.images,
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a layer: layer_index, layer, metric, estimate, low, high, n."""
        return pd.DataFrame(
            {
                "layer_index": np.arange(len(self.layers)),
                "layer": list(self.layers),
                "metric": self.metric,
                "estimate": self.estimate,
                "low": self.low,
                "high": self.high,
                "n": self.images,
            }
        )

    def raw(self) -> pd.DataFrame:
        """The raw samples in long format: layer_index, layer, metric, item ("image" or "median"), index, value.

        For an image, value is d(r(x), r(deformed x)) and index its number; for a median, index is the block.
        """
        parts = [_long(self.distances, "image"), _long(self.medians, "median")]
        table = pd.concat(parts, ignore_index=True)
        table.insert(1, "layer", np.asarray(self.layers, dtype=object)[table["layer_index"]])
        table.insert(2, "metric", self.metric)
        return table

    def plot(self, ax: "Axes | None" = None, label: str | None = None) -> "Axes":
        """Draw sensitivity by layer with its interval as a band, on `ax` or on new axes; matplotlib."""
        from matplotlib import pyplot

        if ax is None:
            _, ax = pyplot.subplots(figsize=(max(5.0, 0.22 * len(self.layers)), 3.2), layout="constrained")
        index = np.arange(len(self.layers))
        (line,) = ax.plot(index, self.estimate, marker="o", markersize=3, label=label)
        ax.fill_between(index, self.low, self.high, alpha=0.2, linewidth=0, color=line.get_color())
        ax.set_xticks(index, self.layers, rotation=90, fontsize="x-small")
        ax.set_ylabel(fill(f"{self.quantity} ({self.metric})", _LABEL))
        ax.set_ylim(bottom=float(min(0.0, np.nanmin(self.low, initial=0.0))))
        return ax

    def save(self, folder: Path | str) -> Path:
        """Write profile.json and measurements.parquet into `folder`, made if missing; returns the folder."""
        payload = {
            "metric": self.metric,
            "layers": list(self.layers),
            **{name: encoded(getattr(self, name)) for name in _ARRAYS},
            "undefined": self.undefined,
            "level": self.level,
            "images": self.images,
            "folds": self.folds,
            "protocol": self.protocol,
            "provenance": self.provenance,
            **{name: value for name in _WORDS if (value := getattr(self, name)) != _WORDS[name]},
        }
        return _FORMAT.write(folder, payload, self.raw())

    @classmethod
    def load(cls, folder: Path | str) -> "Profile":
        """The profile that `save` wrote into `folder`. A newer schema, a missing or damaged file raise `InputError`."""
        return _FORMAT.read(folder, _built)


@dataclass(frozen=True, eq=False, repr=False)
class Difference(Table):
    """By how much the layers of one model's profile lie above those of another's; see `Profile.minus`.

    layers: (name in the one, name in the other). estimate, low, high: (layers,), NaN where either is undefined.
    """

    layers: tuple[tuple[str, str], ...]
    estimate: Float[np.ndarray, " layers"]
    low: Float[np.ndarray, " layers"]
    high: Float[np.ndarray, " layers"]
    level: float
    images: int

    def __getitem__(self, place: int) -> Interval:
        """The difference at the layers of that place."""
        estimate, low, high = (float(values[place]) for values in (self.estimate, self.low, self.high))
        return Interval(estimate, low, high, self.level, self.images)

    def to_pandas(self) -> pd.DataFrame:
        """One row a pair of layers: layer, other_layer, estimate, low, high, n."""
        names = {"layer": [name for name, _ in self.layers], "other_layer": [name for _, name in self.layers]}
        return pd.DataFrame({**names, "estimate": self.estimate, "low": self.low, "high": self.high, "n": self.images})


def _built(payload: dict[str, Any], samples: pd.DataFrame) -> Profile:
    """The profile of what it has saved."""
    images = samples.loc[samples["item"] == "image"].sort_values(by=["layer_index", "index"])
    shape = (len(payload["layers"]), payload["images"])
    return Profile(
        layers=tuple(payload["layers"]),
        metric=payload["metric"],
        undefined=payload["undefined"],
        level=payload["level"],
        distances=images["value"].to_numpy(np.float64).reshape(shape),
        folds=payload["folds"],
        protocol=payload["protocol"],
        provenance=payload["provenance"],
        **{name: decoded(payload[name], len(payload["layers"])) for name in _ARRAYS},
        **{name: payload.get(name, default) for name, default in _WORDS.items()},
    )


def _choices(profile: Profile) -> dict[str, Any]:
    """What two profiles must share to be compared: models may want images of different sizes."""
    return {name: value for name, value in profile.protocol.items() if name != "image_shape"}


def _matched(mine: tuple[str, ...], theirs: tuple[str, ...]) -> list[tuple[int, int]]:
    """The places of layers that belong together; the input always does."""
    if len(mine) == len(theirs) and not set(mine[1:]) & set(theirs[1:]):
        return [(i, i) for i in range(len(mine))]
    found: list[tuple[int, int]] = []
    for i, name in enumerate(mine):
        if name in theirs:
            found.append((i, theirs.index(name)))
        elif (last := _last_within(name, theirs)) is not None and theirs[last] not in mine:
            found.append((i, last))
        else:
            holders = [j for j, other in enumerate(theirs) if other not in mine and _last_within(other, mine) == i]
            found += [(i, j) for j in holders[:1]]
    return found


def _last_within(name: str, layers: tuple[str, ...]) -> int | None:
    """The place of the last layer inside the module of that name: what it puts out."""
    return max((i for i, layer in enumerate(layers) if layer.startswith(f"{name}.")), default=None)


def _long(values: Float[np.ndarray, "layers items"], item: str) -> pd.DataFrame:
    layers, items = values.shape
    return pd.DataFrame(
        {
            "layer_index": np.repeat(np.arange(layers), items),
            "item": item,
            "index": np.tile(np.arange(items), layers),
            "value": values.astype(np.float64).ravel(),
        }
    )
