import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pliant._checks import InputError
from pliant.stats import Interval, proportion


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_equals_scipys_wilson_interval(n, share, level):
    successes = round(share * n)
    expected = binomtest(successes, n).proportion_ci(level, method="wilson")
    found = proportion(successes, n, level)
    assert (found.estimate, found.level, found.n) == (successes / n, level, n)
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (5, 4), (-1, 4)])
def test_no_proportion(successes, n):
    with pytest.raises(InputError) as error:
        proportion(successes, n)
    assert str(error.value) == f"a proportion of {successes} among {n} is none"


def test_an_interval_reads_as_a_sentence():
    assert str(Interval(0.1234, 0.1, 0.15, 0.95, 128)) == "0.123 [0.100, 0.150] (95%, n = 128)"
