"""A few images with their deformations and fields, for a report to show."""

import io
from pathlib import Path

import numpy as np

from pliant import records
from pliant.data import Dataset
from pliant.deform import Deformation, warp
from pliant.plan import Study

COUNT = 8


def write_gallery(path: Path, data: Dataset, deformation: Deformation, study: Study) -> None:
    """The first test images as they are and as measured: images and deformed (uint8), displacement, names (npz).

    The fields are those of the measurement; the pixels are deformed before they are standardised, so that they can be
    shown.
    """
    images = data.test_images[:COUNT]
    size = (images.shape[2], images.shape[3])
    field = deformation.sample(range(len(images)), size, study.seed)
    deformed = warp(images, field, study.measuring.padding)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=images.numpy(),
        deformed=deformed.numpy(),
        displacement=field.displacement.numpy(),
        names=np.array([data.classes[label] for label in data.test_labels[:COUNT].tolist()], dtype=np.str_),
    )
    records.write_bytes(path, buffer.getvalue())
