"""Training: stochastic gradient descent as a plan says, with the data in memory."""

from pliant.training.augmentation import augment
from pliant.training.checkpoint import Checkpoint
from pliant.training.evaluation import accuracy
from pliant.training.loop import rate, train
from pliant.training.precision import faster_precision
from pliant.training.progress import History, Progress
from pliant.training.weights import save_weights

__all__ = [
    "Checkpoint",
    "History",
    "Progress",
    "accuracy",
    "augment",
    "faster_precision",
    "rate",
    "save_weights",
    "train",
]
