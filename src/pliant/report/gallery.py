"""The images of a run and their deformations, as pictures within the page: PNG data, and the field as a lattice."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pliant._checks import InputError

CELLS = 8
"""Cells of the lattice a side."""
_POINTS = 33


@dataclass(frozen=True)
class Specimen:
    """One image as it is and deformed (data URIs), its field as SVG paths, and how far it moves pixels.

    `rms` and `largest` are of the length of the displacement vector, pixels; `paths` are in pixels of the image.
    """

    name: str
    width: int
    height: int
    image: str
    deformed: str
    paths: tuple[str, ...]
    rms: float
    largest: float

    @property
    def margin(self) -> float:
        """Pixels to leave around the image for a lattice that reaches outside."""
        return max(1.0, self.largest) * 1.05


def read_gallery(path: Path) -> list[Specimen]:
    """The gallery that a run has written; empty where there is none. A damaged file raises `InputError`."""
    if not path.exists():
        return []
    try:
        with np.load(path, allow_pickle=False) as found:
            names, images = found["names"], found["images"]
            deformed, displacement = found["deformed"], found["displacement"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged, it holds no gallery: delete it and run again") from error
    together = zip(names.tolist(), images, deformed, displacement, strict=True)
    return [_specimen(str(name), image, moved, field) for name, image, moved, field in together]


def png(image: UInt8[np.ndarray, "c h w"]) -> str:
    """The image (one channel, or the first three) as a data URI of a PNG."""
    pixels = image[0] if len(image) < 3 else np.moveaxis(image[:3], 0, -1)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def lattice(displacement: Float[np.ndarray, "2 h w"]) -> tuple[str, ...]:
    """SVG paths of a lattice of straight lines, carried along by the displacement (pixels; x right, y down).

    A point p of the deformed image shows what the image holds at p + displacement(p): there the lattice passes.
    """
    height, width = displacement.shape[1:]
    columns, rows = (np.linspace(0, side - 1, CELLS + 1).round().astype(int) for side in (width, height))
    along_x, along_y = (np.unique(np.linspace(0, side - 1, _POINTS).round().astype(int)) for side in (width, height))
    across = [_path(displacement, along_x, np.full_like(along_x, row)) for row in rows]
    return (*across, *(_path(displacement, np.full_like(along_y, column), along_y) for column in columns))


def _path(displacement: Float[np.ndarray, "2 h w"], x: np.ndarray, y: np.ndarray) -> str:
    # Half a pixel: SVG's (0, 0) is the corner of the first pixel, the field's is its centre.
    points = np.stack([x, y]) + displacement[:, y, x] + 0.5
    return "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in points.T)


def _specimen(
    name: str,
    image: UInt8[np.ndarray, "c h w"],
    deformed: UInt8[np.ndarray, "c h w"],
    displacement: Float[np.ndarray, "2 h w"],
) -> Specimen:
    squared = (displacement.astype(np.float64) ** 2).sum(axis=0)
    height, width = image.shape[1:]
    rms, largest = float(np.sqrt(squared.mean())), float(np.sqrt(squared.max()))
    return Specimen(name, width, height, png(image), png(deformed), lattice(displacement), rms, largest)
