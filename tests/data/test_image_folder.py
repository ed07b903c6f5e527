import gc
import re
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from data.bad_images import noise, png, truncated
from PIL import Image

from pliant._checks import InputError
from pliant.data import ImageFolder, Skipped
from pliant.data.folder import evenly, find, name_in


def to_tensor(image):
    return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1)


def write(folder, names):
    """One image a name, each of another colour."""
    for value, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 8), (value, 0, 0)).save(path)


@pytest.fixture
def ten(tmp_path):
    write(tmp_path, [f"{i}.png" for i in range(10)])
    return tmp_path


def refused(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_files_are_found_in_the_order_of_their_paths(tmp_path):
    names = ["b.png", "a/z.JPG", "a.png", "a/b/c.webp", "a-b.tiff", "A.bmp"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find(tmp_path)]
    assert found == ["A.bmp", "a-b.tiff", "a.png", "a/b/c.webp", "a/z.JPG", "b.png"]


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    for name in (".hidden.png", ".cache/a.png", "notes.txt", "a.png.part", "movie.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find(tmp_path) == []


def test_a_name_that_is_not_utf8_can_be_written(tmp_path):
    name = name_in(tmp_path, tmp_path / "caf\udce9.png")
    assert name == "caf\\udce9.png"
    name.encode()


@pytest.mark.parametrize(("total", "count"), [(10, 3), (10, 10), (10, 99), (7, 2), (0, 4)])
def test_evenly_takes_the_first_and_keeps_its_distance(total, count):
    taken = [int(path.name) for path in evenly([Path(str(i)) for i in range(total)], count)]
    assert len(taken) == min(total, count)
    gaps = np.diff(taken)
    assert gaps.size == 0 or (gaps.max() - gaps.min() <= 1 and taken[0] == 0)


def test_the_batches_hold_every_image_in_order(ten):
    images = ImageFolder(ten, to_tensor, batch_size=4)
    batches = list(images)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert torch.cat(batches)[:, 0, 0, 0].tolist() == list(range(10))
    assert images.files == tuple(f"{i}.png" for i in range(10))
    assert images.skipped == ()


@pytest.mark.parametrize("batch_size", [2, 3, 10, 64])
def test_the_batch_size_changes_no_image(ten, batch_size):
    expected = torch.cat(list(ImageFolder(ten, to_tensor)))
    assert torch.equal(torch.cat(list(ImageFolder(ten, to_tensor, batch_size=batch_size))), expected)


def test_a_second_pass_is_the_first_again(ten):
    (ten / "3.png").write_bytes(b"no image")
    images = ImageFolder(ten, to_tensor, batch_size=4)
    first, files, skipped = torch.cat(list(images)), images.files, images.skipped
    assert torch.equal(torch.cat(list(images)), first)
    assert (images.files, images.skipped) == (files, skipped)


def test_limit_takes_files_evenly(ten):
    images = ImageFolder(ten, to_tensor, limit=4)
    assert images.chosen == ("0.png", "2.png", "5.png", "7.png")
    assert torch.cat(list(images))[:, 0, 0, 0].tolist() == [0, 2, 5, 7]


def test_others_are_none_of_those_chosen(ten):
    images = ImageFolder(ten, to_tensor, limit=4)
    others = images.others(3)
    assert others.chosen == ("1.png", "4.png", "8.png")
    assert torch.cat(list(others))[:, 0, 0, 0].tolist() == [1, 4, 8]
    assert set(images.others(99).chosen) == {f"{i}.png" for i in range(10)} - set(images.chosen)
    assert set(others.others(99).chosen).isdisjoint(others.chosen + images.chosen)


def test_no_others_are_left(ten):
    told = refused(lambda: ImageFolder(ten, to_tensor).others(5))
    assert told == (
        f"{ten}: 0 images are left beside the 10 chosen, at least 2 are needed; choose fewer "
        "than 10 with --limit (limit=)"
    )


def test_every_bad_image_is_listed_with_its_reason(tmp_path):
    noise().save(tmp_path / "a.png")
    noise().convert("CMYK").save(tmp_path / "b.jpg")
    noise().save(tmp_path / "c.png")
    png(tmp_path / "d.png", (8, 4), 16, 2, bytes(48))
    truncated(tmp_path / "e.jpg")
    (tmp_path / "f.heic").write_bytes(b"\0\0\0\x18ftypheic")
    images = ImageFolder(tmp_path, to_tensor)
    assert sum(len(batch) for batch in images) == 2
    assert images.files == ("a.png", "c.png")
    assert images.skipped == (
        Skipped("b.jpg", "CMYK colours; convert it to RGB"),
        Skipped("d.png", "more than 8 bits a channel (16-bit); save it with 8 bits a channel"),
        Skipped("e.jpg", "truncated or damaged; replace it by a whole copy"),
        Skipped(
            "f.heic",
            "not an image of a kind that is read (JPEG, PNG, BMP, GIF, PPM, TIFF, WEBP); save it as JPEG or PNG",
        ),
    )


def test_skipped_images_leave_full_batches(ten):
    for name in ("0.png", "1.png", "4.png"):
        (ten / name).write_bytes(b"no image")
    assert [len(batch) for batch in ImageFolder(ten, to_tensor, batch_size=3)] == [3, 3, 1]


def test_a_bad_image_is_refused_where_asked_for(ten):
    noise().convert("CMYK").save(ten / "5.jpg")
    images = ImageFolder(ten, to_tensor, on_bad_image="refuse")
    told = 'CMYK colours; convert it to RGB (or leave such images out: --on-bad-image skip, on_bad_image="skip")'
    assert refused(lambda: list(images)) == f"{ten / '5.jpg'}: {told}"


def test_fewer_than_two_usable_images(tmp_path):
    write(tmp_path, ["a.png"])
    assert refused(lambda: list(ImageFolder(tmp_path, to_tensor))) == (
        f"{tmp_path}: 1 usable of 1 images, at least 2 are needed"
    )
    noise().convert("CMYK").save(tmp_path / "b.jpg")
    images = ImageFolder(tmp_path, to_tensor)
    assert refused(lambda: next(iter(images))) == (
        f"{tmp_path}: 1 usable of 2 images, at least 2 are needed; b.jpg: CMYK colours; convert it to RGB"
    )


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").touch()
    told = (
        f"{tmp_path}: no images in it or its subfolders; looked for .avif, .bmp, .gif, .heic, .heif, .jfif, .jp2, "
        ".jpe, .jpeg, .jpg, .pbm, .pgm, .png, .ppm, .tif, .tiff, .webp"
    )
    assert refused(lambda: ImageFolder(tmp_path, to_tensor)) == told


def test_no_folder(tmp_path):
    assert refused(lambda: ImageFolder(tmp_path / "no", to_tensor)) == f"{tmp_path / 'no'}: no such folder"
    (tmp_path / "a.png").touch()
    told = "a file, not a folder; name the folder that holds it"
    assert refused(lambda: ImageFolder(tmp_path / "a.png", to_tensor)) == f"{tmp_path / 'a.png'}: {told}"


def test_bad_settings(ten):
    assert refused(lambda: ImageFolder(ten, to_tensor, on_bad_image="skp")) == (
        "unknown on_bad_image 'skp'. Did you mean 'skip'?"
    )
    assert refused(lambda: ImageFolder(ten, to_tensor, limit=1)) == "limit=1: at least 2 images are needed"
    assert refused(lambda: ImageFolder(ten, to_tensor, batch_size=1)) == "batch_size=1: must be 2 or more"


def test_a_transform_that_makes_different_sizes(tmp_path):
    for i, width in enumerate((8, 9)):
        Image.new("RGB", (width, 8)).save(tmp_path / f"{i}.png")
    images = ImageFolder(tmp_path, lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1))
    assert refused(lambda: list(images)) == (f"{tmp_path / '1.png'}: (3, 8, 9) after the transform, others (3, 8, 8)")


def test_an_error_of_the_transform_comes_through(ten):
    def fail(image):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match=re.escape("mine")):
        list(ImageFolder(ten, fail))


def test_at_most_a_batch_is_read_ahead(tmp_path):
    write(tmp_path, [f"{i:02}.png" for i in range(40)])
    read = []

    def counted(image):
        read.append(image.getpixel((0, 0))[0])
        return to_tensor(image)

    batches = iter(ImageFolder(tmp_path, counted, batch_size=4))
    next(batches)
    batches.close()
    assert 4 <= len(read) <= 9


def test_an_abandoned_pass_leaves_no_threads(ten):
    before = threading.active_count()
    for _ in ImageFolder(ten, to_tensor, batch_size=2):
        break
    gc.collect()
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    def peak(count):
        folder = tmp_path / str(count)
        write(folder, [f"{i:03}.png" for i in range(count)])
        tracemalloc.start()
        for _ in ImageFolder(folder, lambda image: torch.from_numpy(np.zeros((3, 256, 256), np.uint8)), batch_size=4):
            pass
        _, largest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return largest

    peak(8)  # what is imported and cached at the first use
    batch = 4 * 3 * 256 * 256
    assert peak(96) < 3 * batch  # one in use, one ahead, and names; all images are 24
