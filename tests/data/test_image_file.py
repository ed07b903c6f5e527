import io
import os
import re
import warnings

import numpy as np
import PIL
import pytest
from data.bad_images import noise, png, tiff, truncated
from PIL import Image

from pliant.data.image_file import BadImage, read

DEEP = "more than 8 bits a channel (16-bit); save it with 8 bits a channel"
UNREADABLE = "not an image of a kind that is read (JPEG, PNG, BMP, GIF, PPM, TIFF, WEBP); save it as JPEG or PNG"
DAMAGED = "truncated or damaged; replace it by a whole copy"
ENORMOUS = "enormous, more than 89,478,485 pixels; scale it down"
ORIENTATION = 0x0112


def reason(source):
    with pytest.raises(BadImage) as caught:
        read(source)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["png", "bmp", "ppm", "tif", "webp"])
def test_a_lossless_file_comes_back_pixel_by_pixel(tmp_path, kind):
    noise().save(tmp_path / f"a.{kind}", **({"lossless": True} if kind == "webp" else {}))
    np.testing.assert_array_equal(np.asarray(read(tmp_path / f"a.{kind}")), np.asarray(noise()))


def test_every_kind_comes_as_rgb(tmp_path):
    for mode in ("1", "L", "P", "RGB"):
        noise().convert(mode).save(tmp_path / f"{mode}.png")
        assert read(tmp_path / f"{mode}.png").mode == "RGB"


def test_grey_is_kept_where_asked_for(tmp_path):
    for mode, expected in {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}.items():
        noise().convert(mode).save(tmp_path / f"{mode}.png")
        assert read(tmp_path / f"{mode}.png", keep_grey=True).mode == expected


def test_bytes_are_read_like_a_file():
    buffer = io.BytesIO()
    noise().save(buffer, "PNG")
    np.testing.assert_array_equal(np.asarray(read(buffer)), np.asarray(noise()))


