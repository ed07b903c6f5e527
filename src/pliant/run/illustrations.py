"""The pictures of the study: deformed photographs, templates, and how near the class comes to rigid motion."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pliant import records
from pliant.data import examples, load, photographs, templates
from pliant.deform import Field, Pose, Rotate, ThinPlate, Translate, warp
from pliant.paper.plans import STRENGTHS
from pliant.plan import Plan, Task

NAME = "illustrations.npz"
_SIZE = (224, 224)
_REACH = 10.0
_PLATE = ThinPlate(grid=5, reach=_REACH)
_PHOTOGRAPHS = 3


def write_illustrations(folder: Path, plan: Plan) -> Path:
    """Write illustrations.npz, what Figures 1, 3a and A1 to A3 are drawn from; returns its path.

    photographs, photographs_deformed: (p, 3, 224, 224) uint8; displacement: (p, 2, 224, 224) float32, pixels; control,
    reach: of their thin plate. templates: (k, c, h, w) uint8, template_examples: (strengths, k, c, h, w).
    rigid_names: (m,); rigid_true, rigid_class: (m, 3, 224, 224) uint8, a photograph moved by a rigid motion and by
    the nearest deformation of the class; rigid_rms: (m,) root mean square length of the difference, pixels.
    """
    pictures = photographs(_SIZE[0], _PHOTOGRAPHS)
    field = _PLATE.sample(range(_PHOTOGRAPHS), _SIZE)
    content: dict[str, Any] = {
        "photographs": pictures.numpy(),
        "photographs_deformed": warp(pictures, field, "border").numpy(),
        "displacement": field.displacement.numpy(),
        "control": np.array(_PLATE.grid),
        "reach": np.array(_REACH),
        **_rigid(pictures[1:2]),
        **_templates(plan),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    return records.write_bytes(folder / NAME, buffer.getvalue())


def _templates(plan: Plan) -> dict[str, np.ndarray]:
    names = {cell.task.data for cell in plan.cells if cell.task.kind == "templates"}
    if not names:
        return {}
    data = load(sorted(names)[0])
    pictures = templates(data)
    drawn = []
    for reach in STRENGTHS:
        task = Task("templates", data.name, len(pictures), reach, preprocessing="unit")
        drawn.append((255 * examples(task, 0, lambda name: data).train).round().to(torch.uint8).numpy())
    return {"templates": pictures.numpy(), "template_examples": np.stack(drawn)}


def _rigid(picture: Tensor) -> dict[str, np.ndarray]:
    """Motions of Figures A1 to A3, and the deformation of the class that lies nearest in the mean square."""
    motions = {
        # A part below and to the right of the middle moves up by 9 pixels.
        "pose": Pose(9.0, 122.0).field(torch.tensor([[151.5, 131.5, 0.0, -9.0]]), _SIZE),
        "translation by 8 px": Translate(x=-8).sample([0], _SIZE),
        "rotation by 4 degrees": Rotate(degrees=-4).sample([0], _SIZE),
    }
    near = {name: _nearest(moved.displacement) for name, moved in motions.items()}
    return {
        "rigid_names": np.array(list(motions), dtype=np.str_),
        "rigid_true": torch.cat([warp(picture, moved, "border") for moved in motions.values()]).numpy(),
        "rigid_class": torch.cat([warp(picture, Field(moved), "border") for moved in near.values()]).numpy(),
        "rigid_rms": np.array([float(Field(motions[name].displacement - near[name]).rms) for name in motions]),
    }


def _nearest(moved: Float[Tensor, "1 2 h w"]) -> Float[Tensor, "1 2 h w"]:
    """The field of the class nearest to a displacement: least squares, each control point within its reach."""
    points = _PLATE.grid**2
    unit = torch.eye(points)[:, None].expand(points, 2, points)
    basis = _PLATE.field(unit, _SIZE).displacement[:, 0].flatten(1).double()
    found = torch.linalg.lstsq(basis.T, moved[0].flatten(1).double().T).solution.T
    return _PLATE.field(found.clamp(-_REACH, _REACH).float()[None], _SIZE).displacement
