"""Operations on a model that exists: its downsampling replaced, its weights kept."""

from pliant.surgery.blurring import antialias
from pliant.surgery.outcome import Left, Replaced, Surgery
from pliant.surgery.sampling import adaptive_sampling

__all__ = ["Left", "Replaced", "Surgery", "adaptive_sampling", "antialias"]
