import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import distances as reference

from pliant.metrics import Cosine, Euclidean, geometry

METRICS = {"cosine": (Cosine(), reference.cosine), "euclidean": (Euclidean(), reference.euclidean)}


def block(n, shape, seed=0, noise=0.3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(n, *shape, generator=generator)
    return clean.to(dtype), (clean + noise * torch.randn(n, *shape, generator=generator)).to(dtype)


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None, max_examples=30)
@given(st.integers(2, 9), st.lists(st.integers(1, 12), min_size=0, max_size=3), st.integers(0, 99))
def test_equals_the_loop_over_pairs(name, n, shape, seed):
    shape = (*shape, 3)  # more than one number: between two numbers a cosine is 0 or 2 up to rounding
    metric, distance = METRICS[name]
    clean, deformed = block(n, shape, seed)
    found = geometry(clean, deformed)
    x, y = clean.double().flatten(1).numpy(), deformed.double().flatten(1).numpy()
    own = [distance(a, b) for a, b in zip(x, y, strict=True)]
    pairs = [distance(x[i], x[j]) for i, j in itertools.combinations(range(n), 2)]
    assert metric.paired(found).tolist() == pytest.approx(own, rel=1e-4, abs=1e-6)
    assert metric.pairs(found).tolist() == pytest.approx(pairs, rel=1e-4, abs=1e-5)


def test_small_distances_beside_large_activations_keep_their_precision():
    clean, deformed = block(6, (4, 300), noise=1e-4)
    clean, deformed = 100 + clean, 100 + deformed
    found = geometry(clean, deformed)
    x, y = clean.double().flatten(1).numpy(), deformed.double().flatten(1).numpy()
    own = [reference.cosine(a, b) for a, b in zip(x, y, strict=True)]
    pairs = [reference.cosine(x[i], x[j]) for i, j in itertools.combinations(range(6), 2)]
    assert max(own) < 1e-8
    assert Cosine().paired(found).tolist() == pytest.approx(own, rel=0.05)
    assert Cosine().pairs(found).tolist() == pytest.approx(pairs, rel=0.05)


@pytest.mark.parametrize("name", METRICS)
def test_no_change_is_exactly_no_distance(name):
    clean, _ = block(5, (7, 9, 9))
    assert METRICS[name][0].paired(geometry(clean, clean.clone())).tolist() == [0.0] * 5


def test_cosine_does_not_see_the_scale_and_euclidean_does():
    clean, deformed = block(5, (6, 6))
    once, thrice = geometry(clean, deformed), geometry(3 * clean, 3 * deformed)
    torch.testing.assert_close(Cosine().pairs(thrice), Cosine().pairs(once), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(Euclidean().pairs(thrice), 3 * Euclidean().pairs(once), rtol=1e-4, atol=1e-6)


def test_opposite_right_and_equal_angles():
    clean = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    deformed = torch.tensor([[-1.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    assert Cosine().paired(geometry(clean, deformed)).tolist() == pytest.approx([2.0, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_memory_layout_and_type_do_not_matter(layout, dtype):
    clean, deformed = block(8, (5, 11, 7), dtype=dtype)
    plain = geometry(clean.float(), deformed.float())
    other = geometry(clean.to(memory_format=layout), deformed.to(memory_format=layout))
    torch.testing.assert_close(Cosine().pairs(other), Cosine().pairs(plain), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(Cosine().paired(other), Cosine().paired(plain), rtol=1e-5, atol=1e-7)


def test_slices_add_up():
    clean, deformed = block(130, (3, 50, 50))  # 7,500 numbers an image, several slices
    found = geometry(clean, deformed)
    expected = torch.cdist(clean.double().flatten(1), clean.double().flatten(1)).square()
    torch.testing.assert_close(found.apart, expected, rtol=1e-5, atol=1e-2)


def test_equal_representations_are_constant_to_the_bit():
    row = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 1e3
    clean = row.expand(20, -1, -1, -1).contiguous()
    found = geometry(clean, clean)
    assert found.constant
    assert not geometry(*block(3, (2, 2))).constant


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_not_finite_is_seen(value, which):
    both = block(4, (3, 5))
    both[which][2, 1, 3] = value
    assert not geometry(*both).finite
    assert geometry(*block(4, (3, 5))).finite


def test_a_zero_representation_has_no_direction():
    clean, deformed = block(3, (4,))
    clean[1] = 0
    found = geometry(clean, deformed)
    assert Cosine().paired(found).isnan().tolist() == [False, True, False]
    assert Cosine().pairs(found).isnan().tolist() == [True, False, True]
    assert not Euclidean().pairs(found).isnan().any()


@pytest.mark.parametrize(("n", "width"), [(9, 40_000), (32, 100_003), (33, 1000), (128, 20_000)])
def test_equal_representations_are_0_apart_wherever_they_stand(n, width):
    few = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    which = torch.arange(n) % 3  # the first is not among those compared alone: its differences are 0 anyway
    found = geometry(few[which], few[which])
    equal = which[:, None] == which[None, :]
    assert not found.apart[equal].any()
    assert (found.apart[~equal] > 1.5 * width).all()
