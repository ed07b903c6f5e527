import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expanded

from pliant.stats import PairBootstrap, percentile
from pliant.stats.interval import tails


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(0, 2**32), st.booleans())
def test_equals_the_medians_and_means_written_out(n, seed, ties):
    resampling = PairBootstrap(n, 20, seed)
    numbers = np.random.default_rng(seed)
    first, second = np.triu_indices(n, k=1)
    distances = numbers.integers(0, 4, len(first)).astype(float) if ties else numbers.random(len(first))
    values = numbers.random(n)
    assert (resampling.counts.sum(axis=1) == n).all()
    images = resampling.image_medians(values)
    if n > 1:
        found, means = resampling.medians(distances), resampling.means(distances)
    for r, counts in enumerate(resampling.counts.astype(int)):
        assert resampling.sums(values)[r] == pytest.approx(np.repeat(values, counts).sum())
        assert images[r] == pytest.approx(np.median(np.repeat(values, counts)))
        if n > 1:
            pairs = np.repeat(distances, counts[first] * counts[second])
            assert found[r] == pytest.approx(np.median(pairs) if len(pairs) else np.nan, nan_ok=True)
            assert means[r] == pytest.approx(np.mean(pairs) if len(pairs) else np.nan, nan_ok=True)


def test_a_median_between_pairs_that_are_counted_apart_is_that_of_both():
    first, second = np.triu_indices(20, k=1)
    distances = np.random.default_rng(0).random(len(first))
    for seed in range(1500):
        resampling = PairBootstrap(20, 1, seed)
        (counts,) = resampling.counts.astype(int)
        assert resampling.medians(distances) == [np.median(np.repeat(distances, counts[first] * counts[second]))]


def test_an_image_is_never_paired_with_its_own_copy():
    # All images the same distance apart: a pair with its own copy would bring in another number.
    assert np.unique(PairBootstrap(6, 500, seed=0).medians(np.full(15, 0.7))).tolist() == pytest.approx([0.7])


def test_two_images_leave_some_replicates_without_a_pair():
    medians = PairBootstrap(2, 400, seed=0).medians(np.array([0.5]))
    assert 0.4 < np.isnan(medians).mean() < 0.6
    assert np.isnan(percentile(medians, 0.95, 100)).all()


def test_the_number_of_images_decides_whether_there_is_an_interval_and_no_seed():
    few, enough = (
        [percentile(PairBootstrap(n, 200, seed).medians(np.arange(n * (n - 1) / 2)), 0.95, n) for seed in range(200)]
        for n in (4, 5)
    )
    assert np.isnan(few).all()
    assert np.isfinite(enough).all()


def test_a_seed_of_64_bits_keeps_all_of_them():
    first, second = (PairBootstrap(20, 50, seed).counts for seed in (2**64 - 1, 2**64 - 2))
    assert (first != second).any()


def test_blocks_and_seeds_are_resampled_apart():
    counts = [PairBootstrap(50, 100, seed, block).counts for seed, block in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert (counts[0] == counts[1]).all()
    assert (counts[0] != counts[2]).mean() > 0.4
    assert (counts[0] != counts[3]).mean() > 0.4


def test_many_images_do_not_overflow_the_counts():
    n = 600
    resampling = PairBootstrap(n, 3, seed=0)
    counts = resampling.counts.astype(np.int64)
    assert resampling._totals.tolist() == [((c.sum() ** 2 - (c**2).sum()) // 2) for c in counts]
    distances = np.linspace(0, 1, n * (n - 1) // 2)
    assert np.abs(resampling.medians(distances) - 0.5).max() < 0.1


def coverage(images, trials, blocks=1, replicates=400, seed=0):
    """Share of trials whose 95% interval of mean distance over pair median holds the true ratio.

    Representations are normal in 5 dimensions, own distances a multiple of a chi-squared number; the true pair
    median is found once from many pairs. `blocks` of so many `images` are resampled apart and averaged.
    """
    numbers = np.random.default_rng(seed)
    many = numbers.standard_normal((2, 400_000, 5))
    truth = 0.3 / np.median(np.sqrt(((many[0] - many[1]) ** 2).sum(-1)))
    first, second = np.triu_indices(images, k=1)
    hits = 0
    for trial in range(trials):
        sums, medians = np.zeros((2, replicates))
        for block in range(blocks):
            x = numbers.standard_normal((images, 5))
            own = 0.1 * numbers.chisquare(3, images)
            pairs = np.sqrt(((x[first] - x[second]) ** 2).sum(-1))
            resampling = PairBootstrap(images, replicates, trial, block)
            sums += resampling.sums(own) / images
            medians += resampling.medians(pairs)
        low, high = percentile(sums / medians, 0.95, images)
        hits += low <= truth <= high
    return hits / trials


def test_intervals_of_few_images_cover_the_truth_in_2000_trials():
    assert 0.93 <= coverage(images=32, trials=2000) <= 0.97


def test_intervals_cover_the_truth_at_the_size_of_a_block():
    # 300 trials: 95% +- 2.5 standard errors.
    assert 0.918 <= coverage(images=128, trials=300, replicates=200) <= 0.982


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [1, 2])
def test_intervals_cover_the_truth_in_2000_trials(blocks):
    assert 0.93 <= coverage(128, 2000, blocks) <= 0.97


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [5, 32, 10_000])
def test_the_ends_are_those_of_the_expanded_percentile_interval(level, n):
    assert tails(level, n) == pytest.approx(expanded.quantiles(level, n), rel=1e-9)
    assert tails(level, n)[0] < (1 - level) / 2
