"""Families of deformations as they are named on the command line."""

import dataclasses
from typing import Any

from pliant._checks import InputError, require
from pliant.deform import Deformation, family, pixels


def member(
    name: str,
    points: int,
    reach: str,
    width: int,
    factor: float = 1.0,
    invertible: bool = False,
    as_given: bool = False,
) -> Deformation:
    """The member of a family that reaches so far, times `factor`, on images `width` pixels wide.

    points: control points a side, of a family that has them. as_given: the reach stays in words, the same for images
    of all sizes.
    """
    found = family(name)
    require(found.strength != "", f"--family {name}: it has no single strength; use it from Python")
    settings: dict[str, Any] = {"grid": points} if "grid" in {item.name for item in dataclasses.fields(found)} else {}
    if invertible:
        settings["invertible"] = True
    try:
        length = factor * pixels(reach, width)
        return found(**{found.strength: reach if as_given else length}, **settings)
    except InputError as error:
        raise InputError(f"reach {reach}: {error}") from None
