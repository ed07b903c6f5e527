"""A model as it is named on the command line: as the zoo has it, or with its downsampling replaced."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import nn

from pliant import zoo
from pliant._checks import require
from pliant.capture import has_fresh_batch_norm, zero_batch_norm
from pliant.surgery import Surgery, adaptive_sampling, antialias

CHANGES: dict[str, Callable[[nn.Module], Surgery]] = {"antialias": antialias, "adaptive-sampling": adaptive_sampling}
"""What may stand behind the name of a model, after a plus sign."""


def load(
    name: str,
    *,
    pretrained: bool,
    weights: Path | None,
    size: int | None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    seed: int,
) -> zoo.Loaded:
    """The model of that name, such as "resnet18" or "resnet18+antialias"; all else as in `zoo.load`.

    Where batch norm has seen no data, its source says which of its layers have weights that are all zero.
    """
    base, _, change = name.rpartition("+")
    if change not in CHANGES or not base:
        base, change = name, ""
    loaded = zoo.load(base, pretrained=pretrained, weights=weights, size=size, mean=mean, std=std, seed=seed)
    loaded = replace(loaded, source=loaded.source + _zeros(loaded.model))
    if not change:
        return loaded
    surgery = CHANGES[change](loaded.model)
    require(bool(surgery.replaced), f"{name}: nothing to change. {surgery}")
    left = f", {len(surgery.left)} left ({'; '.join(map(str, surgery.left))})" if surgery.left else ""
    said = f"{len(surgery.replaced)} layers replaced{left}"
    return replace(
        loaded, model=surgery.model.eval(), name=name, source=f"{loaded.source} Changed by {change}: {said}."
    )


def _zeros(model: nn.Module) -> str:
    """A sentence on batch norm that silences what comes before it; empty where there is none, or it is trained."""
    found = zero_batch_norm(model) if has_fresh_batch_norm(model) else []
    if not found:
        return ""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        f" Untrained: the weights of batch norm {found[0]}{more} are all 0: residual branches that end there add "
        "nothing, and their blocks pass the input on."
    )
