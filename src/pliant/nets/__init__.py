"""The nets of Ruderman et al. 2018, and their parts; ways to lower the resolution beside theirs."""

from pliant.nets.blur_pool import BlurPool, MaxBlurPool, StridedBlur
from pliant.nets.downsampling import DOWNSAMPLING, AveragePool, MaxPool, Strided, StridedReLU, Subsample
from pliant.nets.initialisation import initialise, seeded
from pliant.nets.learned_phases import LPS
from pliant.nets.permuted_pool import PermutedPool
from pliant.nets.phases import APS
from pliant.nets.pool_skip import PoolSkip
from pliant.nets.smoothing import smooth_filters
from pliant.nets.vgg import ConvLayer, cifar_net, imagenet_net, layers_of
from pliant.nets.wavelets import Scattering, scattering

__all__ = [
    "APS",
    "DOWNSAMPLING",
    "LPS",
    "AveragePool",
    "BlurPool",
    "ConvLayer",
    "MaxBlurPool",
    "MaxPool",
    "PermutedPool",
    "PoolSkip",
    "Scattering",
    "Strided",
    "StridedBlur",
    "StridedReLU",
    "Subsample",
    "cifar_net",
    "imagenet_net",
    "initialise",
    "layers_of",
    "scattering",
    "seeded",
    "smooth_filters",
]
