"""Executing plans: nets trained and measured, everything kept as records."""

from pliant.run.study import Stage, execute

__all__ = ["Stage", "execute"]
