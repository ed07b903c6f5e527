"""The paper's own mean curves, read off its published figures: for overlays and shape, never as an exact oracle."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float


def curve(figure: str, series: str) -> Float[np.ndarray, " layers"] | None:
    """The mean curve of one line of a figure, by layer; None where the paper draws no such line.

    figure: "2a", "2b", "2c", "2d", "3b", "4a", "4b", "4c", "5a" or "5b". series: a kind of downsampling; of 3b the
    strength C in pixels ("1" to "4"), of 5a the Gaussian's standard deviation in pixels ("0.1" to "0.5").
    Figures 2 and 5 give sensitivity (cosine), 3 and 4 total variation over the L1 norm; see `source`.
    """
    values = _content()["figures"].get(f"fig{figure}", {}).get("series", {}).get(series)
    return None if values is None else np.asarray(values, dtype=np.float64)


def source() -> str:
    """Where the curves come from, and how they were read."""
    return _content()["source"]


def reading_error() -> str:
    """How far the curves may be off, in words."""
    return _content()["reading_error"]


@cache
def _content() -> dict[str, Any]:
    return json.loads(files("pliant.paper").joinpath("paper_curves.json").read_text(encoding="utf-8"))
