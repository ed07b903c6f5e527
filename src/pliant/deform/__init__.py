"""Deforming images: families draw fields, `warp` resamples images along them."""

from typing import Any

from pliant._checks import InputError, require, unknown
from pliant.deform.affine import Affine
from pliant.deform.circular import Circular
from pliant.deform.contract import Deformation
from pliant.deform.elastic import Elastic
from pliant.deform.field import Carried, Field, Inverse
from pliant.deform.flow import Flow
from pliant.deform.length import Length, pixels
from pliant.deform.lie import Lie
from pliant.deform.max_entropy import MaxEntropy
from pliant.deform.pose import Pose
from pliant.deform.resampling import PADDINGS, Padding
from pliant.deform.rotate import Rotate
from pliant.deform.scale import Scale
from pliant.deform.sequence import Sequence
from pliant.deform.shear import Shear
from pliant.deform.thin_plate import ThinPlate
from pliant.deform.translate import Translate
from pliant.deform.warping import warp, warp_tangent

FAMILIES: dict[str, type[Deformation]] = {
    "thin_plate": ThinPlate,
    "max_entropy": MaxEntropy,
    "translate": Translate,
    "rotate": Rotate,
    "scale": Scale,
    "shear": Shear,
    "affine": Affine,
    "elastic": Elastic,
    "pose": Pose,
    "lie": Lie,
    "flow": Flow,
    "sequence": Sequence,
    "circular": Circular,
}
"""Every family by its name."""


def family(name: str) -> type[Deformation]:
    """The family of that name, hyphens or underscores. Raises `InputError` with near names for an unknown one."""
    found = FAMILIES.get(name.replace("-", "_"))
    if found is None:
        raise unknown("family", name, FAMILIES)
    return found


def described(description: dict[str, Any]) -> Deformation:
    """The deformation whose `describe()` gave this, also after a way through JSON.

    Raises `InputError` for an unknown family or settings; a flow's displacements are not in its description.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in description.items()
    }
    member = family(str(settings.pop("family", "")))
    require(member is not Flow, "a flow cannot be made from its description: its displacements are not in it")
    try:
        if member is Sequence:
            settings["steps"] = tuple(described(step) for step in settings["steps"])
        return member(**settings)
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{description} describes no {member.name}: {error}") from None


__all__ = [
    "FAMILIES",
    "PADDINGS",
    "Affine",
    "Carried",
    "Circular",
    "Deformation",
    "Elastic",
    "Field",
    "Flow",
    "Inverse",
    "Length",
    "Lie",
    "MaxEntropy",
    "Padding",
    "Pose",
    "Rotate",
    "Scale",
    "Sequence",
    "Shear",
    "ThinPlate",
    "Translate",
    "described",
    "family",
    "pixels",
    "warp",
    "warp_tangent",
]
