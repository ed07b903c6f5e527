"""`Replicate`: the nets of one seed under one protocol, as the claims' statistics read them; says what is missing."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant._checks import InputError
from pliant.paper.protocols import Protocol
from pliant.paper.results import Results
from pliant.paper.verdict import Verdict
from pliant.plan import Cell

_Key = tuple[bool, str, float, str, str, float, str, int]
_Curves = dict[tuple[object, ...], Float[np.ndarray, " layers"]]


class Absent(Exception):
    """There is no value of a statistic for this seed: the verdict that this alone would lead to, and why."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict: Verdict = verdict
        self.reason = reason


class Curves:
    """The curves over layers of a study's results, found by what was trained and how it was measured.

    Raises `InputError` for a plan whose cells differ in what claims do not tell apart, such as the width or data set.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._cells: dict[_Key, Cell] = {}
        for cell in results.plan.cells:
            first = self._cells.setdefault(_key(cell), cell)
            if first is not cell:
                raise InputError(
                    f"the plan holds {first.name} and {cell.name}, which claims cannot tell apart: keep one plan for "
                    "each width and data set"
                )
        self._sensitivity = _by(results.sensitivity(), ["run", "step", "batch_norm", "metric", "padding"])
        self._variation = _by(results.total_variation(), ["run", "step"])
        self.seeds = tuple(sorted({cell.seed for cell in results.plan.cells}))

    def run(self, key: _Key, learned: bool) -> str:
        """The name of the finished run; `learned`: it has to have learned its task. Raises `Absent`."""
        cell = self._cells.get(key)
        trained, task, *_, downsampling, _, choice, seed = key
        said = (
            f"{downsampling} {f'on {task}' if trained else 'as drawn'}{'' if choice == 'reference' else f', {choice}'}"
        )
        if cell is None:
            raise Absent("not run", f"{said}, seed {seed}: not in the plan")
        if cell.name in self._results.failed:
            raise Absent("not run", f"{said}, seed {seed}: failed ({self._results.failed[cell.name]})")
        if cell.name not in self._results.records:
            raise Absent("not run", f"{said}, seed {seed}: not run yet")
        if learned and not self._results.fitted(cell.name):
            raise Absent("not fitted", f"{said}, seed {seed}: did not learn its task")
        return cell.name

    def last(self, run: str) -> int:
        """The step at which the run ended."""
        return int(self._results.records[run]["steps"])

    def sensitivity(self, run: str, step: int, batch_norm: str, protocol: Protocol) -> Float[np.ndarray, " layers"]:
        """Sensitivity by layer, 0 being the input; NaN where undefined. Raises `Absent`."""
        found = self._sensitivity.get((run, step, batch_norm, protocol.distance, protocol.padding))
        if found is None:
            raise Absent("not run", f"{run}: not measured under the protocol ({protocol})")
        return found

    def variation(self, run: str, step: int) -> Float[np.ndarray, " convolutions"]:
        """Normalised total variation by 3x3 layer; NaN where undefined. Raises `Absent`."""
        found = self._variation.get((run, step))
        if found is None:
            raise Absent("not run", f"{run}: filters not measured at step {step}")
        return found

    def moments(self, run: str) -> list[int]:
        """The steps at which the run's filters were measured, in order."""
        return sorted(int(str(step)) for name, step in self._variation if name == run)


