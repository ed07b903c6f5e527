"""Measures of activations and of filters: tensors in, numbers out."""

from pliant.metrics.block import Along, Block, Sample, Signs
from pliant.metrics.consistency import Consistency
from pliant.metrics.correlation import Correlation
from pliant.metrics.cosine import Cosine
from pliant.metrics.distance import Distance
from pliant.metrics.equivariance import Equivariance
from pliant.metrics.euclidean import Euclidean
from pliant.metrics.gaps import Geometry, geometry
from pliant.metrics.lie_derivative import LieDerivative
from pliant.metrics.metric import Metric, Reading
from pliant.metrics.relative_stability import DeformationStability, NoiseStability, RelativeStability
from pliant.metrics.roughness import FilterVariation, filter_variations, smoothness_penalty, total_variation
from pliant.metrics.spectrum import Spectrum, laplacian_spectrum

METRICS: dict[str, Metric] = {
    "cosine": Cosine(),
    "euclidean": Euclidean(),
    "relative_stability": RelativeStability(),
    "relative_stability_median": RelativeStability("median"),
    "deformation_stability": DeformationStability(),
    "deformation_stability_median": DeformationStability("median"),
    "noise_stability": NoiseStability(),
    "noise_stability_median": NoiseStability("median"),
    "equivariance": Equivariance(),
    "correlation": Correlation(),
    "consistency": Consistency(),
    "lie_derivative": LieDerivative(),
}
"""Every metric of `measure` by its name."""

__all__ = [
    "METRICS",
    "Along",
    "Block",
    "Consistency",
    "Correlation",
    "Cosine",
    "DeformationStability",
    "Distance",
    "Equivariance",
    "Euclidean",
    "FilterVariation",
    "Geometry",
    "LieDerivative",
    "Metric",
    "NoiseStability",
    "Reading",
    "RelativeStability",
    "Sample",
    "Signs",
    "Spectrum",
    "filter_variations",
    "geometry",
    "laplacian_spectrum",
    "smoothness_penalty",
    "total_variation",
]
