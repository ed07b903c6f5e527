import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

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


def covered(n, truths):
    """How often a 95% interval holds each truth: not simulated, each number of successes weighed by its probability."""
    counts = np.arange(n + 1)
    found = [proportion(int(count), n) for count in counts]
    low, high = (np.array([[getattr(one, end)] for one in found]) for end in ("low", "high"))
    return (binom.pmf(counts[:, None], n, truths) * ((low <= truths) & (truths <= high))).sum(axis=0)


@pytest.mark.parametrize("n", [256, 359, 2000])
def test_it_covers_the_truth_as_often_as_its_level_says(n):
    shares = covered(n, np.linspace(0.05, 0.95, 91))
    assert 0.93 <= shares.min() <= shares.max() <= 0.97


def test_where_next_to_nothing_is_to_be_expected_it_covers_less():
    assert 0.83 <= covered(256, np.linspace(0.01, 1, 200) / 256).min() <= 0.85


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (5, 4), (-1, 4)])
def test_no_proportion(successes, n):
    with pytest.raises(InputError) as error:
        proportion(successes, n)
    assert str(error.value) == f"a proportion of {successes} among {n} is none"


def test_an_interval_reads_as_a_sentence():
    assert str(Interval(0.1234, 0.1, 0.15, 0.95, 128)) == "0.123 [0.100, 0.150] (95%, n = 128)"
