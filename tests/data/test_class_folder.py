import numpy as np
import pytest
import torch
from data.bad_images import noise
from PIL import Image

from pliant._checks import InputError
from pliant.data import Skipped, load


def write(folder, names, size=(40, 30)):
    """One image a name, its colour that of its place in the list."""
    for value, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (value, value, 200)).save(path)


def refused(folder):
    with pytest.raises(InputError) as caught:
        load(str(folder))
    return str(caught.value)


def values(images):
    return images[:, 0, 0, 0].tolist()


def test_subfolders_are_the_classes(tmp_path):
    write(tmp_path, [f"{'cat' if i < 6 else 'dog'}/{i:02}.png" for i in range(10)])
    data = load(str(tmp_path))
    assert data.classes == ("cat", "dog")
    assert (data.train_images.shape, data.test_images.shape) == ((8, 3, 32, 32), (2, 3, 32, 32))
    images = torch.cat((data.train_images, data.test_images))
    labels = torch.cat((data.train_labels, data.test_labels))
    assert sorted(values(images)) == list(range(10))
    assert labels.tolist() == [int(value >= 6) for value in values(images)]
    assert data.source == (
        f"images of {tmp_path.name} by subfolder, shorter side resized to 32 pixels (bicubic), centre cropped; split "
        "at random (seed 0) into 8 to train and 2 to test."
    )


@pytest.mark.parametrize("test", ["test", "validation", "val"])
def test_parts_are_taken_as_given(tmp_path, test):
    write(
        tmp_path,
        ["train/cat/a.png", "train/dog/b.png", "train/dog/deep/c.png", f"{test}/cat/d.png", f"{test}/dog/e.png"],
    )
    data = load(str(tmp_path))
    assert sorted(zip(values(data.train_images), data.train_labels.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 1)]
    assert sorted(zip(values(data.test_images), data.test_labels.tolist(), strict=True)) == [(3, 0), (4, 1)]
    assert data.source.endswith("; 3 to train and 2 to test, as given.")


def test_a_part_that_is_not_used_is_named(tmp_path):
    write(tmp_path, [f"{part}/{kind}/a.png" for part in ("train", "test", "val") for kind in ("cat", "dog")])
    assert "(not used: val)" in load(str(tmp_path)).source


def test_a_training_part_alone_is_split(tmp_path):
    write(tmp_path, [f"train/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(5)])
    data = load(str(tmp_path))
    assert data.classes == ("cat", "dog")
    assert (len(data.train_images), len(data.test_images)) == (8, 2)


def test_train_may_be_a_class(tmp_path):
    write(tmp_path, [f"{kind}/{i}.png" for kind in ("train", "ship") for i in range(5)])
    assert load(str(tmp_path)).classes == ("ship", "train")


def test_the_middle_of_an_image_is_kept(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            image = Image.new("L", (96, 32))
            image.paste(255, (32, 0, 64, 32))  # white in the middle third, black beside it
            image.save(tmp_path / kind / f"{i}.png")
    data = load(str(tmp_path))
    assert data.train_images.shape == (6, 1, 32, 32)
    assert (data.train_images == 255).all()


def test_images_of_the_right_size_are_not_touched(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for i in range(5):
            noise(32, 32).save(tmp_path / kind / f"{i}.png")
    expected = torch.from_numpy(np.array(noise(32, 32))).permute(2, 0, 1)
    assert (load(str(tmp_path)).train_images == expected).all()


def test_another_size(tmp_path):
    write(tmp_path, [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(5)])
    assert load(str(tmp_path), size=48).train_images.shape == (8, 3, 48, 48)


def test_images_left_out_are_listed(tmp_path):
    write(tmp_path, [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(5)])
    noise().convert("CMYK").save(tmp_path / "cat" / "bad.jpg")
    noise().save(tmp_path / "stray.png")
    assert load(str(tmp_path)).skipped == (
        Skipped("stray.png", "not in the subfolder of a class; move it into one"),
        Skipped("cat/bad.jpg", "CMYK colours; convert it to RGB"),
    )


def test_images_without_classes(tmp_path):
    told = "a data set is a folder of parquet files, or has one subfolder of images for each of 2 or more classes"
    assert refused(tmp_path) == f"{tmp_path}: 0 subfolders with images; {told}"
    write(tmp_path, ["a.png", "b.png"])
    assert refused(tmp_path) == f"{tmp_path}: 0 subfolders with images; {told}"
    write(tmp_path, ["cat/a.png"])
    assert refused(tmp_path) == f"{tmp_path}: 1 subfolders with images; {told}"


def test_a_class_that_was_not_trained_on(tmp_path):
    write(tmp_path, ["train/cat/a.png", "train/dog/b.png", "test/cat/c.png", "test/cow/d.png"])
    told = "no class of the training images, which are cat, dog; rename it"
    assert refused(tmp_path) == f"{tmp_path / 'test' / 'cow'}: {told}"


def test_too_few_images_for_two_parts(tmp_path):
    write(tmp_path, ["cat/a.png", "dog/b.png", "dog/c.png"])
    told = "2 images to train and 1 to test; each part needs at least 2"
    assert refused(tmp_path) == f"{tmp_path.name}: {told}"
