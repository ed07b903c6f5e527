"""`pliant layers`: what can be measured in a model."""

import torch
from rich.console import Console
from rich.table import Table

from pliant.capture import PRESETS, kept, select, trace
from pliant.cli import changed
from pliant.cli.measure import listed


def layers(
    model: str,
    *,
    layers: str = "all",
    size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> int:
    """List the layers of a model in the order in which they run, with their shapes and the presets that hold them.

    In brackets stands the name that a preset gives a layer, where it has another one: blocks (layer1.0) is what
    `pliant measure` calls layer1.0, the block that ends in the layer on that line.

    Parameters
    ----------
    model
        As for `pliant measure`; no weights are fetched.
    layers
        blocks, convs, stages, all, a glob such as "layer3.*", or names with commas between them.
    size
        Pixels a side of the input, instead of the model's own.
    mean
        As for `pliant measure`; one number for a model of grey images from a file.
    std
        As for `pliant measure`.
    """
    loaded = changed.load(model, pretrained=False, weights=None, size=size, mean=mean, std=std, seed=0)
    images = torch.zeros(2, loaded.channels, *loaded.size)
    with kept(loaded.model):
        calls = trace(loaded.model.eval(), loaded.normalise(images))
    chosen = select(loaded.model, calls, listed(layers))
    listing = {call.name for call in chosen}
    held = {}
    for preset in ("blocks", "convs", "stages"):
        for call in PRESETS[preset](loaded.model, calls):
            if call.name in listing:
                held.setdefault(call.name, []).append(preset)
            else:  # a container, where the layer is listed whose output it hands on
                held.setdefault(call.repeats, []).append(f"{preset} ({call.name})")
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "kind", "shape", "presets"):
        table.add_column(title, no_wrap=title == "layer", overflow="fold")
    for call in chosen:
        shape = " x ".join(map(str, call.shape))
        table.add_row(call.name, call.kind.__name__, shape, " ".join(held.get(call.name, [])))
    console = Console()
    console.print(table, markup=False)
    rest = "; the others repeat one listed, or hold no batch" if layers == "all" and len(chosen) < len(calls) else ""
    console.print(f"{len(chosen)} of {len(calls)} calls{rest}; input {' x '.join(map(str, images.shape[1:]))}")
    return 0
