import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pliant._checks import InputError
from pliant.stats import Interval, equivalent, student

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))


def test_the_interval_of_one_two_three_by_hand():
    # Mean 2, standard deviation 1, t of 2 degrees of freedom at 97.5% is 4.3027: 2 +- 4.3027 / sqrt(3).
    found = student(np.array([1.0, 2.0, 3.0]))
    assert (found.estimate, found.level, found.n) == (2.0, 0.95, 3)
    assert (found.low, found.high) == (pytest.approx(-0.48414, abs=1e-5), pytest.approx(4.48414, abs=1e-5))


@given(st.lists(numbers, min_size=2, max_size=30), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_equals_scipys_t_interval(values, level):
    found = student(np.array(values), level)
    scale = stats.sem(values)
    low, high = (
        stats.t.interval(level, len(values) - 1, np.mean(values), scale) if scale > 0 else (np.mean(values),) * 2
    )
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize("n", [3, 5])
def test_it_covers_the_truth_as_often_as_its_level_says(n):
    drawn = np.random.default_rng(n).normal(4.0, 2.0, (2000, n))
    intervals = [student(values) for values in drawn]
    covered = np.mean([found.low <= 4.0 <= found.high for found in intervals])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("n", [3, 5])
def test_a_mean_on_the_margin_is_called_equivalent_as_rarely_as_alpha_says(n):
    drawn = np.random.default_rng(n).normal(1.0, 0.1, (2000, n))
    assert 0.03 <= np.mean([equivalent(values, 1.0) for values in drawn]) <= 0.07


@given(st.lists(numbers, min_size=2, max_size=30), numbers, st.floats(0.1, 100))
def test_it_moves_and_scales_with_the_values(values, shift, scale):
    plain, moved = student(np.array(values)), student(np.array(values) * scale + shift)
    assert moved.low == pytest.approx(plain.low * scale + shift, abs=1e-5)
    assert moved.high == pytest.approx(plain.high * scale + shift, abs=1e-5)


def test_one_value_has_no_interval_and_shows_no_equivalence():
    found = student(np.array([0.3]))
    assert (found.estimate, found.level, found.n) == (0.3, 0.95, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not equivalent(np.array([0.0]), 1.0)


def test_equal_values_have_an_interval_of_no_width():
    assert student(np.array([0.5, 0.5, 0.5])) == Interval(0.5, 0.5, 0.5, 0.95, 3)


def test_equivalence_is_two_one_sided_tests():
    # The 90% interval of 1, 2, 3 is 2 +- 2.91999 / sqrt(3) = 0.31414 ... 3.68586; scipy's tests agree.
    values = np.array([1.0, 2.0, 3.0])
    assert equivalent(values, 3.6859)
    assert not equivalent(values, 3.6858)
    for margin in (3.6859, 3.6858):
        above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(values, margin, alternative="less").pvalue
        assert equivalent(values, margin) == (max(above, below) < 0.05)


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ([], 0.95, "the mean of no values: at least 1 is needed, and 2 for an interval"),
        (
            [1.0, math.nan],
            0.95,
            "values [1.0, nan] are not all finite: leave out what is undefined, and say so",
        ),
        ([math.inf, 1.0], 0.95, "values [inf, 1.0] are not all finite: leave out what is undefined, and say so"),
        ([1.0, 2.0], 1.0, "level=1.0: a confidence level lies between 0 and 1"),
    ],
)
def test_what_has_no_interval(values, level, message):
    with pytest.raises(InputError) as error:
        student(np.array(values), level)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("margin", "alpha", "message"),
    [
        (0.0, 0.05, "margin=0.0: above 0, and named before the values are seen"),
        (1.0, 0.5, "alpha=0.5: between 0 and 0.5"),
    ],
)
def test_what_is_no_equivalence(margin, alpha, message):
    with pytest.raises(InputError) as error:
        equivalent(np.array([1.0, 2.0]), margin, alpha)
    assert str(error.value) == message
