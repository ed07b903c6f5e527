import json

import pytest

from pliant import nets
from pliant._checks import InputError
from pliant.plan import DOWNSAMPLING, MORE_DOWNSAMPLING, Measuring, Study, Training


def test_a_plan_comes_back_from_json():
    plan = Study(data="cifar10", limit=100, downsampling=("max_pool",), training=Training(epochs=3, flip=True))
    again = Study.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.identity == plan.identity


@pytest.mark.parametrize(
    "other",
    [
        Study(seed=1),
        Study(training=Training(epochs=9)),
        Study(measuring=Measuring(reach=2.5)),
        Study(downsampling=("max_pool",)),
        Study(downsampling=("blur_pool",)),
        Study(padding_mode="circular"),
        Study(pool_skip=2),
    ],
)
def test_every_setting_is_part_of_the_identity(other):
    assert other.identity != Study().identity


def test_the_identity_does_not_depend_on_the_process():
    # Written down once: a change means that finished runs are no longer recognised.
    assert Study(data="digits", training=Training(epochs=1), measuring=Measuring(images=2)).identity == "7ce8fa030bcd"


def test_later_settings_leave_no_trace_at_their_defaults():
    assert Study(padding_mode="zeros", pool_skip=0).to_json().keys().isdisjoint({"padding_mode", "pool_skip"})
    other = Study(padding_mode="circular", pool_skip=3)
    assert Study.from_json(other.to_json()) == other
    assert Study().downsampling == DOWNSAMPLING  # the paper's, whatever else there is


def test_equal_plans_have_one_identity():
    assert Study(width=1) == Study(width=1.0)
    assert Study(width=1).identity == Study(width=1.0).identity


def test_the_names_are_those_of_the_layers():
    assert tuple(nets.DOWNSAMPLING) == (*DOWNSAMPLING, *MORE_DOWNSAMPLING)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "the plan has schema 99; this version of pliant reads 1: update pliant"),
        ({"schema": None}, "the plan has schema None, which is no version: this version of pliant writes 1"),
        ({"downsampling": "max_pool"}, "downsampling='max_pool' of Study: it takes a list, each item a string"),
        ({"measuring": None}, "Measuring is a JSON object, got None"),
        ({"widht": 2}, "unknown field of Study 'widht'. Did you mean 'width'?"),
        ({"training": {"epoch": 2}}, "unknown field of Training 'epoch'. Did you mean 'epochs'?"),
        ({"width": 0.0}, "width=0.0: a factor on the channels, above 0"),
        (
            {"downsampling": ["maxpool"]},
            "unknown downsampling 'maxpool'. Did you mean 'max_pool', 'max_blur_pool' or 'average_pool'?",
        ),
        ({"training": {"batch_size": 1}}, "batch_size=1: batch norm needs at least 2 images a step"),
        ({"measuring": {"padding": "wrap"}}, "unknown padding 'wrap'. Known: border, reflection, zeros."),
        ({"training": [1]}, "Training is a JSON object, got [1]"),
        ({"training": {"epochs": "8"}}, "epochs='8' of Training: it takes a whole number"),
        ({"training": {"peak_rate": True}}, "peak_rate=True of Training: it takes a number"),
        ({"training": {"flip": 1}}, "flip=1 of Training: it takes true or false"),
        ({"limit": 2.5}, "limit=2.5 of Study: it takes a whole number or null"),
        ({"width": float("inf")}, "width=inf: a factor on the channels, above 0"),
        ({"seed": -1}, "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
        ({"downsampling": ["strided", "strided"]}, "downsampling=('strided', 'strided'): name each once"),
        ({"measuring": {"metric": "cosin"}}, "unknown metric 'cosin'. Did you mean 'cosine'?"),
        ({"downsampling": []}, "downsampling=(): name at least one, such as 'max_pool'"),
        ({"padding_mode": "reflect"}, "unknown padding_mode 'reflect'. Known: circular, zeros."),
        ({"pool_skip": -2}, "pool_skip=-2: pixels a side of the blocks, 1 or more, or 0 for none"),
        ({"measuring": {"images": 1}}, "images=1: a median over pairs needs at least 2 images"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_bad_plan_is_refused(change, message):
    with pytest.raises(InputError) as error:
        Study.from_json(Study().to_json() | change)
    assert str(error.value) == message
