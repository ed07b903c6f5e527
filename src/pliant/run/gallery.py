"""A few images with their deformations and fields, for a report to show."""

import io
from pathlib import Path

import numpy as np
import torch

from pliant import records
from pliant.data import Dataset
from pliant.deform import Deformation, warp
from pliant.plan import Study

COUNT = 8


def write_gallery(path: Path, data: Dataset, deformation: Deformation, study: Study) -> None:
    """The first test images as they are and as measured: images and deformed (uint8), displacement, names (npz).

    Fields and padding are those of the measurement. Nets are fed standardised images, whose zero is the mean of each:
    it is taken off before the deformation and put back behind it, so that zeros outside are shown as the mean.
    """
    images = data.test_images[:COUNT]
    size = (images.shape[2], images.shape[3])
    field = deformation.sample(range(len(images)), size, study.seed)
    mean = images.float().mean((1, 2, 3), keepdim=True)
    warped = warp(images.float() - mean, field, study.measuring.padding) + mean
    deformed = warped.round().clamp(0, 255).to(torch.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=images.numpy(),
        deformed=deformed.numpy(),
        displacement=field.displacement.numpy(),
        names=np.array([data.classes[label] for label in data.test_labels[:COUNT].tolist()], dtype=np.str_),
    )
    records.write_bytes(path, buffer.getvalue())
