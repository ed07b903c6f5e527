import numpy as np
import pytest
from reference import expanded

from pliant._checks import InputError
from pliant.stats import MeanBootstrap


def numbers(n, k=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k)) + np.arange(k)


def found(values, replicates=1000, seed=0, level=0.95, batch=None):
    bootstrap = MeanBootstrap(values.shape[1], replicates, seed, level)
    for start in range(0, len(values), batch or len(values)):
        bootstrap.add(values[start : start + (batch or len(values))])
    return bootstrap.interval()


def test_equals_the_replicates_written_out():
    values, generator = numbers(7), np.random.Generator(np.random.Philox(key=np.array([5, 0], dtype=np.uint64)))
    counts = np.array([[generator.poisson(1.0) for _ in range(40)] for _ in range(7)])
    means = []
    for r in range(40):
        drawn = np.repeat(values, counts[:, r], axis=0)
        if len(drawn):
            means.append(drawn.mean(axis=0))
    mean, low, high = found(values, 40, 5, 0.8)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose([low, high], np.quantile(means, expanded.quantiles(0.8, 7), axis=0))


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_of_any_size_are_the_same_up_to_rounding(batch):
    values = numbers(100)
    np.testing.assert_allclose(found(values, batch=batch), found(values), rtol=1e-12)


def test_the_interval_is_as_wide_as_the_standard_error_says():
    values = numbers(500, k=1)
    _, low, high = found(values, 4000)
    error = values.std() / np.sqrt(len(values))
    assert (high - low).item() == pytest.approx(2 * 1.96 * error, rel=0.05)


@pytest.mark.parametrize("n", [8, 32, 256])
def test_it_covers_the_true_mean_as_often_as_its_level_says(n):
    # 2,000 trials: the columns of 20 bootstraps are independent of each other but for what is drawn of images.
    covered = []
    for seed in range(20):
        _, low, high = found(np.random.default_rng(seed).normal(size=(n, 100)), 1000, seed)
        covered += ((low < 0) & (high > 0)).tolist()
    assert 0.93 <= np.mean(covered) <= 0.97


def test_numbers_of_one_image_are_resampled_together():
    values = numbers(30, k=1)
    _, low, high = found(np.hstack((values, values, -values)))
    assert low[0] == low[1]
    np.testing.assert_allclose([low[2], high[2]], [-high[0], -low[0]])


def test_the_seed_decides():
    values = numbers(30)
    np.testing.assert_array_equal(found(values, seed=2**64 - 1), found(values, seed=2**64 - 1))
    first, other = found(values, seed=2**64 - 1), found(values, seed=2**64 - 2)
    assert (first[1] != other[1]).all()
    assert (first[2] != other[2]).all()


@pytest.mark.parametrize(("n", "replicates"), [(1, 1000), (4, 1000), (30, 0)])
def test_without_images_or_replicates_there_is_no_interval(n, replicates):
    mean, low, high = found(numbers(n), replicates)
    assert np.isfinite(mean).all()
    assert np.isnan([low, high]).all()
    assert np.isfinite(found(numbers(5))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, -1, 0, 0.95), "replicates=-1, level=0.95: no such interval"),
        ((1, 10, 0, 1.0), "replicates=10, level=1.0: no such interval"),
        ((1, 10, -1, 0.95), "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError) as error:
        MeanBootstrap(*arguments)
    assert str(error.value) == message
