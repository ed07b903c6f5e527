"""`StabilityCallback`: the layers of a LightningModule, measured while it is trained. Needs the extra `lightning`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from torch import Tensor

from pliant._checks import unknown
from pliant.deform import Deformation, ThinPlate
from pliant.measurement import Options, Watch
from pliant.measurement.watching import by_metric
from pliant.profile import Profile

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise ImportError('pliant.lightning needs Lightning: pip install "pliant[lightning]"') from error


class StabilityCallback(Callback):
    """Measures the module before training, after 1, 2, 4, 8 ... steps of the optimiser and at the end, and logs it.

        trainer = Trainer(callbacks=[StabilityCallback(images, layers="blocks")])

    The estimate of each layer goes to every logger of the trainer as `stability/<layer>`, with several metrics as
    `stability/<metric>/<layer>`; layers that are undefined are left out. `watch` keeps the whole profiles, with their
    intervals, and its state is in the trainer's checkpoints.

    name: what stands before the layers in place of "stability"; several callbacks of one trainer need names of their
        own.
    part: dotted name of the submodule to measure, such as "net"; the module itself, by its `forward`, if empty.
    images, deformation, layers, metric, seed, per_doubling and the other options: as of `pliant.Watch`.

    Only the process of rank 0 measures; a module whose weights are spread over processes cannot be measured. Raises
    `InputError` as `Watch` does, and at the start of the training for a part that the module does not have.
    """

    def __init__(
        self,
        images: Tensor | Iterable[Any],
        deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
        layers: str | Sequence[str] = "all",
        metric: str | tuple[str, ...] | list[str] = "cosine",
        seed: int = 0,
        *,
        name: str = "stability",
        part: str = "",
        per_doubling: int = 1,
        **options: Unpack[Options],
    ) -> None:
        super().__init__()
        self.name, self.part = name, part
        self.watch: Watch[Any] = Watch(
            images, deformation, layers, metric=metric, seed=seed, per_doubling=per_doubling, **options
        )

    @property
    def state_key(self) -> str:
        """Tells the states of several callbacks apart."""
        return self._generate_state_key(name=self.name)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the first step."""
        self._come_by(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After a batch, which with accumulated gradients need not be a step."""
        self._come_by(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last step, whichever it is."""
        if trainer.is_global_zero and trainer.global_step not in self.watch.profiles:
            self._log(trainer, self.watch.measure(self._measured(pl_module), trainer.global_step))

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far."""
        return self.watch.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.watch.load_state_dict(state_dict)

    def _come_by(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self._log(trainer, self.watch(self._measured(pl_module), trainer.global_step))

    def _measured(self, pl_module: LightningModule) -> Any:
        try:
            return pl_module.get_submodule(self.part)
        except AttributeError:
            raise unknown("part of the module", self.part, [n for n, _ in pl_module.named_modules() if n]) from None

    def _log(self, trainer: Trainer, found: Profile | dict[str, Profile] | None) -> None:
        if found is None:
            return
        values: dict[str, float] = {}
        for metric, profile in by_metric(found).items():
            prefix = self.name if isinstance(found, Profile) else f"{self.name}/{metric}"
            for layer, estimate in zip(profile.layers, profile.estimate, strict=True):
                if np.isfinite(estimate):
                    values[f"{prefix}/{layer}"] = float(estimate)
        for logger in trainer.loggers:
            logger.log_metrics(values, trainer.global_step)