class Replicate:
    """The nets of one seed under one protocol. `undefined` gathers the layers that were asked for and have no value.

    Sensitivity is normalised, without unit, and NaN where it is undefined or 0, which has no logarithm; so is total
    variation. Each reader raises `Absent` where a net is not run, or has not learned a task that has to be learned.
    """

    def __init__(self, curves: Curves, protocol: Protocol, seed: int) -> None:
        self._curves = curves
        self._protocol = protocol
        self.seed = seed
        self.undefined: list[str] = []

    def others(self) -> Iterator["Replicate"]:
        """The replicates of the other seeds."""
        for seed in self._curves.seeds:
            if seed != self.seed:
                yield Replicate(self._curves, self._protocol, seed)

    def before(
        self, nets: Sequence[str], layers: slice, task: str = "labels", choice: str = "", *, learned: bool = False
    ) -> Float[np.ndarray, "nets layers"]:
        """Sensitivity of the nets before training; `learned`: only of nets that then learn their task.

        choice: of the training, instead of the protocol's own.
        """
        runs = [self._run(net, task, choice=choice, learned=learned) for net in nets]
        norm = self._protocol.batch_norm
        return self._kept(runs, [self._curves.sensitivity(run, 0, norm, self._protocol) for run in runs], layers)

    def after(
        self, nets: Sequence[str], layers: slice, task: str = "labels", choice: str = ""
    ) -> Float[np.ndarray, "nets layers"]:
        """Sensitivity of the nets after training; `choice`: of the training, instead of the protocol's own."""
        runs = [self._run(net, task, choice=choice, learned=True) for net in nets]
        last, norm = self._curves.last, self._protocol.trained_norm
        return self._kept(
            runs, [self._curves.sensitivity(run, last(run), norm, self._protocol) for run in runs], layers
        )

    def drawn(self, nets: Sequence[str], layers: slice, sigma: float = 0.0) -> Float[np.ndarray, "nets layers"]:
        """Sensitivity on photographs of ImageNet's nets as drawn, their filters smoothed by `sigma` pixels."""
        keys: list[_Key] = [
            (False, "labels", 0.0, "imagenet", net, sigma, self._protocol.training, self.seed) for net in nets
        ]
        runs = [self._curves.run(key, learned=False) for key in keys]
        norm = self._protocol.batch_norm
        return self._kept(runs, [self._curves.sensitivity(run, 0, norm, self._protocol) for run in runs], layers)

    def variation_before(self, nets: Sequence[str]) -> Float[np.ndarray, "nets convolutions"]:
        """Normalised total variation before training of nets that then learn the true labels."""
        runs = [self._run(net, "labels", learned=True) for net in nets]
        return self._kept(runs, [self._curves.variation(run, 0) for run in runs])

    def variation_after(
        self, nets: Sequence[str], task: str = "labels", reach: float = 0.0
    ) -> Float[np.ndarray, "nets convolutions"]:
        """Normalised total variation after training; `reach`: of the templates' deformations, pixels."""
        runs = [self._run(net, task, reach, learned=True) for net in nets]
        return self._kept(runs, [self._curves.variation(run, self._curves.last(run)) for run in runs])

    def course(self, net: str) -> tuple[Float[np.ndarray, " moments"], Float[np.ndarray, " moments"]]:
        """The measured steps of a net that learns the true labels, and the mean over layers of its total variation.

        Layers that are undefined at one of the steps are left out at all.
        """
        run = self._run(net, "labels", learned=True)
        steps = self._curves.moments(run)
        if len(steps) < 3:
            raise Absent("not run", f"{run}: filters measured at {len(steps)} steps, a course needs at least 3")
        curves = self._kept([run] * len(steps), [self._curves.variation(run, step) for step in steps])
        return np.array(steps, dtype=np.float64), mean_over_layers(curves)

    def _run(self, net: str, task: str, reach: float = 0.0, choice: str = "", *, learned: bool) -> str:
        key: _Key = (True, task, reach, "cifar", net, 0.0, choice or self._protocol.training, self.seed)
        return self._curves.run(key, learned)

    def _kept(
        self, runs: Sequence[str], curves: Sequence[Float[np.ndarray, " all"]], layers: slice = slice(None)
    ) -> Float[np.ndarray, "nets layers"]:
        """The curves' layers as rows, NaN in place of what has no logarithm."""
        if len({len(curve) for curve in curves}) > 1:
            raise InputError(f"the nets {', '.join(runs)} have different numbers of layers: they are not comparable")
        whole = np.stack(curves).astype(np.float64)
        found = np.where(np.isfinite(whole) & (whole > 0), whole, np.nan)[:, layers]
        start = layers.start or 0
        for row, layer in zip(*np.nonzero(np.isnan(found)), strict=True):
            said = f"layer {layer + start} of {runs[row]}"
            if said not in self.undefined:
                self.undefined.append(said)
        return found


def mean_over_layers(values: Float[np.ndarray, "curves layers"]) -> Float[np.ndarray, " curves"]:
    """The mean over the layers at which all curves are defined. Raises `Absent` where there is none."""
    defined = ~np.isnan(values).any(axis=0)
    if not defined.any():
        raise Absent("undecided", "undefined: no layer has a value in all nets")
    return values[:, defined].mean(axis=1)


def _key(cell: Cell) -> _Key:
    task, net = cell.task, cell.net
    trained = cell.training is not None
    return trained, task.kind, task.reach, net.family, net.downsampling, net.sigma, cell.choice, cell.seed


def _by(table: pd.DataFrame, index: list[str]) -> _Curves:
    """The values by layer under each key of `index`. Raises `InputError` for a layer measured twice."""
    found: dict[tuple[object, ...], dict[int, float]] = {}
    columns = [table[name].tolist() for name in (*index, "layer_index", "value")]
    for *key, layer, value in zip(*columns, strict=True):
        curve = found.setdefault(tuple(key), {})
        if layer in curve:
            raise InputError(f"measurements.parquet holds layer {layer} of {key[0]} twice: delete it and run again")
        curve[layer] = value
    return {
        key: np.array([curve.get(layer, np.nan) for layer in range(max(curve) + 1)]) for key, curve in found.items()
    }
