import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import shifts as reference
from torch import nn

from pliant.deform import Circular, ThinPlate, warp
from pliant.measurement import measure
from pliant.metrics import Block, Consistency
from pliant.profile import Profile

FLAT = "all logits of each image of a block are equal: no top-1"


def logits(n=40, k=5, seed=0, share=0.5):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(n, k, generator=generator)
    return clean, clean + share * torch.randn(n, k, generator=generator)


def read(clean, deformed):
    return Consistency().read(Block(clean, deformed)).own.values


def pictures(n, size=12, seed=0):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def net(*downsampling):
    """A circular net that ends in the means of its maps."""
    conv = nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return nn.Sequential(conv, nn.ReLU(), *downsampling, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Subsample(nn.Module):
    def forward(self, x):
        return x[:, :, ::4, ::4]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(2, 7), st.integers(0, 99), st.booleans())
def test_equals_the_loop_over_images(n, k, seed, ties):
    clean, deformed = logits(n, k, seed)
    if ties:
        clean, deformed = clean.round(), deformed.round()
    clean[0, 0], deformed[0, 0] = 9, 9  # not all equal
    found = read(clean, deformed)
    assert set(found.tolist()) <= {0.0, 1.0}
    assert found.mean().item() == pytest.approx(reference.consistency(clean.numpy(), deformed.numpy()))


def test_no_change_is_1_and_another_class_is_0():
    clean, _ = logits()
    assert read(clean, clean.clone()).tolist() == [1.0] * 40
    assert read(clean, -clean).tolist() == [0.0] * 40


@pytest.mark.parametrize("change", [lambda x: 3 * x + 7, torch.exp, lambda x: x[:, [3, 1, 4, 0, 2]]])
def test_what_keeps_the_order_of_the_logits_or_renames_the_classes_does_not_matter(change):
    clean, deformed = logits()
    plain = read(clean, deformed)
    assert 0.2 < plain.mean() < 0.9
    assert torch.equal(read(change(clean), change(deformed)), plain)


def test_of_equal_logits_the_first_counts():
    clean = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])
    deformed = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert read(clean, deformed).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4, 5), (3, 2, 4, 4)])
def test_what_is_no_logits_is_undefined(shape):
    reading = Consistency().read(Block(torch.rand(shape), torch.rand(shape)))
    named = ", ".join(["n", *map(str, shape[1:])])
    assert reading.fault == f"({named}) are no logits: take layers='output'"
    assert reading.own.values.isnan().all()


class Head(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make, self.inner = make, net()

    def forward(self, x):
        return self.make(self.inner(x))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (torch.zeros_like, FLAT),
        (lambda y: y.mean(1, keepdim=True).expand_as(y), FLAT),
        (lambda y: y * float("nan"), "NaN or infinite activations"),
    ],
)
def test_a_model_without_a_top_1_is_undefined_and_never_1(make, reason):
    profile = measure(Head(make), pictures(8), ThinPlate(), "output", "consistency")
    assert profile.undefined["output"] == reason
    assert np.isnan(profile["output"].estimate)


def test_a_net_that_does_not_see_shifts_is_consistent_and_one_that_subsamples_is_not():
    found = measure(net(), pictures(60), Circular("50%"), layers="output", metric="consistency")
    assert (found["output"].estimate, found["output"].low, found["output"].high) == (1.0, 1.0, 1.0)
    assert found.undefined == {"input": "(n, 3, 12, 12) are no logits: take layers='output'"}
    assert (found.quantity, found.medians[1].tolist()) == ("consistency", [1.0])
    other = measure(net(Subsample()), pictures(60), Circular("50%"), layers="output", metric="consistency")
    assert other["output"].high < 0.9


def test_batches_do_not_matter_seeds_do_and_it_comes_back_from_its_files(tmp_path):
    model, images = net(Subsample()), pictures(40)
    whole = measure(model, images, Circular("50%"), "output", "consistency", block=8)
    parts = measure(model, [images[:1], images[1:13], images[13:]], Circular("50%"), "output", "consistency", block=8)
    np.testing.assert_array_equal(parts.distances, whole.distances)
    assert parts["output"] == whole["output"]
    for change in ({"seed": 1}, {"draw": 1}):
        other = measure(model, images, Circular("50%"), "output", "consistency", **change)
        assert (other.distances[1] != whole.distances[1]).any()
    again = Profile.load(whole.save(tmp_path))
    assert (again.metric, again.quantity, again.scale) == (whole.metric, whole.quantity, whole.scale)
    assert again["output"] == whole["output"]


@pytest.mark.parametrize("family", [Circular("50%"), ThinPlate(reach=1.5)])
def test_measured_it_is_what_the_model_answers(family):
    model, images = net(Subsample()), pictures(30)
    found = measure(model, images, family, "output", "consistency", seed=2, block=8)
    with torch.no_grad():
        answers = [model(x).numpy() for x in (images, warp(images, family.sample(range(30), (12, 12), seed=2)))]
    assert found["output"].estimate == pytest.approx(reference.consistency(*answers))
    assert found["output"].low < found["output"].estimate < found["output"].high
    assert found.distances[1].tolist() == [reference.top(a) == reference.top(b) for a, b in zip(*answers, strict=True)]
