import pytest
import torch
from torch import nn


@pytest.fixture
def task():
    """96 images of 8x8 pixels in three classes, told by which row is bright; some noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(96) % 3
    images = 0.3 * torch.randn(96, 1, 8, 8, generator=generator)
    images[torch.arange(96), 0, labels * 2 + 1] += 1
    return images, labels


@pytest.fixture
def small_net():
    """Builds a net with batch norm; the same weights each time."""

    def build(dropout=0.0):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return nn.Sequential(
                nn.Conv2d(1, 6, 3, padding=1),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Flatten(),
                nn.Linear(6 * 64, 3),
            )

    return build
