"""Measure, compare and test how stable the layers of a vision network are to deformations of its input.

    import pliant

    profile = pliant.measure(model, images, deformation=pliant.ThinPlate(grid=3, reach=2.0), layers="blocks")
    profile.to_pandas()

Public names are loaded when they are first used: `import pliant` alone loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pliant._checks import InputError
    from pliant.deform import *  # noqa: F403 - every family
    from pliant.deform import Deformation, Field, ThinPlate, warp
    from pliant.measurement import (
        Watch,
        WorstCase,
        accuracy_under,
        channel_pooling,
        lie_derivative,
        measure,
        measure_each,
        shift_consistency,
        shift_map,
        worst_case,
    )
    from pliant.metrics import smoothness_penalty
    from pliant.nets import smooth_filters
    from pliant.outcomes import AccuracyCurve, ShiftConsistency, ShiftMap
    from pliant.profile import Profile
    from pliant.stats import Interval
    from pliant.surgery import Surgery, adaptive_sampling, antialias

__version__ = "0.1.0"

_HOMES = {
    "AccuracyCurve": "pliant.outcomes",
    "Deformation": "pliant.deform",
    "Field": "pliant.deform",
    "InputError": "pliant._checks",
    "Interval": "pliant.stats",
    "Profile": "pliant.profile",
    "ShiftConsistency": "pliant.outcomes",
    "ShiftMap": "pliant.outcomes",
    "Surgery": "pliant.surgery",
    "ThinPlate": "pliant.deform",
    "Watch": "pliant.measurement",
    "WorstCase": "pliant.measurement",
    "accuracy_under": "pliant.measurement",
    "adaptive_sampling": "pliant.surgery",
    "antialias": "pliant.surgery",
    "channel_pooling": "pliant.measurement",
    "lie_derivative": "pliant.measurement",
    "measure": "pliant.measurement",
    "measure_each": "pliant.measurement",
    "shift_consistency": "pliant.measurement",
    "shift_map": "pliant.measurement",
    "smooth_filters": "pliant.nets",
    "smoothness_penalty": "pliant.metrics",
    "warp": "pliant.deform",
    "worst_case": "pliant.measurement",
}

__all__ = [
    "AccuracyCurve",
    "Deformation",
    "Field",
    "InputError",
    "Interval",
    "Profile",
    "ShiftConsistency",
    "ShiftMap",
    "Surgery",
    "ThinPlate",
    "Watch",
    "WorstCase",
    "accuracy_under",
    "adaptive_sampling",
    "antialias",
    "channel_pooling",
    "lie_derivative",
    "measure",
    "measure_each",
    "shift_consistency",
    "shift_map",
    "smooth_filters",
    "smoothness_penalty",
    "warp",
    "worst_case",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name[:1].isupper() and name in (families := import_module("pliant.deform")).__all__:
        return getattr(families, name)
    try:
        return import_module(f"pliant.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"pliant.{name}":
            raise AttributeError(f"module 'pliant' has no attribute {name!r}") from None
        raise


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *import_module("pliant.deform").__all__})
