"""The nets of Ruderman et al. 2018, and their parts."""

from pliant.nets.downsampling import DOWNSAMPLING, AveragePool, MaxPool, Strided, StridedReLU, Subsample
from pliant.nets.initialisation import initialise, seeded
from pliant.nets.smoothing import smooth_filters
from pliant.nets.vgg import ConvLayer, cifar_net, imagenet_net

__all__ = [
    "DOWNSAMPLING",
    "AveragePool",
    "ConvLayer",
    "MaxPool",
    "Strided",
    "StridedReLU",
    "Subsample",
    "cifar_net",
    "imagenet_net",
    "initialise",
    "seeded",
    "smooth_filters",
]
