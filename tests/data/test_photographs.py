import re

import pytest
import torch

from pliant._checks import InputError
from pliant.data import photographs
from pliant.data.embedded_photographs import SOURCE
from pliant.plan import CREDIT


@pytest.fixture(scope="module")
def crops():
    return photographs(48)


def test_shape_and_number(crops):
    assert crops.shape == (64, 3, 48, 48)
    assert crops.dtype == torch.uint8


def test_they_are_the_same_every_time(crops):
    assert torch.equal(photographs(48), crops)


def test_the_first_ones_do_not_depend_on_the_count(crops):
    assert torch.equal(photographs(48, 5), crops[:5])


def test_no_two_are_alike(crops):
    both = torch.cat((crops, crops.flip(3))).flatten(1).float()
    distances = torch.cdist(both, both).fill_diagonal_(torch.inf) / both.shape[1] ** 0.5
    assert distances.min() > 4  # root mean square of the difference, grey levels


def test_both_photographs_are_used_in_turn(crops):
    blue_less_red = (crops[:, 2].float() - crops[:, 0].float()).mean((1, 2))
    assert blue_less_red[::2].mean() - blue_less_red[1::2].mean() > 10  # a sky, and a flower


def test_a_crop_lies_in_the_photograph_with_its_colours():
    from sklearn.datasets import load_sample_images

    china = torch.from_numpy(load_sample_images().images[0].copy()).permute(2, 0, 1).float()
    whole = photographs(427, 1)[0].float()  # no smaller crop is taken than is asked for: the full height
    windows = china[:, ::32].unfold(2, 427, 1)
    distances = (windows - whole[:, ::32, None]).abs().mean((0, 1, 3))
    assert distances.min() < 2 < 20 < distances.median()


def test_their_authors_are_named_as_scikit_learn_names_them():
    from importlib.resources import files

    told = files("sklearn.datasets").joinpath("images/README.txt").read_text()
    links = re.findall(r"flickr\.com/photos/(\w+)/\d+", told)
    names = re.findall(r"Image: (\w+\.jpg)", told)
    assert [f"{name} by {author}" for name, author in zip(names, links, strict=True)] == CREDIT.split(", ")[:2]
    assert "creativecommons.org/licenses/by/2.0" in told
    assert CREDIT.endswith("CC BY 2.0")
    assert CREDIT in SOURCE


def test_bad_settings():
    with pytest.raises(InputError, match=r"^size=1: pixels a side, at least 2$"):
        photographs(1)
    with pytest.raises(InputError, match=r"^count=0: at least 1 image$"):
        photographs(32, 0)
