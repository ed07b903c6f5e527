import math

import numpy as np
import pytest
import torch
from scipy import stats

from pliant._checks import InputError
from pliant.measurement.noise import noisy


def pair(n=6, shape=(3, 8, 8)):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, *shape, generator=generator), torch.rand(n, *shape, generator=generator)


def test_it_is_as_long_as_the_deformation_of_each_image():
    clean, deformed = pair()
    deformed[2] = clean[2]
    found = (noisy(clean, deformed, 0, 0, 0) - clean).flatten(1).norm(dim=1)
    torch.testing.assert_close(found, (deformed - clean).flatten(1).norm(dim=1), rtol=1e-5, atol=1e-6)
    assert found[2] == 0


def test_it_is_isotropic_and_gaussian():
    clean = torch.zeros(3, 1, 64, 64)
    found = noisy(clean, clean + 1, 0, 0, 0).flatten(1).numpy()  # length 64, so of 4096 numbers each a variance of 1
    for row in found:
        assert stats.kstest(row, "norm").pvalue > 0.001
    assert np.abs(np.corrcoef(found)[np.triu_indices(3, 1)]).max() < 4 / math.sqrt(4096)


def test_an_image_has_its_own_whatever_the_batch(monkeypatch):
    clean, deformed = pair()
    whole = noisy(clean, deformed, 10, 0, 0)
    assert torch.equal(noisy(clean[4:5], deformed[4:5], 14, 0, 0), whole[4:5])
    monkeypatch.setattr("pliant.measurement.noise._AT_ONCE", 400)
    assert torch.equal(noisy(clean, deformed, 10, 0, 0), whole)


@pytest.mark.parametrize("change", [(11, 0, 0), (10, 1, 0), (10, 0, 1)])
def test_another_image_seed_or_draw_has_another(change):
    clean, deformed = pair()
    assert torch.equal(noisy(clean, deformed, 10, 0, 0), noisy(clean, deformed, 10, 0, 0))
    assert (noisy(clean, deformed, *change) != noisy(clean, deformed, 10, 0, 0)).float().mean() > 0.99


def test_integers_are_refused():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(InputError) as error:
        noisy(images, images, 0, 0, 0)
    assert str(error.value) == (
        "noise cannot be added to images of uint8: give images or a preprocess of floating point"
    )
