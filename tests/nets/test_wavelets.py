"""Of the transform itself kymatio has tests; here is what the net around it promises."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from pliant._checks import InputError
from pliant.deform import ThinPlate
from pliant.measurement import measure
from pliant.nets import scattering

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of kymatio's own


def pictures(n, size=32, channels=2, seed=0):
    coarse = torch.randn(n, channels, 6, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


@pytest.fixture
def kymatio():
    pytest.importorskip("kymatio")


@pytest.mark.usefixtures("kymatio")
@pytest.mark.parametrize(
    ("J", "L", "size", "paths", "out"),
    [
        (2, 8, 32, 81, (8, 8)),
        (1, 4, 32, 5, (16, 16)),
        (3, 4, (32, 24), 61, (4, 3)),
        (2, 3, (17, 30), 16, (4, 7)),
    ],
)
def test_shapes(J, L, size, paths, out):
    assert paths == 1 + J * L + L * L * J * (J - 1) // 2
    height, width = (size, size) if isinstance(size, int) else size
    assert scattering(J, L, size)(torch.rand(3, 2, height, width)).shape == (3, 2 * paths, *out)


@pytest.mark.usefixtures("kymatio")
def test_equals_kymatios_own_transform_in_numpy_channel_by_channel():
    from kymatio.scattering2d.frontend.numpy_frontend import ScatteringNumPy2D

    images = pictures(3)
    found = scattering()(images)
    expected = ScatteringNumPy2D(2, (32, 32), 8)(images.double().numpy())
    np.testing.assert_allclose(found.unflatten(1, (2, 81)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("kymatio")
def test_of_an_even_image_it_is_the_average_alone():
    found = scattering()(torch.full((2, 1, 32, 32), 0.7))
    torch.testing.assert_close(found[:, 0], torch.full((2, 8, 8), 0.7), rtol=1e-3, atol=1e-3)
    assert found[:, 1:].abs().max() < 1e-3


@pytest.mark.usefixtures("kymatio")
def test_it_grows_with_the_image():
    net, images = scattering(size=16), pictures(2, size=16)
    torch.testing.assert_close(net(3 * images), 3 * net(images), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("kymatio")
def test_it_is_measured_as_any_net_and_is_more_stable_than_the_image():
    net, images = scattering(), pictures(16)
    assert not list(net.parameters())
    small = ThinPlate(grid=3, reach=1.0)
    profile = measure(net, images.contiguous(memory_format=torch.channels_last), small, "output", "euclidean")
    assert profile.layers == ("input", "output")
    assert profile["output"].high < profile["input"].low
    assert measure(net, images, small).layers == ("input", "transform")
    double = measure(net, images.double(), small, "output", "euclidean")
    assert double["output"].estimate == pytest.approx(profile["output"].estimate, rel=1e-4)


@pytest.mark.usefixtures("kymatio")
def test_images_of_another_size_are_refused():
    with pytest.raises(InputError) as error:
        scattering(size=(16, 24))(torch.rand(2, 1, 16, 16))
    assert str(error.value) == ("this scattering is for images of 16x24, got 16x16: make one with size=(16, 16)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8), "J=0, L=8: a scattering has at least 1 scale and 1 angle"),
        ((2, 0), "J=2, L=0: a scattering has at least 1 scale and 1 angle"),
        ((4, 8, 8), "J=4: a scale of 16 pixels does not fit into images of 8x8: take a lower J"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError) as error:
        scattering(*arguments)
    assert str(error.value) == message


def test_without_kymatio_the_remedy_is_told(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "kymatio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kymatio", None)
    with pytest.raises(InputError) as error:
        scattering()
    assert str(error.value) == "scattering needs kymatio: pip install 'pliant[scattering]'"
