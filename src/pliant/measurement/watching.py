"""`Watch`: the stability of a model's layers along its training, on a logarithmic grid of steps."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, Generic, TypeVar, Unpack, cast, overload

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pliant._checks import require
from pliant.deform import Deformation, ThinPlate
from pliant.measurement.blocks import all_in_one
from pliant.measurement.one_pass import measure_each
from pliant.measurement.options import Options
from pliant.measurement.protocol import protocol_of
from pliant.profile import Profile

Found = TypeVar("Found", Profile, dict[str, Profile])


class Watch(Generic[Found]):
    """Measures a model at steps 0, 1, 2, 4, 8 ... of any training loop, and leaves the training as it is.

        watch = pliant.Watch(images, layers="blocks")
        watch(model, 0)
        for step, batch in enumerate(loader, start=1):
            ...
            watch(model, step)
        watch.to_pandas()

    images: (n, c, h, w), or an iterable of batches as in `measure`; read once and kept in memory, so that every step
        sees the same images.
    metric: a name, and each measurement is a `Profile`; or several names, and it is a dict of profiles by name.
    per_doubling: steps of the grid from one power of two to the next; 2 adds their geometric means.
    deformation, layers, seed and the other options: as of `measure`.

    `profiles` holds what was measured, by step. The model's modes, buffers, weights and gradients and the global
    random generators come back as they were, also after an error: the weights of a training are the same to the bit
    with and without a watch. Call it between two steps, with the module inside a wrapper such as
    DistributedDataParallel. One watch is for one training.

    Raises `InputError` for fewer than 2 images, images of different sizes and per_doubling below 1; in the first
    measurement as `measure` does.
    """

    @overload
    def __init__(
        self: "Watch[Profile]",
        images: Tensor | Iterable[Any],
        deformation: Deformation = ...,
        layers: str | Sequence[str] = ...,
        metric: str = ...,
        seed: int = ...,
        *,
        per_doubling: int = ...,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: "Watch[dict[str, Profile]]",
        images: Tensor | Iterable[Any],
        deformation: Deformation = ...,
        layers: str | Sequence[str] = ...,
        *,
        metric: tuple[str, ...] | list[str],
        seed: int = ...,
        per_doubling: int = ...,
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(
        self,
        images: Tensor | Iterable[Any],
        deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
        layers: str | Sequence[str] = "all",
        metric: str | Sequence[str] = "cosine",
        seed: int = 0,
        *,
        per_doubling: int = 1,
        **options: Unpack[Options],
    ) -> None:
        logarithmic(0, per_doubling)
        with _undisturbed(()):
            self.images = all_in_one(images)
        self.deformation, self.layers, self.metric, self.seed = deformation, layers, metric, seed
        self.per_doubling, self.options = per_doubling, options
        self.profiles: dict[int, Found] = {}

    def __call__(self, model: nn.Module, step: int) -> Found | None:
        """Measure `model` after `step` steps if that is due, else return None.

        Due is a step of the grid; of a loop that does not come by at every step, the first to come at or behind one.
        """
        grid = logarithmic(step, self.per_doubling)
        return self.measure(model, step) if grid[-1] > max(self.profiles, default=-1) else None

    def measure(self, model: nn.Module, step: int) -> Found:
        """Measure `model` after `step` steps, due or not, such as behind the last one."""
        require(step >= 0, _negative(step))
        names = self._names
        with _undisturbed(model.parameters()):
            each = measure_each(model, self.images, self.deformation, self.layers, names, self.seed, **self.options)
        self.profiles[step] = self._found(each)
        return self.profiles[step]

    def to_pandas(self) -> pd.DataFrame:
        """One row a step, metric and layer: step, then the columns of `Profile.to_pandas`.

        Raises `InputError` before the first measurement.
        """
        require(bool(self.profiles), "nothing has been measured: call watch(model, 0) before the first step")
        tables = []
        for step in sorted(self.profiles):
            for profile in by_metric(self.profiles[step]).values():
                table = profile.to_pandas()
                table.insert(0, "step", step)
                tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far, as tensors and plain values: `torch.load(..., weights_only=True)` reads it."""
        steps = {
            step: {name: _packed(profile) for name, profile in by_metric(found).items()}
            for step, found in self.profiles.items()
        }
        return {"metrics": list(self._names), "layers": _plain(self.layers), "steps": steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, in place of what this watch has measured.

        Raises `InputError` for a state of other metrics or layers, and for profiles that do not compare with what this
        watch measures: of another deformation, seed, number or size of images, or other choices.
        """
        require(
            state["metrics"] == list(self._names),
            f"the state holds the metrics {state['metrics']}, this watch measures {list(self._names)}: make it alike",
        )
        self._check_comparable(state)
        self.profiles = {
            step: self._found({name: _unpacked(packed) for name, packed in each.items()})
            for step, each in state["steps"].items()
        }

    def _check_comparable(self, state: Mapping[str, Any]) -> None:
        """Refuse profiles that were measured otherwise than this watch measures."""
        ours = {"layers": _plain(self.layers), **self._protocol}
        for each in state["steps"].values():
            for packed in each.values():
                theirs = {"layers": state["layers"], **packed["protocol"]}
                other = [
                    f"{name} ({theirs.get(name)!r} there, {ours[name]!r} here)"
                    for name in ours
                    if theirs.get(name) != ours[name]
                ]
                require(
                    not other,
                    f"the state was measured with another {', '.join(other)}: its numbers do not compare with those of "
                    "this watch, make it alike",
                )

    @property
    def _protocol(self) -> dict[str, Any]:
        """What the numbers of this watch depend on, the same at every step."""
        parameters = signature(measure_each).parameters.values()
        options = {**{one.name: one.default for one in parameters}, **self.options}
        shared = (options[name] for name in ("batch_norm", "calibration", "replicates", "level"))
        own = {name: options[name] for name in ("padding", "block", "draw")}
        shape = tuple(self.images.shape[1:])
        described = self.deformation.describe()
        return protocol_of(len(self.images), shape, self.seed, *shared, deformation=described, **own)

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.metric,) if isinstance(self.metric, str) else tuple(self.metric)

    def _found(self, each: dict[str, Profile]) -> Found:
        return cast(Found, each[self.metric] if isinstance(self.metric, str) else each)


def logarithmic(last: int, per_doubling: int = 1) -> list[int]:
    """The steps 0, 1, 2, 4, 8 ... up to `last`, with `per_doubling` of them from one power of two to the next, rounded.

    Raises `InputError` for a negative `last` and for per_doubling below 1.
    """
    require(last >= 0, _negative(last))
    require(per_doubling >= 1, f"per_doubling={per_doubling}: steps from one power of two to the next, 1 or more")
    powers = range(per_doubling * last.bit_length())
    steps = {0, *(round(2 ** (power / per_doubling)) for power in powers)}
    return sorted(step for step in steps if step <= last)


def by_metric(found: Profile | dict[str, Profile]) -> dict[str, Profile]:
    """What a `Watch` found at one step, by the name of the metric."""
    return {found.metric: found} if isinstance(found, Profile) else found


def _plain(layers: str | Sequence[str]) -> str | list[str]:
    return layers if isinstance(layers, str) else list(layers)


def _negative(step: int) -> str:
    return f"step={step}: steps are counted from 0, the model before training"


@contextmanager
def _undisturbed(parameters: Iterable[Tensor]) -> Iterator[None]:
    """The global generators, torch's (of the CPU and where `parameters` lie), NumPy's and Python's, come back."""
    devices = sorted({tensor.device.index for tensor in parameters if tensor.device.type == "cuda"})
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is kept
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _packed(profile: Profile) -> dict[str, Any]:
    fields = {name: value for name, value in vars(profile).items() if name != "replicates"}
    return {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in fields.items()}


def _unpacked(packed: Mapping[str, Any]) -> Profile:
    fields: dict[str, Any] = {n: v.cpu().numpy() if isinstance(v, Tensor) else v for n, v in packed.items()}
    return Profile(**fields)
