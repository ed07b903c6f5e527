"""Measures of activations and of filters: tensors in, numbers out."""

from pliant.metrics.cosine import Cosine
from pliant.metrics.distance import Distance
from pliant.metrics.euclidean import Euclidean
from pliant.metrics.geometry import Geometry, geometry
from pliant.metrics.total_variation import FilterVariation, filter_variations, smoothness_penalty, total_variation

DISTANCES: dict[str, Distance] = {"cosine": Cosine(), "euclidean": Euclidean()}

__all__ = [
    "DISTANCES",
    "Cosine",
    "Distance",
    "Euclidean",
    "FilterVariation",
    "Geometry",
    "filter_variations",
    "geometry",
    "smoothness_penalty",
    "total_variation",
]
