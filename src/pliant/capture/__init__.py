"""Hearing what the layers of a model put out, and giving the model back as it was."""

from pliant.capture.calls import INPUT, OUTPUT, Call, capture, replaced, trace
from pliant.capture.layers import PRESETS, select
from pliant.capture.state import batch_norm, has_fresh_batch_norm, kept, zero_batch_norm

__all__ = [
    "INPUT",
    "OUTPUT",
    "PRESETS",
    "Call",
    "batch_norm",
    "capture",
    "has_fresh_batch_norm",
    "kept",
    "replaced",
    "select",
    "trace",
    "zero_batch_norm",
]
