"""Everything needed to do it again: command, plan, data, protocol, versions, as pairs of a label and its value."""

import pprint
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pliant.plan import Measuring, Study, Training
from pliant.profile import Profile
from pliant.report import wording
from pliant.report.nets import MOMENTS, Comparison
from pliant.report.sides import Side

Facts = list[tuple[str, str]]


def command(study: Study) -> str | None:
    """The command that runs the study; None where it takes more than the options of `pliant demo`."""
    if study != replace(study, training=Training(epochs=study.training.epochs), measuring=Measuring()):
        return None
    plain = Study()
    limit = "" if study.limit is None else f" --limit {study.limit}"
    nets = f" --downsampling {','.join(study.downsampling)}" if study.downsampling != plain.downsampling else ""
    padding = f" --padding-mode {study.padding_mode}" if study.padding_mode != plain.padding_mode else ""
    skip = f" --pool-skip {study.pool_skip}" if study.pool_skip != plain.pool_skip else ""
    return (
        f"pliant demo --data {shlex.quote(study.data)}{nets}{padding}{skip} --width {study.width:g} "
        f"--epochs {study.training.epochs}{limit} --seed {study.seed}"
    )


def python(study: Study) -> str:
    """A Python program that runs the study, whatever its plan."""
    plan = pprint.pformat(study.to_json(), sort_dicts=False, width=100)
    return (
        "from pathlib import Path\n\nfrom pliant.plan import Study\nfrom pliant.run.study import execute\n\n"
        f"plan = {plan}\n"
        f'execute(Study.from_json(plan), Path("runs/{study.identity}"))\n'
    )


def of_run(run: Comparison) -> Facts:
    """Data, training, seeds, machine and versions of a run; where its nets differ, each with its own."""
    data, training = run.data, run.study.training
    made = {net.title: net.record["provenance"] for net in run.nets}
    profiles = {f"{net.title}, {MOMENTS[moment]}": p for net in run.nets for moment, p in net.profiles.items()}
    size = "x".join(map(str, data["shape"]))
    return [
        ("Plan", run.study.identity),
        ("Data", f"{data['name']}: {data['source']}"),
        ("Images", f"{data['train']:,} to train, {data['test']:,} to test, {len(data['classes'])} classes, {size}"),
        ("Preprocessing", data["preprocessing"]),
        ("Seed", f"{run.study.seed}, of initial weights, order of batches, deformations and bootstrap"),
        ("Nets", f"width {run.study.width:g}; " + _by_net(run, "parameters", "{:,} parameters")),
        (
            "Training",
            f"{training.epochs} epochs, batch {training.batch_size}, peak rate {training.peak_rate:g}, Nesterov "
            f"momentum {training.momentum:g}, weight decay {training.weight_decay:g}, precision "
            + _by_net(run, "precision", "{}"),
        ),
        *_protocol(list(profiles.values())),
        *_machine(made, profiles),
        ("Time", _by_net(run, "seconds", "{:.0f} s")),
    ]


def of_profile(profile: Profile) -> Facts:
    """Protocol, machine and versions of one profile."""
    return [*_protocol([profile]), *_machine({"": profile.provenance}, {"": profile})]


def of_sides(sides: Sequence[Side]) -> Facts:
    """Sources, protocol, machine and versions of models side by side; where they differ, each with its own."""
    profiles = {side.title: side.profile for side in sides}
    made = {title: profile.provenance for title, profile in profiles.items()}
    return [
        *((side.title, side.source) for side in sides),
        *_protocol(list(profiles.values())),
        *_machine(made, profiles),
    ]


def _protocol(profiles: list[Profile]) -> Facts:
    """How the profiles were measured. One run measures all alike, but for batch norm."""
    first = profiles[0].protocol
    described = first.get("deformation", {})
    unit = "" if isinstance(described.get("reach"), str) else " px"  # a length in words has one of its own
    per_axis = f"{unit} at most per axis" if described.get("family") == "thin_plate" else ""
    moved = profiles[0].provenance.get("displacement", {})
    pixels = f"; rms {moved['rms']:.2f} px, largest {moved['largest']:.2f} px" if moved else ""
    outside = f"outside the image: {first['padding']}"
    shape = " and ".join(dict.fromkeys("x".join(map(str, p.protocol.get("image_shape", ()))) for p in profiles))
    return [
        (
            "Deformation",
            f"{wording.deformation(first)}{per_axis}{pixels}; {outside}",
        ),
        ("Folds", ", ".join(dict.fromkeys(wording.folds_of(profile) for profile in profiles))),
        ("Measured on", f"{first['images']:,} images of {shape}, in blocks of {first['block']} that share a median"),
        ("Distance" if wording.is_sensitivity(profiles[0]) else "Metric", profiles[0].metric),
        ("Batch norm", ", ".join(dict.fromkeys(wording.batch_norm(profile.protocol) for profile in profiles))),
        ("Intervals", f"{first['level']:.0%}, bootstrap over images, {first['replicates']:,} replicates"),
        ("Deformations drawn", f"seed {first['seed']}, draw {first['draw']}"),
    ]


def _machine(made: dict[str, dict[str, Any]], profiles: dict[str, Profile]) -> Facts:
    """Versions and machine; `made`: provenance by net."""
    measured = {name: profile.provenance for name, profile in profiles.items()}
    versions = {name: found.get("versions", {}) for name, found in made.items()}
    listed = {name: ", ".join(f"{k} {v}" for k, v in sorted(found.items())) for name, found in versions.items()}
    return [
        ("pliant", _agreed({name: found.get("pliant") for name, found in made.items()})),
        ("Commit", _agreed({name: found.get("commit") or "not run from a checkout" for name, found in made.items()})),
        ("Versions", _agreed(listed)),
        ("Python", _agreed({name: found.get("python") for name, found in made.items()})),
        ("Platform", _agreed({name: found.get("platform") for name, found in made.items()})),
        ("Device", _agreed({name: found.get("device") for name, found in made.items()})),
        ("Threads", _agreed({name: found.get("threads") for name, found in made.items()})),
        ("Measured in", _agreed({name: found.get("dtype") for name, found in measured.items()})),
        ("Written", _agreed({name: found.get("time") for name, found in made.items()})),
    ]


def _by_net(run: Comparison, key: str, form: str) -> str:
    return _agreed({net.title: form.format(net.record[key]) for net in run.nets if net.record.get(key) is not None})


def _agreed(values: dict[str, Any]) -> str:
    """The value that all have; where they differ, each value with those that have it."""
    holders: dict[str, list[str]] = {}
    for name, value in values.items():
        holders.setdefault("unknown" if value is None else str(value), []).append(name)
    if len(holders) == 1:
        return next(iter(holders))
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in holders.items())