def test_exif_orientation_turns_the_image_upright(tmp_path):
    upright = Image.new("RGB", (20, 10))
    upright.putpixel((0, 0), (255, 255, 255))  # the mark, top left
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # stored lying on its left side: turn it a quarter clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    image = read(tmp_path / "a.png")
    assert image.size == (20, 10)
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_the_first_frame_of_several_is_read(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (40, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read(tmp_path / "a.gif").getpixel((3, 3)) == (40, 40, 40)


def test_a_file_that_is_no_image(tmp_path):
    (tmp_path / "a.jpg").write_text("not an image")
    assert reason(tmp_path / "a.jpg") == UNREADABLE
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert reason(tmp_path / "empty.jpg") == UNREADABLE


def test_a_kind_that_pillow_reads_and_pliant_does_not(tmp_path):
    noise().save(tmp_path / "a.avif")
    assert reason(tmp_path / "a.avif") == UNREADABLE


def test_a_file_that_is_not_there(tmp_path):
    told = "cannot be opened (No such file or directory); check that it exists and may be read"
    assert reason(tmp_path / "a.jpg") == told


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    assert reason(tmp_path / "a.jpg") == "not a regular file; replace it by an image"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_jpeg(tmp_path, share):
    assert reason(truncated(tmp_path / "a.jpg", share)) == DAMAGED


def test_a_truncated_png(tmp_path):
    noise(64, 64).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    assert reason(tmp_path / "a.png") == DAMAGED


OLD = int(PIL.__version__.partition(".")[0]) < 13
YCBCR = pytest.param("YCbCr", marks=pytest.mark.skipif(OLD, reason="Pillow before 13 writes a damaged file"))


@pytest.mark.parametrize("mode", ["CMYK", YCBCR, "LAB"])
def test_other_colours(tmp_path, mode):
    image = Image.new("LAB", (8, 8)) if mode == "LAB" else noise().convert(mode)
    image.save(tmp_path / "a.tif")
    assert reason(tmp_path / "a.tif") == f"{mode} colours; convert it to RGB"


def test_a_cmyk_jpeg(tmp_path):
    noise().convert("CMYK").save(tmp_path / "a.jpg")
    assert reason(tmp_path / "a.jpg") == "CMYK colours; convert it to RGB"


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_a_16_bit_png_of_every_colour_type(tmp_path, colour, channels):
    assert reason(png(tmp_path / "a.png", (8, 4), 16, colour, bytes(2 * channels * 8))) == DEEP


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_fewer_bits_than_16_are_no_fault(tmp_path, depth):
    assert read(png(tmp_path / "a.png", (8, 4), depth, 0, bytes(depth))).size == (8, 4)


def test_a_16_bit_tiff_and_its_8_bit_twin(tmp_path):
    assert reason(tiff(tmp_path / "a.tif", (8, 4), 16)) == DEEP
    assert read(tiff(tmp_path / "b.tif", (8, 4), 8)).size == (8, 4)


def test_a_16_bit_ppm(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 2 2 65535\n" + bytes(24))
    assert reason(tmp_path / "a.ppm") == DEEP


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_tiff_of_32_bits(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "a.tif")
    assert reason(tmp_path / "a.tif") == DEEP


def test_a_bmp_of_16_bits_a_pixel_is_no_fault(tmp_path):
    header = b"BM" + (54 + 2 * 2 * 2).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = b"".join(n.to_bytes(4, "little") for n in (40, 2, 2, 1 | 16 << 16, 0, 8, 0, 0, 0, 0))
    (tmp_path / "a.bmp").write_bytes(header + info + bytes(8))
    assert read(tmp_path / "a.bmp").size == (2, 2)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha(tmp_path, mode):
    noise().convert(mode).save(tmp_path / "a.png")
    assert reason(tmp_path / "a.png") == f"transparent (mode {mode}); flatten it onto a background"


def test_a_transparent_palette_or_colour(tmp_path):
    noise().convert("P").save(tmp_path / "a.png", transparency=0)
    assert reason(tmp_path / "a.png") == "transparent (mode P); flatten it onto a background"
    noise().save(tmp_path / "b.png", transparency=(0, 0, 0))
    assert reason(tmp_path / "b.png") == "transparent (mode RGB); flatten it onto a background"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_one_pixel(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    told = f"{size[0]} x {size[1]} pixels, nothing to deform; use an image of at least 2 x 2"
    assert reason(tmp_path / "a.png") == told


def test_a_strip(tmp_path):
    Image.new("RGB", (200, 2)).save(tmp_path / "good.png")
    assert read(tmp_path / "good.png").size == (200, 2)
    Image.new("RGB", (201, 2)).save(tmp_path / "bad.png")
    assert reason(tmp_path / "bad.png") == "201 x 2 pixels, one side more than 100 times the other; crop it"


@pytest.mark.parametrize("size", [(12_000, 9_000), (20_000, 20_000)])
@pytest.mark.parametrize("action", ["ignore", "error"])
def test_enormous_whatever_becomes_of_warnings(tmp_path, size, action):
    path = png(tmp_path / "a.png", size, 8, 0, b"")  # a header without pixels: none may be decoded
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        assert reason(path) == ENORMOUS


def test_the_limit_is_pillows(tmp_path, monkeypatch):
    noise(24, 16).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 16)
    assert read(tmp_path / "a.png").size == (24, 16)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 16 - 1)
    assert reason(tmp_path / "a.png") == "enormous, more than 383 pixels; scale it down"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read(tmp_path / "a.png").size == (24, 16)


def test_the_makers_of_these_files_make_what_they_say(tmp_path):
    with Image.open(png(tmp_path / "a.png", (8, 4), 8, 2, bytes(24))) as whole:
        whole.load()
        assert whole.size == (8, 4)
    with (
        Image.open(truncated(tmp_path / "b.jpg")) as cut,
        pytest.raises(OSError, match=re.escape("image file is truncated")),
    ):
        cut.load()
