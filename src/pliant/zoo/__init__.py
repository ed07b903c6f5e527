"""Models by name, each with the preprocessing that belongs to it."""

from pliant.zoo.door import load
from pliant.zoo.loaded import Loaded

__all__ = ["Loaded", "load"]
