"""`AccuracyCurve`: accuracy against the strength of a deformation."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pliant._checks import require
from pliant._table import Table
from pliant.saved import Format, decoded, encoded
from pliant.stats import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FORMAT = Format("accuracy_curve")
_ARRAYS = ("strengths", "estimate", "low", "high", "rms", "folds")


@dataclass(frozen=True, eq=False, repr=False)
class AccuracyCurve(Table):
    """Accuracy against the strength of one factor (after Ibrahim et al. 2022, arXiv:2210.13604): of a deformation.

    strengths: times that the drawn field of each image was taken; 0 is the image as it is.
    estimate, low, high: (strengths,) the share of images told right, with Wilson's interval (`stats.proportion`).
    area: trapezoidal area under the curve over the range of the strengths: the mean accuracy between the weakest and
        the strongest, with its bootstrap interval over images; NaN ends for fewer than 5 images, and no width where
        all images have the same area.
    rms: (strengths,) mean over images of the root mean square displacement, pixels.
    folds: (strengths,) share of pixels at which the deformations fold.
    level: of the intervals.
    correct: (images, strengths) whether each image was told right, the raw samples.
    protocol: all choices that a number depends on.
    provenance: versions, device, dtype, code version, time.
    """

    strengths: Float[np.ndarray, " strengths"]
    estimate: Float[np.ndarray, " strengths"]
    low: Float[np.ndarray, " strengths"]
    high: Float[np.ndarray, " strengths"]
    area: Interval
    rms: Float[np.ndarray, " strengths"]
    folds: Float[np.ndarray, " strengths"]
    level: float
    correct: Bool[np.ndarray, "images strengths"]
    protocol: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def images(self) -> int:
        """Number of images measured."""
        return len(self.correct)

    def __getitem__(self, strength: float) -> Interval:
        """The accuracy at one of the strengths; another raises `InputError`."""
        places = np.flatnonzero(self.strengths == strength)
        require(len(places) == 1, f"strength={strength}: measured at {', '.join(f'{s:g}' for s in self.strengths)}")
        estimate, low, high = (float(values[places[0]]) for values in (self.estimate, self.low, self.high))
        return Interval(estimate, low, high, self.level, self.images)

    def to_pandas(self) -> pd.DataFrame:
        """One row a strength: strength, rms (pixels), folds, accuracy, low, high, n."""
        return pd.DataFrame(
            {
                "strength": self.strengths,
                "rms": self.rms,
                "folds": self.folds,
                "accuracy": self.estimate,
                "low": self.low,
                "high": self.high,
                "n": self.images,
            }
        )

    def plot(self, ax: "Axes | None" = None, label: str | None = None) -> "Axes":
        """Draw accuracy by strength with its interval as a band, on `ax` or on new axes; matplotlib."""
        from matplotlib import pyplot

        if ax is None:
            _, ax = pyplot.subplots(figsize=(5.0, 3.2), layout="constrained")
        (line,) = ax.plot(self.strengths, self.estimate, marker="o", markersize=3, label=label)
        ax.fill_between(self.strengths, self.low, self.high, alpha=0.2, linewidth=0, color=line.get_color())
        ax.set_xlabel("strength (times the drawn deformation)")
        ax.set_ylabel("accuracy")
        ax.set_ylim(0, 1)
        return ax

    def save(self, folder: Path | str) -> Path:
        """Write accuracy_curve.json and .parquet into `folder`, made if missing; returns the folder."""
        payload = {
            **{name: encoded(getattr(self, name)) for name in _ARRAYS},
            "area": encoded(np.array([self.area.estimate, self.area.low, self.area.high])),
            "level": self.level,
            "images": self.images,
            "protocol": self.protocol,
            "provenance": self.provenance,
        }
        index, place = (places.ravel() for places in np.indices(self.correct.shape))
        samples = pd.DataFrame({"index": index, "strength": self.strengths[place], "correct": self.correct.ravel()})
        return _FORMAT.write(folder, payload, samples)

    @classmethod
    def load(cls, folder: Path | str) -> "AccuracyCurve":
        """What `save` wrote into `folder`. A newer schema, a missing or damaged file raise `InputError`."""
        return _FORMAT.read(folder, _built)


def _built(payload: dict[str, Any], samples: pd.DataFrame) -> AccuracyCurve:
    estimate, low, high = decoded(payload["area"], 3).tolist()
    correct = samples.sort_values(by=["index", "strength"])["correct"].to_numpy(bool)
    return AccuracyCurve(
        **{name: decoded(payload[name], len(payload["strengths"])) for name in _ARRAYS},
        area=Interval(estimate, low, high, payload["level"], payload["images"]),
        level=payload["level"],
        correct=correct.reshape(payload["images"], len(payload["strengths"])),
        protocol=payload["protocol"],
        provenance=payload["provenance"],
    )
