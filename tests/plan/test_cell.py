from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pliant._checks import InputError
from pliant.plan import PREPROCESSING, TASKS, Cell, Measuring, Net, Plan, Task, Training

FIELDS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(TASKS),
        "preprocessing": st.sampled_from(PREPROCESSING),
        "limit": st.none() | st.integers(2, 99),
        "width": st.floats(0.1, 2),
        "epochs": st.none() | st.integers(0, 9),
        "seed": st.integers(0, 2**64 - 1),
        "choice": st.text(min_size=1, max_size=9),
    }
)


def made(kind, preprocessing, limit, width, epochs, seed, choice):
    task = Task(kind, "digits", limit, 2.0 * (kind == "templates"), preprocessing)
    training = None if epochs is None else Training(epochs=epochs)
    return Cell(task, Net(width=width), training, seed=seed, choice=choice)


@given(FIELDS)
def test_a_cell_comes_back_from_json_as_it_was(fields):
    cell = made(**fields)
    assert Cell.from_json(cell.to_json()) == cell


@given(FIELDS, FIELDS)
def test_the_identity_and_the_name_tell_cells_apart(one, other):
    one, other = made(**one), made(**other)
    assert (one.identity == other.identity) == (one == other)
    assert (one.name == other.name) == (one == other)


def test_the_name_says_what_it_is():
    cell = Cell(Task("templates", "digits", 100, 3), Net("strided", sigma=0.5), Training(), choice="no decay", seed=4)
    assert cell.name.startswith("templates3-cifar-strided-sigma0.5-no_decay-seed4-")
    assert replace(cell, training=None).name.startswith("initial-")


def test_identities_and_names_are_those_of_before_there_were_other_nets():
    # Written down once: a change means that finished runs are no longer recognised.
    assert Cell().identity == "fe29677615b4"
    smoothed = Cell(net=Net("strided", "imagenet", 0.5, 0.3))
    assert smoothed.name == "initial-imagenet-strided-sigma0.3-reference-seed0-39768d"


def test_other_nets_are_told_in_the_name_and_come_back_from_json():
    cell = Cell(net=Net("aps", padding_mode="circular", pool_skip=2))
    assert cell.name.startswith("initial-cifar-aps-circular-skip2-reference-seed0-")
    assert Cell.from_json(cell.to_json()) == cell


def test_a_plan_comes_back_from_json_and_knows_its_identity():
    plan = Plan("study", (Cell(seed=1), Cell(seed=2)), "small", threads=2)
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.identity != replace(plan, threads=1).identity


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Task("labls"), "unknown task 'labls'. Did you mean 'labels' or 'random_labels'?"),
        (lambda: Task(preprocessing="zca"), "unknown preprocessing 'zca'. Known: dataset, image, unit."),
        (
            lambda: Task(reach=2),
            "reach=2.0 of the task 'labels': templates need a reach above 0, other tasks have none",
        ),
        (
            lambda: Net("max_pol"),
            "unknown downsampling 'max_pol'. Did you mean 'max_pool', 'max_blur_pool' or 'average_pool'?",
        ),
        (lambda: Net(family="mnist"), "unknown family 'mnist'. Known: cifar, imagenet."),
        (lambda: Net(sigma=-1), "sigma=-1.0: a standard deviation in pixels, 0 or more"),
        (lambda: Cell(moments=1), "moments=1: the two ends at least"),
        (
            lambda: Cell(measuring=Measuring(padding="reflection")),
            "metrics=('cosine', 'euclidean'), paddings=('zeros', 'border'): the reference protocol "
            "(cosine, reflection) is one of them",
        ),
        (lambda: Cell(metrics=("cosine", "cosin")), "unknown metric 'cosin'. Did you mean 'cosine'?"),
        (lambda: Cell(paddings=("zeros", "wrap")), "unknown padding 'wrap'. Known: border, reflection, zeros."),
        (lambda: Cell(metrics=("cosine", "cosine")), "metrics=('cosine', 'cosine'): name each once"),
        (
            lambda: Cell.from_json({"metrics": "cosine"}),
            "metrics='cosine' of Cell: it takes a list, each item a string",
        ),
        (lambda: Cell.from_json({"metrics": None}), "metrics=None of Cell: it takes a list, each item a string"),
        (lambda: Cell.from_json({"paddings": [1]}), "paddings=(1,) of Cell: it takes a list, each item a string"),
        (lambda: Cell.from_json({"measuring": None}), "measuring=None of Cell: it takes the fields of a Measuring"),
        (lambda: Cell.from_json({"task": None}), "task=None of Cell: it takes the fields of a Task"),
        (lambda: Cell.from_json({"task": "labels"}), "Task is a JSON object, got 'labels'"),
        (lambda: Cell.from_json([]), "Cell is a JSON object, got []"),
        (lambda: Cell.from_json({"moments": 2.5}), "moments=2.5 of Cell: it takes a whole number"),
        (
            lambda: Cell.from_json({"task": {"limit": "all"}}),
            "limit='all' of Task: it takes a whole number or null",
        ),
        (lambda: Plan("x", ("cell",)), "cells=('cell',) of Plan: it takes a list, each item the fields of a Cell"),
        (lambda: Plan.from_json({"schema": 1, "name": None, "cells": [{}]}), "name=None of Plan: it takes a string"),
        (
            lambda: Plan.from_json({"name": "x", "cells": [{}]}),
            'this is no plan, it has no "schema": `pliant plan` writes it, in a plan of your own it is 1',
        ),
        (
            lambda: Plan.from_json({"schema": "1"}),
            "the plan has schema '1', which is no version: this version of pliant writes 1",
        ),
        (
            lambda: Cell(Task(data="photographs"), training=Training()),
            "the embedded photographs have no labels: nothing can be trained on them",
        ),
        (lambda: Plan("empty", ()), "the plan 'empty' has no cells: nothing would be run"),
        (
            lambda: Plan.from_json({"schema": 99}),
            "the plan has schema 99; this version of pliant reads 1: update pliant",
        ),
        (
            lambda: Plan.from_json({"schema": 1, "name": "x", "cells": [{"sed": 1}]}),
            "unknown field of Cell 'sed'. Did you mean 'seed'?",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == said


def test_a_list_stands_for_a_tuple_and_a_whole_number_for_a_float():
    cell = Cell(metrics=["cosine"], net=Net(width=1))
    assert cell == Cell(metrics=("cosine",), net=Net(width=1.0))
    assert Plan("x", [cell]).identity == Plan("x", (cell,)).identity


def test_cells_of_one_name_are_refused():
    with pytest.raises(InputError, match="^the plan 'twice' names cells twice: initial-cifar-max_pool-"):
        Plan("twice", (Cell(), Cell()))
