import pytest
import torch
from torch import nn

import pliant

IMAGES = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("found", "columns"),
    [
        (lambda net: pliant.measure(net, IMAGES), ("layer", "estimate", "low", "high")),
        (lambda net: pliant.measure(net, IMAGES, metric="shift_map", largest=2), ("dy", "dx", "distance")),
        (lambda net: pliant.accuracy_under(net, IMAGES, torch.arange(8) % 3), ("strength", "accuracy")),
        (lambda net: pliant.channel_pooling(net, IMAGES, layers="convs"), ("trained", "permuted", "ratio")),
        (lambda net: pliant.worst_case(net, IMAGES, pliant.ThinPlate(), budget=1), ("random", "best_of", "worst")),
    ],
)
def test_results_show_themselves_as_their_tables(found, columns):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    result = found(net)
    assert repr(result) == str(result) == str(result.to_pandas())
    assert set(columns) <= set(result.to_pandas().columns)
    assert result._repr_html_() == result.to_pandas()._repr_html_()
    assert "array(" not in repr(result)
