"""`Checkpoint`: a training between two epochs, whole enough to end at the same weights to the bit."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from pliant import records
from pliant._checks import InputError
from pliant.training.progress import Progress
from pliant.training.task import device_of

_MODEL, _VELOCITY, _GENERATOR, _GPU = "model.", "velocity.", "generator", "generator of the GPU"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stands after `epoch` epochs, `step` steps.

    tensors: "model." and the name of each parameter and buffer, "velocity." and the number of each parameter, and the
    state of the generators that a model's own dropout draws from. history: how things stood after each epoch.
    """

    epoch: int
    step: int
    history: tuple[Progress, ...]
    tensors: dict[str, Shaped[Tensor, "..."]]

    @classmethod
    def of(
        cls, model: nn.Module, optimiser: torch.optim.SGD, epoch: int, step: int, history: tuple[Progress, ...]
    ) -> "Checkpoint":
        """A copy of the state of model and optimiser."""
        tensors = {_MODEL + name: _copy(value) for name, value in model.state_dict().items()}
        for number, parameter in enumerate(model.parameters()):
            velocity = optimiser.state[parameter].get("momentum_buffer")
            if velocity is not None:
                tensors[f"{_VELOCITY}{number}"] = _copy(velocity)
        tensors[_GENERATOR] = torch.get_rng_state()
        device = device_of(model)
        if device.type == "cuda":
            tensors[_GPU] = torch.cuda.get_rng_state(device)
        return cls(epoch, step, history, tensors)

    def restore(self, model: nn.Module, optimiser: torch.optim.SGD) -> None:
        """Bring model and optimiser to this state. Raises `InputError` where they do not fit it."""
        state = {name[len(_MODEL) :]: value for name, value in self.tensors.items() if name.startswith(_MODEL)}
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"the checkpoint is of another model: delete it and run again ({error})") from None
        for number, parameter in enumerate(model.parameters()):
            velocity = self.tensors.get(f"{_VELOCITY}{number}")
            if velocity is not None:
                # Laid out in memory as the parameter is: the optimiser reads both side by side.
                optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(velocity).detach()
        torch.set_rng_state(self.tensors[_GENERATOR])
        if _GPU in self.tensors:
            torch.cuda.set_rng_state(self.tensors[_GPU], device_of(model))

    def save(self, path: Path, **beside: Any) -> None:
        """Write the checkpoint and, as JSON, what belongs beside it; one file, whole or as it was before."""
        history = [asdict(progress) for progress in self.history]
        content = {"epoch": self.epoch, "step": self.step, "history": history, "beside": beside}
        records.write_bytes(path, safetensors.torch.save(self.tensors, {"checkpoint": json.dumps(content)}))

    @classmethod
    def load(cls, path: Path) -> "tuple[Checkpoint, dict[str, Any]]":
        """What `save` wrote. Raises `InputError` for a damaged file."""
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                content = json.loads((file.metadata() or {})["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
            raise InputError(f"{path} is no checkpoint ({error}): delete it and run again") from None
        history = tuple(Progress(**progress) for progress in content["history"])
        return cls(content["epoch"], content["step"], history, tensors), content["beside"]


def _copy(value: Tensor) -> Tensor:
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)
