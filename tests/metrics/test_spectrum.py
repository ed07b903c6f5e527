import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import laplacian_spectrum as reference

from pliant._checks import InputError
from pliant.metrics import laplacian_spectrum


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 6)] * 2), st.integers(0, 999))
def test_equals_an_eigensolver_in_the_space_of_each_eigenvalue(shape, seed):
    weight = weights(*shape, seed=seed)
    found = laplacian_spectrum(weight)
    sums = {}
    for value, energy in zip(found.eigenvalues.tolist(), found.energies.tolist(), strict=True):
        key = round(value, 5) + 0.0
        sums[key] = sums.get(key, 0.0) + energy
    expected = reference.by_eigenvalue(weight.double().numpy())
    assert list(sums) == pytest.approx(sorted(expected), abs=1e-5)
    assert list(sums.values()) == pytest.approx([expected[key] for key in sorted(expected)], rel=1e-4, abs=1e-5)


def test_the_spectrum_of_3x3_taps():
    assert laplacian_spectrum(weights(2, 2, 3, 3)).eigenvalues.tolist() == pytest.approx([0, 1, 1, 2, 3, 3, 4, 4, 6])


def test_of_constant_filters_all_energy_is_in_the_first():
    weight = weights(6, 4, 1, 1).expand(6, 4, 3, 3)
    energies = laplacian_spectrum(weight).energies
    assert energies[0].item() == pytest.approx(weight.square().sum().item())
    assert energies[1:].abs().max() < 1e-10


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (2, 3, 5, 7), (4, 4, 1, 1), (3, 2, 1, 7)])
def test_the_energies_sum_to_the_squared_length(shape):
    weight = weights(*shape)
    assert laplacian_spectrum(weight).energies.sum().item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


def test_of_equal_eigenvalues_the_wave_along_x_comes_first():
    wave = torch.tensor([1.0, 0.0, -1.0]).expand(3, 3)[None, None]
    assert laplacian_spectrum(wave).energies.tolist() == pytest.approx([0, 6, 0, 0, 0, 0, 0, 0, 0], abs=1e-6)
    assert laplacian_spectrum(wave.mT).energies.tolist() == pytest.approx([0, 0, 6, 0, 0, 0, 0, 0, 0], abs=1e-6)


def test_independent_taps_have_the_same_energy_everywhere():
    energies = laplacian_spectrum(weights(300, 300, 3, 3)).energies / 300**2
    assert energies.tolist() == pytest.approx([1.0] * 9, abs=5 * math.sqrt(2) / 300)


def test_the_gradient_is_that_of_finite_differences():
    weight = weights(2, 2, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: laplacian_spectrum(w).energies, weight)


def test_half_precision_is_summed_in_full():
    weight = weights(16, 16, 3, 3).bfloat16()
    found = laplacian_spectrum(weight).energies
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, laplacian_spectrum(weight.float()).energies)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 0, 3)])
def test_bad_input_is_refused(shape):
    with pytest.raises(InputError) as error:
        laplacian_spectrum(torch.zeros(shape))
    assert str(error.value) == f"weights have the shape (out, in, kh, kw), got {shape}"
