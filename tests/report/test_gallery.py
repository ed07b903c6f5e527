import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report import fake_run

from pliant.report.gallery import CELLS, lattice, png, read_gallery


def points(path):
    return np.array([float(number) for number in re.findall(r"-?[\d.]+", path)]).reshape(-1, 2)


def test_a_field_that_moves_nothing_leaves_the_lattice_straight():
    paths = lattice(np.zeros((2, 32, 48), np.float32))
    across, down = paths[: CELLS + 1], paths[CELLS + 1 :]
    assert [len(set(points(path)[:, 1])) for path in across] == [1] * (CELLS + 1)
    assert [len(set(points(path)[:, 0])) for path in down] == [1] * (CELLS + 1)
    assert (points(across[0])[0].tolist(), points(across[-1])[-1].tolist()) == ([0.5, 0.5], [47.5, 31.5])


def test_positive_dx_moves_the_lattice_to_the_right():
    still, moved = (lattice(fake_run.shift(dx, dy)) for dx, dy in ((0, 0), (2, -1)))
    for before, after in zip(still, moved, strict=True):
        np.testing.assert_allclose(
            points(after) - points(before), np.broadcast_to([2, -1], points(before).shape), atol=1e-6
        )


def test_how_far_pixels_move(tmp_path):
    fake_run.save_gallery(tmp_path / "gallery.npz")
    first, second, *_ = read_gallery(tmp_path / "gallery.npz")
    assert first.rms == pytest.approx(5**0.5)
    assert first.largest == pytest.approx(5**0.5)
    lengths = np.hypot(*fake_run.wave(1).astype(float))
    assert second.rms == pytest.approx((lengths**2).mean() ** 0.5)
    assert second.largest == pytest.approx(lengths.max())
    assert first.margin > first.largest


@given(channels=st.sampled_from([1, 3, 4]), height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 9))
def test_pixels_come_back_as_they_were(channels, height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)
    kind, _, content = png(image).partition(",")
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(found, image[0] if channels == 1 else image[:3].transpose(1, 2, 0))


def test_no_gallery(tmp_path):
    assert read_gallery(tmp_path / "gallery.npz") == []
