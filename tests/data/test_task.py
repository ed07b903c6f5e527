import pytest
import torch

from pliant import draws
from pliant._checks import InputError
from pliant.data import examples, load, templates
from pliant.data.task import Examples
from pliant.deform import ThinPlate, warp
from pliant.plan import Task


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def drawn(kind, seed=0, data=None, limit=40, **fields):
    task = Task(kind, "digits", limit, preprocessing="unit", **fields)
    return examples(task, seed) if data is None else examples(task, seed, lambda name: data)


def same(one: Examples, other: Examples) -> bool:
    return all(
        torch.equal(getattr(one, part), getattr(other, part))
        for part in ("train", "train_labels", "test", "test_labels")
    )


@pytest.mark.parametrize("kind", ["random_labels", "random_images", "shuffled_pixels", "templates"])
def test_what_is_drawn_depends_on_the_seed_alone(kind, digits):
    fields = {"reach": 2.0} if kind == "templates" else {}
    one = drawn(kind, 3, digits, **fields)
    assert same(one, drawn(kind, 3, digits, **fields))
    assert not same(one, drawn(kind, 4, digits, **fields))
    fewer = drawn(kind, 3, digits, limit=20, **fields)
    assert torch.equal(fewer.train, one.train[:20])
    assert torch.equal(fewer.train_labels, one.train_labels[:20])


def test_labels_are_the_data_sets(digits):
    found = drawn("labels", data=digits)
    assert torch.equal(found.train, digits.train_images[:40].float() / 255)
    assert torch.equal(found.train_labels, digits.train_labels[:40])
    assert found.classes == 10


def test_random_labels_keep_the_images_and_take_every_class(digits):
    found = drawn("random_labels", data=digits, limit=1000)
    assert torch.equal(found.train, digits.train_images[:1000].float() / 255)
    counts = found.train_labels.bincount(minlength=10)
    assert counts.min() > 60
    assert (found.train_labels == digits.train_labels[:1000]).float().mean() < 0.15
    assert torch.equal(found.test_labels, digits.test_labels)


def test_random_images_have_pixels_of_their_own(digits):
    found = drawn("random_images", data=digits)
    assert found.train.unique().numel() == 256
    assert abs(found.train.mean().item() - 0.5) < 0.01
    flat = found.train.flatten(1) - 0.5
    assert (torch.corrcoef(flat) - torch.eye(40)).abs().max() < 0.25
    assert not torch.equal(found.train[:10], found.test[:10])


def test_shuffled_pixels_take_one_order_for_all_images(digits):
    found = drawn("shuffled_pixels", seed=5, data=digits)
    order = draws.permutation(5, draws.Stream.PIXELS, 1, 32 * 32)
    for part, images in (("train", digits.train_images[:40]), ("test", digits.test_images)):
        expected = images.flatten(2)[:, :, order].view(images.shape).float() / 255
        assert torch.equal(getattr(found, part), expected)


def test_templates_are_one_image_a_class_and_its_deformations(digits):
    pictures = templates(digits)
    assert [int(digits.train_labels[(digits.train_images == p).flatten(1).all(1)][0]) for p in pictures] == list(
        range(10)
    )
    found = drawn("templates", seed=2, data=digits, reach=3.0)
    assert found.train_labels.tolist() == [i % 10 for i in range(40)]
    field = ThinPlate(3, 3.0).sample([7], (32, 32), 2, 1)
    assert torch.equal(found.train[7], warp(pictures[7:8], field)[0].float() / 255)
    assert len(found.test) == 1024
    assert not torch.equal(found.train[:10], found.test[:10])


def test_preprocessing(digits):
    image = examples(Task("labels", "digits", 50), 0, lambda name: digits)
    assert image.train.mean((1, 2, 3)).abs().max() < 1e-5
    whole = examples(Task("labels", "digits", 50, preprocessing="dataset"), 0, lambda name: digits)
    assert abs(whole.train.mean().item()) < 1e-5
    assert abs(whole.train.square().mean().item() - 1) < 1e-4
    assert whole.train.mean((1, 2, 3)).abs().max() > 0.05


def test_photographs_are_measured_and_calibrated_on_apart():
    found = examples(Task("labels", "photographs", 4), 0)
    assert found.test.shape == found.train.shape == (4, 3, 224, 224)
    assert not torch.equal(found.test, found.train)


def test_photographs_have_no_training_set_to_standardise_by():
    with pytest.raises(InputError, match="^preprocessing='dataset' of photographs: there is no training set"):
        examples(Task("labels", "photographs", 4, preprocessing="dataset"), 0)


@pytest.mark.parametrize("kind", ["labels", "random_labels", "random_images", "shuffled_pixels"])
@pytest.mark.parametrize("preprocessing", ["image", "unit"])
def test_nets_of_all_tasks_are_measured_on_the_same_real_images(kind, preprocessing, digits):
    real = examples(Task("labels", "digits", 40, preprocessing=preprocessing), 0, lambda name: digits)
    found = examples(Task(kind, "digits", 40, preprocessing=preprocessing), 0, lambda name: digits)
    assert torch.equal(found.probe, real.test)
    assert torch.equal(found.usual, real.train)  # what batch norm is calibrated with


def test_templates_are_measured_on_their_deformations(digits):
    found = drawn("templates", data=digits, reach=2.0)
    assert torch.equal(found.probe, found.test)
    assert torch.equal(found.usual, found.train)
