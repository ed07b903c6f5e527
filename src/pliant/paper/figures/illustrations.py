"""The images that a run leaves behind for its figures: `illustrations.npz`, read back."""

import zipfile
from pathlib import Path

import numpy as np

from pliant._checks import InputError
from pliant.paper.results import Results

FILE = "illustrations.npz"
PHOTOGRAPHS = ("photographs", "photographs_deformed", "displacement", "control", "reach")
TEMPLATES = ("templates", "template_examples")
RIGID = ("rigid_names", "rigid_true", "rigid_class", "rigid_rms")


def read(results: Results, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """The named arrays of the run's illustrations; None where the run has left none of that name.

    photographs, photographs_deformed: uint8 (p, 3, h, w). displacement: float (p, 2, h, w), pixels, channel 0 to the
        right and 1 down: deformed[pixel] = image[pixel + displacement]. control: control points a side. reach: their
        largest displacement per axis, pixels.
    templates: uint8 (k, c, h, w). template_examples: uint8 (4, k, c, h, w), deformed by C = 1, 2, 3, 4.
    rigid_names: (m,) such as "rotation 5 degrees". rigid_true, rigid_class: uint8 (m, 3, h, w), the image moved by
        the true field, and by the closest deformation of the class. rigid_rms: (m,) of the fields' difference, pixels.

    Raises `InputError` for a damaged file.
    """
    path = Path(results.folder) / FILE
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names} if set(names) <= set(stored.files) else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged ({error}): delete it and run again") from error


def why_not_run(names: tuple[str, ...]) -> str:
    """Why a figure of these arrays cannot be drawn."""
    return f"the run's folder has no {FILE} with {names[0].replace('_', ' ')}"
