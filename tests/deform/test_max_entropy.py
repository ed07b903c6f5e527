import math

import numpy as np
import pytest
import torch
from reference import sine_series
from scipy import stats

from pliant._checks import InputError
from pliant.deform import MaxEntropy

MODES = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]


def test_equals_the_published_series_with_the_other_sign():
    n, temperature = 16, 2e-3
    member = MaxEntropy(3, temperature=temperature)
    coefficients = member.parameters([4], (n, n))
    square = np.zeros((2, 3, 3))
    for k, (i, j) in enumerate(MODES):
        square[:, i - 1, j - 1] = coefficients[0, :, k].numpy()
    expected = -sine_series.field(square, temperature, 3, n)
    found = member.field(coefficients, (n, n)).displacement[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_mode_along_x_alone():
    member = MaxEntropy(3, displacement=1.0)
    coefficients = torch.zeros(1, 2, len(MODES))
    coefficients[0, 0, MODES.index((2, 1))] = 1.0
    x, y = member.field(coefficients, (9, 9)).displacement[0]
    assert not y.any()
    assert x[4, 2] < 0 < x[4, 6]  # two half waves from left to right, one from top to bottom
    assert x[2, 2] == pytest.approx(float(x[6, 2]), abs=1e-6)


def test_coefficients_are_normal_with_the_deviations_of_their_modes():
    found = MaxEntropy(3).parameters(range(20_000), (8, 8))
    deviations = torch.tensor([1 / math.hypot(i, j) for i, j in MODES])
    torch.testing.assert_close(found.std(0), deviations.expand(2, -1), rtol=0.02, atol=0)
    torch.testing.assert_close(found.mean(0), torch.zeros(2, len(MODES)), atol=0.02, rtol=0)
    fourth = (found / deviations).pow(4).mean()
    assert float(fourth) == pytest.approx(3, rel=0.03)
    together = (found / deviations).flatten(1).T.corrcoef() - torch.eye(2 * len(MODES))
    assert together.abs().max() < 0.03


@pytest.mark.parametrize("cutoff", [2, 3, 6])
def test_the_bound_holds_all_draws_but_one_in_a_thousand(cutoff):
    member = MaxEntropy(cutoff)
    modes = [(i, j) for i in range(1, cutoff + 1) for j in range(1, cutoff + 1) if math.hypot(i, j) < cutoff + 0.5]
    drawn = member.parameters(range(40_000), (8, 8))
    kept = member.within(drawn, (8, 8))
    shrunk = (kept != drawn).flatten(1).any(1)
    assert float(shrunk.float().mean()) == pytest.approx(0.001, abs=5e-4)
    weights = torch.tensor([float(i * i + j * j) for i, j in modes])
    energy = (kept.square() * weights).sum((1, 2))
    bound = stats.chi2.ppf(0.999, 2 * len(modes))
    assert energy.max() <= bound * (1 + 2e-5)
    torch.testing.assert_close(energy[shrunk], torch.full_like(energy[shrunk], bound), rtol=2e-5, atol=0)
    factors = kept[shrunk] / drawn[shrunk]
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))


@pytest.mark.parametrize("cutoff", [2, 3, 5, 10])
def test_the_temperatures_of_the_paper(cutoff):
    n = 32
    low, high = MaxEntropy(cutoff).temperatures((n, n))
    assert MaxEntropy(cutoff, temperature=low).nominal((n, n)) == pytest.approx(0.5)
    assert MaxEntropy(cutoff, temperature=high).nominal((n, n)) == pytest.approx(n / (math.pi * cutoff))


def test_displacement_and_temperature_say_the_same():
    n = 32
    hot = MaxEntropy(3, temperature=4 * 1.5**2 / (math.pi * n**2 * math.log(3)))
    assert hot.nominal((n, n)) == pytest.approx(1.5)
    same = MaxEntropy(3, displacement=1.5)
    torch.testing.assert_close(hot.sample([0], (n, n)).displacement, same.sample([0], (n, n)).displacement)


def test_the_rms_length_is_what_draws_have():
    assert MaxEntropy(3, 1.0).rms((32, 32)) == pytest.approx(0.816, abs=5e-4)
    for size in ((32, 32), (20, 41), (3, 3)):
        found = MaxEntropy(3, 1.0).sample(range(4000), size).displacement.square().sum(1).mean().sqrt()
        assert float(found) == pytest.approx(MaxEntropy(3, 1.0).rms(size), rel=0.02)


def test_it_is_zero_on_the_border():
    field = MaxEntropy(4, "5%").sample(range(3), (12, 17)).displacement
    inner = field[:, :, 1:-1, 1:-1].abs().max()
    for edge in (field[:, :, 0], field[:, :, -1], field[..., 0], field[..., -1]):
        assert edge.abs().max() < 1e-6 * inner


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cutoff": 1}, "cutoff=1: at least 2, the nominal displacement is undefined for 1"),
        (
            {"displacement": 1.0, "temperature": 0.1},
            "displacement=1.0 and temperature=0.1: each gives the other, give one",
        ),
        ({"temperature": -1.0}, "temperature=-1.0: it must be 0 or more and finite"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(InputError) as error:
        MaxEntropy(**arguments)
    assert str(error.value) == message
