import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data.bad_images import noise
from PIL import Image

from pliant._checks import InputError
from pliant.data import Skipped, load
from pliant.data.loading import names_dataset
from pliant.data.parquet import read_folder

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = ["cat", "dog", "emu"]


def encoded(value, size=(16, 16), mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size, value).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, images, labels, names=NAMES, column="img", label="label", kind=None):
    """Rows in the layout of the hub; `images` are bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = pa.array([{"bytes": image, "path": None} for image in images], IMAGE)
    table = pa.table({"id": list(range(len(images))), column: contents, label: pa.array(labels, kind or pa.int64())})
    features = {column: {"_type": "Image"}, label: {"_type": "ClassLabel", **({"names": names} if names else {})}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)


def rows(count, first=0):
    """Images whose red channel counts up, and their labels."""
    return [encoded((first + i, 0, 0)) for i in range(count)], [(first + i) % 3 for i in range(count)]


def refused(folder):
    with pytest.raises(InputError) as caught:
        load(str(folder))
    return str(caught.value)


def values(images):
    return images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("below", ["", "data"])
def test_splits_are_taken_as_given(tmp_path, below):
    write(tmp_path / below / "train-00000-of-00002.parquet", *rows(6))
    write(tmp_path / below / "train-00001-of-00002.parquet", *rows(3, 6))
    write(tmp_path / below / "test-00000-of-00001.parquet", *rows(4, 100))
    data = load(str(tmp_path))
    assert sorted(values(data.train_images)) == list(range(9))
    assert sorted(values(data.test_images)) == [100, 101, 102, 103]
    assert data.train_labels.tolist() == [value % 3 for value in values(data.train_images)]
    assert data.test_labels.tolist() == [value % 3 for value in values(data.test_images)]
    assert (data.classes, data.name, data.skipped) == (("cat", "dog", "emu"), tmp_path.name, ())
    assert data.source == f"parquet files of {tmp_path.name}: train and test; 9 to train and 4 to test, as given."


def test_the_one_subfolder_of_a_clone_is_found_and_several_are_named(tmp_path):
    write(tmp_path / "plain_text" / "train-00000-of-00001.parquet", *rows(6))
    write(tmp_path / "plain_text" / "test-00000-of-00001.parquet", *rows(4, 100))
    write(tmp_path / ".cache" / "train.parquet", *rows(3))
    (tmp_path / "README.md").write_text("A data set.")
    data = load(str(tmp_path))
    assert names_dataset(str(tmp_path))
    assert sorted(values(data.test_images)) == [100, 101, 102, 103]
    assert data.source.startswith(f"parquet files of {tmp_path.name}: train and test; 6 to train")
    write(tmp_path / "other" / "train.parquet", *rows(6))
    assert refused(tmp_path) == (
        f"{tmp_path}: parquet files in several of its subfolders (other, plain_text); name one of these"
    )


def test_a_folder_of_images_stays_one_with_parquet_files_below(tmp_path):
    write(tmp_path / "embeddings" / "all.parquet", *rows(3))
    noise(16, 16).save(tmp_path / "photo.png")
    assert not names_dataset(str(tmp_path))


def test_every_pixel_and_channel_is_kept(tmp_path):
    picture = noise(16, 16)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write(tmp_path / "train.parquet", [buffer.getvalue()] * 2, [0, 1])
    images = read_folder(tmp_path).train.images
    assert torch.equal(images[1], torch.from_numpy(np.array(picture)).permute(2, 0, 1))


def test_validation_stands_in_for_a_missing_test_split(tmp_path):
    write(tmp_path / "train.parquet", *rows(6))
    write(tmp_path / "validation.parquet", *rows(4, 100))
    data = load(str(tmp_path))
    assert sorted(values(data.test_images)) == [100, 101, 102, 103]
    assert "train and validation; 6 to train" in data.source


def test_a_split_that_is_not_used_is_named(tmp_path):
    for first, split in enumerate(("train", "test", "validation")):
        write(tmp_path / f"{split}.parquet", *rows(3, 10 * first))
    data = load(str(tmp_path))
    assert sorted(values(data.test_images)) == [10, 11, 12]
    assert "train and test (not used: validation)" in data.source


@pytest.mark.parametrize("name", ["test-00000-of-00001", "train", "0000"])
def test_one_part_is_split_at_random(tmp_path, name):
    write(tmp_path / f"{name}.parquet", *rows(10))
    data = load(str(tmp_path))
    assert (len(data.train_images), len(data.test_images)) == (8, 2)
    assert sorted(values(data.train_images) + values(data.test_images)) == list(range(10))
    assert "split at random (seed 0) into 8 to train and 2 to test" in data.source


def test_the_image_column_is_found_by_its_type(tmp_path):
    write(tmp_path / "train.parquet", *rows(10), column="a picture")
    assert len(load(str(tmp_path)).train_images) == 8


def test_grey_images_have_one_channel_and_mixed_ones_three(tmp_path):
    write(tmp_path / "train.parquet", [encoded(7, mode="L")] * 3, [0, 1, 2])
    assert read_folder(tmp_path).train.images.shape == (3, 1, 16, 16)
    write(tmp_path / "train.parquet", [encoded(7, mode="L"), encoded((1, 2, 3))], [0, 1])
    images = read_folder(tmp_path).train.images
    assert images[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_without_names_the_classes_are_numbers(tmp_path):
    write(tmp_path / "train.parquet", *rows(10), names=None)
    assert load(str(tmp_path)).classes == ("0", "1", "2")


def test_bad_rows_are_left_out_and_listed(tmp_path):
    images, labels = rows(10)
    images[1], images[4] = b"no image", None
    write(tmp_path / "train.parquet", images, labels)
    data = load(str(tmp_path))
    assert sorted(values(data.train_images) + values(data.test_images)) == [0, 2, 3, 5, 6, 7, 8, 9]
    told = "not an image of a kind that is read (JPEG, PNG, BMP, GIF, PPM, TIFF, WEBP); save it as JPEG or PNG"
    assert data.skipped == (
        Skipped("train.parquet row 1", told),
        Skipped("train.parquet row 4", "only a path, no bytes; write the image's bytes into the parquet file"),
    )


def test_no_row_can_be_used(tmp_path):
    write(tmp_path / "train.parquet", [None, None], [0, 1])
    assert refused(tmp_path) == (
        f"{tmp_path}: none of 2 images can be used; train.parquet row 0: only a path, no bytes; write the image's "
        "bytes into the parquet file"
    )


def test_images_of_different_sizes(tmp_path):
    write(tmp_path / "train.parquet", [encoded(0), encoded(0, (20, 16))], [0, 1])
    assert refused(tmp_path) == (
        f"{tmp_path}: images of different sizes, 16 x 16 (train.parquet row 0) and 20 x 16 (train.parquet row 1); "
        "write them as a folder of images with one subfolder a class, which is brought to one size"
    )


def test_parts_of_different_sizes(tmp_path):
    write(tmp_path / "train.parquet", *rows(4))
    write(tmp_path / "test.parquet", [encoded(0, (32, 16), "L")] * 2, [0, 1])
    assert refused(tmp_path) == (
        f"{tmp_path.name}: training images of 16 x 16 pixels, 3 channels and test images of 32 x 16 pixels, 1 channel; "
        "make them one size"
    )


def test_no_image_column(tmp_path):
    pq.write_table(pa.table({"label": [0, 1], "text": ["a", "b"]}), tmp_path / "train.parquet")
    assert refused(tmp_path) == (
        f"{tmp_path / 'train.parquet'}: no image column; exactly one of type {{bytes, path}} is read, the columns are "
        "label, text"
    )


def test_two_image_columns(tmp_path):
    column = pa.array([{"bytes": encoded(0), "path": None}], IMAGE)
    pq.write_table(pa.table({"label": [0], "left": column, "right": column}), tmp_path / "train.parquet")
    assert refused(tmp_path) == (
        f"{tmp_path / 'train.parquet'}: more than one image column; exactly one of type {{bytes, path}} is read, the "
        "columns are label, left, right"
    )


def test_no_labels(tmp_path):
    write(tmp_path / "train.parquet", *rows(3), label="breed")
    told = "no column 'label'; the columns are id, img, breed"
    assert refused(tmp_path) == f"{tmp_path / 'train.parquet'}: {told}"


def test_labels_that_are_words(tmp_path):
    write(tmp_path / "train.parquet", rows(2)[0], ["cat", "dog"], kind=pa.string())
    told = "the column 'label' holds string; labels are integers from 0"
    assert refused(tmp_path) == f"{tmp_path / 'train.parquet'}: {told}"


@pytest.mark.parametrize("missing", [-1, None])
def test_a_row_without_a_label(tmp_path, missing):
    write(tmp_path / "test.parquet", rows(2)[0], [0, missing])
    told = f"no label ({missing}); images without one cannot be used, move it away"
    assert refused(tmp_path) == f"{tmp_path / 'test.parquet'} row 1: {told}"


def test_a_label_beyond_the_names(tmp_path):
    write(tmp_path / "train.parquet", rows(2)[0], [0, 3])
    assert refused(tmp_path) == f"{tmp_path / 'train.parquet'} row 1: label 3, but the schema names 3 classes"


def test_files_that_disagree_on_the_classes(tmp_path):
    write(tmp_path / "train-0.parquet", *rows(3))
    write(tmp_path / "train-1.parquet", *rows(3), names=["x", "y", "z"])
    told = "train-1.parquet name different classes; keep data sets in folders of their own"
    assert refused(tmp_path) == f"{tmp_path / 'train-0.parquet'} and {told}"
    (tmp_path / "train-1.parquet").rename(tmp_path / "test.parquet")
    told = "its splits name different classes; keep data sets in folders of their own"
    assert refused(tmp_path) == f"{tmp_path}: {told}"


def test_a_file_that_belongs_to_no_split(tmp_path):
    write(tmp_path / "train.parquet", *rows(3))
    write(tmp_path / "extra.parquet", *rows(3))
    told = "neither train, test nor validation; begin its name with one of these, or move it away"
    assert refused(tmp_path) == f"{tmp_path / 'extra.parquet'}: {told}"


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "train.parquet").write_text("no parquet file, but long enough for one")
    told = refused(tmp_path)
    assert told.startswith(f"{tmp_path / 'train.parquet'}: not a parquet file that can be read (Parquet magic bytes")


def test_mnist_as_it_is(real_data):
    data = load(str(real_data / "mnist"))
    assert data.train_images.shape == (8000, 1, 32, 32)
    assert data.test_images.shape == (2000, 1, 32, 32)
    assert data.classes == tuple("0123456789")
    assert data.train_labels.bincount().min() > 600
    assert not data.train_images[:, :, [0, 1, -1, -2]].any()
    assert not data.train_images[..., [0, 1, -1, -2]].any()
    assert data.train_images[:, :, 2:-2, 2:-2].any()
    assert data.source == (
        "parquet files of mnist: test; split at random (seed 0) into 8,000 to train and 2,000 to test; padded with "
        "zeros from 28 x 28 to 32 x 32 pixels."
    )


def test_cifar_but_for_its_length_as_it_is(real_data, tmp_path):
    table = pq.read_table(real_data / "cifar10" / "test-00000-of-00001.parquet")
    assert len(table) == 10_000
    pq.write_table(table[:2000], tmp_path / "test.parquet", row_group_size=300)
    data = load(str(tmp_path))
    assert data.train_images.shape == (1600, 3, 32, 32)
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    labels = torch.cat((data.train_labels, data.test_labels))
    assert labels.bincount().tolist() == np.bincount(table["label"][:2000]).tolist()
    mean = data.train_images.float().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor([0.494, 0.485, 0.450]), atol=0.01, rtol=0)
