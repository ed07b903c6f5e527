"""Deforming images: families draw fields, `warp` resamples images along them."""

from pliant.deform.family import Deformation
from pliant.deform.field import Field
from pliant.deform.thin_plate import ThinPlate
from pliant.deform.warping import PADDINGS, Padding, warp

__all__ = ["PADDINGS", "Deformation", "Field", "Padding", "ThinPlate", "warp"]
