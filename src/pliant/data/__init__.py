"""Images in memory and on disk: labelled data sets, folders of images, and what the package carries itself."""

from pliant.data.dataset import Dataset, Skipped
from pliant.data.embedded_photographs import photographs
from pliant.data.folder import ImageFolder
from pliant.data.loading import load
from pliant.data.standardisation import standardise
from pliant.data.task import Examples, examples, templates

__all__ = [
    "Dataset",
    "Examples",
    "ImageFolder",
    "Skipped",
    "examples",
    "load",
    "photographs",
    "standardise",
    "templates",
]
