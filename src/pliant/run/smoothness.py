"""How smooth the filters of a net of the study are, layer by layer."""

from torch import nn

from pliant.metrics import FilterVariation, filter_variations


def of_layers(net: nn.Module) -> list[FilterVariation]:
    """The total variation of the net's own layers: what a learned downsampling holds is none of them."""
    return [variation for variation in filter_variations(net) if ".down." not in variation.layer]
