"""`ShiftConsistency`: how often two shifts of an image get the same top-1."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant.saved import Format, decoded, encoded
from pliant.stats import Interval

_FORMAT = Format("shift_consistency")


@dataclass(frozen=True, eq=False)
class ShiftConsistency:
    """The probability that two random shifts of an image get the same top-1 (Zhang 2019, arXiv:1904.11486).

    interval: the mean over images with its interval over them: of 1 pair an image Wilson's (`stats.proportion`), of
        more the bootstrap's, which has NaN ends for fewer than 5 images and no width where all images agree alike.
    agreement: (images,) the share of each image's pairs of shifts that agree, the raw samples.
    protocol: all choices that the number depends on: "shifts" ("circular" or "cropped"), "largest" (how many shifts
        there are down and to the right, pixels), "crop", "pairs", "seed" and more.
    provenance: versions, device, dtype, code version, time.
    """

    interval: Interval
    agreement: Float[np.ndarray, " images"]
    protocol: dict[str, Any]
    provenance: dict[str, Any]

    def __str__(self) -> str:
        down, right = (f"0 to {largest - 1}" for largest in self.protocol["largest"])
        reach = f"{down} pixels along both axes" if down == right else f"{down} pixels down and {right} to the right"
        crop, pairs = self.protocol["crop"], self.protocol["pairs"]
        shifts = "circular shifts" if crop is None else f"crops of {crop} pixels a side, shifts"
        per_image = "1 pair" if pairs == 1 else f"{pairs} pairs"
        return f"{self.interval}; {shifts} of {reach}, {per_image} an image, seed {self.protocol['seed']}"

    def save(self, folder: Path | str) -> Path:
        """Write shift_consistency.json and .parquet into `folder`, made if missing; returns the folder."""
        found = self.interval
        payload = {
            "interval": encoded(np.array([found.estimate, found.low, found.high])),
            "level": found.level,
            "images": found.n,
            "protocol": self.protocol,
            "provenance": self.provenance,
        }
        samples = pd.DataFrame({"index": np.arange(found.n), "agreement": self.agreement})
        return _FORMAT.write(folder, payload, samples)

    @classmethod
    def load(cls, folder: Path | str) -> "ShiftConsistency":
        """What `save` wrote into `folder`. A newer schema, a missing or damaged file raise `InputError`."""
        return _FORMAT.read(folder, _built)


def _built(payload: dict[str, Any], samples: pd.DataFrame) -> ShiftConsistency:
    estimate, low, high = decoded(payload["interval"], 3).tolist()
    agreement = samples.sort_values("index")["agreement"].to_numpy(np.float64)
    return ShiftConsistency(
        interval=Interval(estimate, low, high, payload["level"], payload["images"]),
        agreement=agreement.reshape(payload["images"]),
        protocol=payload["protocol"],
        provenance=payload["provenance"],
    )
