"""What a number depends on, in plain values: it travels with the number."""

from typing import Any

from torch import Tensor

from pliant.capture.kept import BatchNorm


def protocol_of(
    images: int,
    image_shape: tuple[int, ...],
    seed: int,
    batch_norm: BatchNorm,
    calibration: Tensor | None,
    replicates: int,
    level: float,
    **own: Any,
) -> dict[str, Any]:
    """The choices that all measures share, behind those that are a measure's own.

    images: how many there were. image_shape: (c, h, w). calibration: of images its number, 0 where they are not used.
    """
    return {
        **own,
        "batch_norm": batch_norm,
        "calibration": len(calibration) if batch_norm == "calibrated" and calibration is not None else 0,
        "images": images,
        "image_shape": list(image_shape),
        "seed": seed,
        "replicates": replicates,
        "level": level,
    }
