"""What a number depends on, in plain values: it travels with the number."""

from typing import Any

from torch import Tensor

from pliant.capture.state import BatchNorm


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
    """The choices that all measures share, behind those that are a measure's own; the same before and after saving.

    images: how many there were. image_shape: (c, h, w). calibration: of images its number, 0 where they are not used.
    """
    return {
        **_as_saved(own),
        "batch_norm": batch_norm,
        "calibration": len(calibration) if batch_norm == "calibrated" and calibration is not None else 0,
        "images": images,
        "image_shape": list(image_shape),
        "seed": seed,
        "replicates": replicates,
        "level": level,
    }


def _as_saved(value: Any) -> Any:
    """The value with lists for tuples, as JSON has it."""
    if isinstance(value, dict):
        return {name: _as_saved(one) for name, one in value.items()}
    return [_as_saved(one) for one in value] if isinstance(value, tuple | list) else value
