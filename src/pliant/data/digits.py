"""The data set that is always there: scikit-learn's handwritten digits."""

from typing import Any

import torch
from torch.nn.functional import interpolate

from pliant.data.dataset import Found, Labelled

SIZE = 32


def read() -> Found:
    """1,797 digits of 8 x 8 pixels and 17 grey levels (Alpaydin and Kaynak 1998), as 32 x 32 pixels, 0 to 255."""
    from sklearn.datasets import load_digits  # slow to import, and only the embedded data need it

    digits: Any = load_digits()
    grey = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)
    images = interpolate(grey, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    labels = torch.from_numpy(digits.target).to(torch.int64)
    return Found(
        train=Labelled(images.round().to(torch.uint8), labels),
        test=None,
        classes=tuple(str(name) for name in digits.target_names),
        origin=f"scikit-learn's digits, resized from 8 x 8 to {SIZE} x {SIZE} pixels (bilinear)",
    )
