import numpy as np
import pytest
import torch
from reference import relative_stability as reference

from pliant._checks import InputError
from pliant.metrics import METRICS, Block, DeformationStability, NoiseStability, RelativeStability

TAKES = {"mean": np.mean, "median": np.median}


def activations(n=7, shape=(4, 5, 3), seed=0):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(n, *shape, generator=generator)
    moved, noisy = (clean + share * torch.randn(n, *shape, generator=generator) for share in (0.3, 0.5))
    return clean, moved, noisy


def value(sample):
    return {"mean": torch.mean, "median": lambda x: torch.quantile(x, 0.5)}[sample.take](sample.values).item()


def measured(metric, clean, moved, noisy):
    reading = metric.read(Block(clean, moved, noisy))
    return value(reading.own) / value(reading.unit)


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_loops_over_images_and_pairs(take, seed):
    three = activations(seed=seed)
    expected = reference.stabilities(*(x.flatten(1).numpy() for x in three), 128, TAKES[take])
    for metric in (DeformationStability(take), NoiseStability(take), RelativeStability(take)):
        name = next(key for key, found in METRICS.items() if found == metric).removesuffix("_median")
        assert measured(metric, *three) == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize("take", TAKES)
def test_r_is_d_over_g(take):
    three = activations()
    d, g, r = (measured(metric(take), *three) for metric in (DeformationStability, NoiseStability, RelativeStability))
    assert r == pytest.approx(d / g, rel=1e-9)


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("metric", [DeformationStability, NoiseStability, RelativeStability])
def test_scale_offset_and_rotation_do_not_matter(metric, take):
    three = [x.flatten(1) for x in activations()]
    plain = measured(metric(take), *three)
    rotation, _ = torch.linalg.qr(torch.randn(60, 60, generator=torch.Generator().manual_seed(1)))
    assert measured(metric(take), *(-2.5 * x + 0.7 for x in three)) == pytest.approx(plain, rel=1e-4)
    assert measured(metric(take), *(x @ rotation for x in three)) == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("metric", [DeformationStability, RelativeStability])
def test_no_change_is_0(metric):
    clean, _, noisy = activations()
    assert measured(metric(), clean, clean.clone(), noisy) == 0.0


def test_noise_of_no_size_is_no_response():
    clean, moved, _ = activations()
    assert measured(NoiseStability(), clean, moved, clean.clone()) == 0.0


def test_equal_responses_to_both_are_1():
    clean, moved, _ = activations()
    assert measured(RelativeStability(), clean, moved, moved.clone()) == pytest.approx(1, rel=1e-12)


def test_the_unit_of_d_and_g_is_computed_once():
    block = Block(*activations())
    assert DeformationStability().read(block).unit is NoiseStability().read(block).unit
    assert DeformationStability("median").read(block).unit is not NoiseStability().read(block).unit


def test_without_noisy_images_it_says_so():
    clean, moved, _ = activations()
    with pytest.raises(InputError) as error:
        NoiseStability().read(Block(clean, moved))
    assert str(error.value) == "this block holds no noisy images: a metric that reads them must set `noise = True`"
