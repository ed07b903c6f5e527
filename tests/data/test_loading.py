import io
import socket

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torchvision import datasets

from pliant._checks import InputError
from pliant.data import load
from pliant.data.dataset import Found, Labelled


def refused(*arguments, **options):
    with pytest.raises(InputError) as caught:
        load(*arguments, **options)
    return str(caught.value)


def found(count, size=(16, 16), test=None):
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 1, *size).contiguous()
    return Found(Labelled(images, torch.arange(count)), test, tuple(map(str, range(count))), "numbers")


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.fixture
def no_copy(monkeypatch, tmp_path):
    monkeypatch.delenv("PLIANT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pliant"


def test_the_split_is_a_partition_and_depends_on_the_seed_alone():
    one, again, other = (found(50).dataset("n", seed) for seed in (1, 1, 2))
    assert sorted(one.train_labels.tolist() + one.test_labels.tolist()) == list(range(50))
    assert len(one.train_labels) == 40
    assert torch.equal(one.train_labels, again.train_labels)
    assert torch.equal(one.test_images, again.test_images)
    assert not torch.equal(one.train_labels, other.train_labels)


def test_images_and_labels_stay_together():
    data = found(50).dataset("n", 3)
    assert data.train_images[:, 0, 0, 0].tolist() == data.train_labels.tolist()
    assert data.test_images[:, 0, 0, 0].tolist() == data.test_labels.tolist()


def test_parts_that_are_given_are_mixed_but_not_exchanged():
    data = found(40, test=found(10).train).dataset("n", 0)
    assert sorted(data.train_labels.tolist()) == list(range(40)) != data.train_labels.tolist()
    assert sorted(data.test_labels.tolist()) == list(range(10)) != data.test_labels.tolist()


@pytest.mark.parametrize(("size", "expected"), [((16, 32), (16, 32)), ((28, 28), (32, 32)), ((15, 17), (16, 32))])
def test_sides_are_padded_for_four_halvings(size, expected):
    data = found(10, size).dataset("n", 0)
    assert data.train_images.shape[2:] == expected
    top, left = (expected[0] - size[0]) // 2, (expected[1] - size[1]) // 2
    inside = data.train_images[:, :, top : top + size[0], left : left + size[1]]
    assert (inside == data.train_labels[:, None, None, None]).all()
    assert data.train_images.long().sum() == inside.long().sum()
    said = f"; padded with zeros from {size[1]} x {size[0]} to {expected[1]} x {expected[0]} pixels."
    assert data.source.endswith(said) == (size != expected)


def test_digits():
    data = load("digits")
    assert data.train_images.shape == (1438, 1, 32, 32)
    assert data.test_images.shape == (359, 1, 32, 32)
    assert (data.train_images.min(), data.train_images.max()) == (0, 255)
    assert data.classes == tuple("0123456789")
    assert data.test_labels.bincount().min() > 20
    assert data.source == (
        "scikit-learn's digits, resized from 8 x 8 to 32 x 32 pixels (bilinear); split at random (seed 0) into 1,438 "
        "to train and 359 to test."
    )


def test_a_resized_digit_is_the_digit():
    from sklearn.datasets import load_digits

    from pliant.data.digits import read

    coarse = read().train.images.float().unflatten(3, (8, 4)).unflatten(2, (8, 4)).mean((3, 5)).squeeze(1)
    original = torch.from_numpy(load_digits().images).float() * 255 / 16
    # Means over 4 x 4 blocks of a bilinear enlargement: the original, a little blurred.
    assert torch.corrcoef(torch.stack((coarse.flatten(), original.flatten())))[0, 1] > 0.97
    torch.testing.assert_close(coarse.mean(), original.mean(), rtol=0.01, atol=0)


def test_an_unknown_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative folder is one of the directory that pliant is called from
    remedy = "Or give the folder of one: parquet files, or one subfolder of images a class; there is no "
    remedy += f"{tmp_path}/"
    assert refused("cifar-10") == f"unknown data set 'cifar-10'. Did you mean 'cifar10'? {remedy}cifar-10."
    assert refused("imagenet") == f"unknown data set 'imagenet'. Known: cifar10, digits, mnist. {remedy}imagenet."


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "a.parquet").touch()
    told = f"{tmp_path / 'a.parquet'}: a file, not a folder; name the folder that holds it"
    assert refused(str(tmp_path / "a.parquet")) == told


def test_a_bad_size():
    assert refused("digits", size=1) == "size=1: pixels a side, at least 2"


def test_no_copy_and_no_network(no_copy, no_network):
    remedy = (
        "Connect to a network, or set PLIANT_DATA to a folder that holds {0}/*.parquet, or give a folder in place of "
        "the name"
    )
    for name in ("cifar10", "mnist"):
        told = (
            f"{name} is not on this machine, and downloading it to {no_copy} failed "
            "(<urlopen error [Errno -2] Name or service not known>). "
        )
        assert refused(name) == told + remedy.format(name)


def test_without_a_copy_torchvision_is_asked(no_copy, monkeypatch):
    asked = []

    class Mnist:
        classes = ("0 - zero", "1 - one")

        def __init__(self, root, train, download):
            asked.append((root, train, download))
            self.data = torch.full((4, 28, 28), 9 if train else 5, dtype=torch.uint8)
            self.targets = torch.tensor([0, 1, 1, 0])

    monkeypatch.setattr(datasets, "MNIST", Mnist)
    data = load("mnist")
    assert asked == [(no_copy, True, True), (no_copy, False, True)]
    assert data.train_images.shape == (4, 1, 32, 32)
    assert (data.train_images.max(), data.test_images.max()) == (9, 5)
    assert data.classes == ("0", "1")
    assert data.source.startswith("MNIST through torchvision; 4 to train and 4 to test, as given; padded with zeros")


def test_colours_of_torchvision_become_channels(no_copy, monkeypatch):
    class Cifar:
        classes = ("ant", "bee")

        def __init__(self, root, train, download):
            self.data = np.zeros((4, 32, 32, 3), np.uint8) + np.array([1, 2, 3], np.uint8)
            self.targets = [0, 1, 1, 0]

    monkeypatch.setattr(datasets, "CIFAR10", Cifar)
    data = load("cifar10")
    assert data.train_images.shape == (4, 3, 32, 32)
    assert data.train_images[0, :, 0, 0].tolist() == [1, 2, 3]


def test_pliant_data_goes_before_the_network(tmp_path, no_network, monkeypatch):
    buffer = io.BytesIO()
    Image.new("L", (28, 28), 9).save(buffer, "PNG")
    image = pa.array(
        [{"bytes": buffer.getvalue(), "path": None}] * 10, pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    (tmp_path / "mnist").mkdir()
    pq.write_table(pa.table({"image": image, "label": list(range(10))}), tmp_path / "mnist" / "test.parquet")
    monkeypatch.setenv("PLIANT_DATA", str(tmp_path))
    data = load("mnist")
    assert (data.name, data.train_images.shape, data.train_images.max()) == ("mnist", (8, 1, 32, 32), 9)
    assert data.classes == tuple("0123456789")
