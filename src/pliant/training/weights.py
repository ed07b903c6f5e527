"""Weights on disk."""

from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from pliant import records


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the model's parameters and buffers as safetensors; the file is whole, or as it was before.

    `model.load_state_dict(safetensors.torch.load_file(path))` reads it. Raises `InputError` for a path that cannot be
    written.
    """
    # Cloned, because safetensors refuses tensors that share memory, as tied weights do.
    state = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
    records.write_bytes(path, safetensors.torch.save(state))
