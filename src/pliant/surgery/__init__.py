"""Operations on a model that exists: its downsampling replaced and its weights kept, or their channels permuted."""

from pliant.surgery.blurring import antialias
from pliant.surgery.channels import permuted_channels
from pliant.surgery.outcome import Left, Replaced, Surgery
from pliant.surgery.sampling import adaptive_sampling

__all__ = ["Left", "Replaced", "Surgery", "adaptive_sampling", "antialias", "permuted_channels"]
