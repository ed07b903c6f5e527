"""What is wrong about a call is seen: a checker that let everything pass would pass all tests."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor
from typechecker import checked, jaxtyped

from pliant.deform import Field, warp
from pliant.stats import student

each = jaxtyped(typechecker=checked)
seen = pytest.raises(TypeCheckError)
PAIR = torch.zeros(2, 3)


@each
def joined(first: Float[Tensor, "n d"], second: Float[Tensor, "m d"], times: float = 1) -> Float[Tensor, "n+m d"]:
    return torch.cat((first, second))[: int(len(first) + times * len(second))]


def test_arguments_and_results_share_the_names_of_their_axes():
    assert joined(PAIR, PAIR, 1).shape == (4, 3)
    with seen:
        joined(PAIR, PAIR[:, :2])
    with seen:
        joined(PAIR, PAIR.int())
    with seen:
        joined(PAIR, PAIR, times="1")
    with seen:
        joined(PAIR, PAIR, times=0.5)


def test_a_function_that_is_called_has_names_of_its_own():
    @each
    def length(rows: Float[Tensor, "d n"]) -> int:
        return len(rows)

    @each
    def outer(rows: Float[Tensor, "n d"], again: bool) -> Float[Tensor, "n d"]:
        assert length(rows) == 2
        return rows if again else rows.T

    assert outer(PAIR, True) is PAIR
    with seen:
        outer(PAIR, False)
    with seen:  # also after an error
        outer(PAIR, False)
    assert outer(PAIR, True) is PAIR


def test_dataclasses_methods_and_generators():
    @each
    @dataclass
    class Rows:
        rows: Float[Tensor, "n n"]

        @each
        def first(self, count: int) -> "Rows":
            return Rows(self.rows[:count, :count])

        @each
        def each(self, times: int) -> Iterator[Tensor]:
            for _ in range(times):
                yield from self.rows

    assert len(Rows(torch.eye(3)).first(2).rows) == len(list(Rows(torch.eye(2)).each(1))) == 2
    with seen:
        Rows(PAIR)
    with seen:
        Rows(torch.eye(3)).first("2")
    with seen:
        Rows(torch.eye(3)).each("1")


def test_a_function_that_is_defined_again_sees_what_is_around_it_then():
    def outer(number: int):
        @each
        def inner(rows: Float[Tensor, "n n"], more: float = 0) -> int:
            return number + len(rows)

        return inner

    first, second = outer(1), outer(2)
    assert (first(torch.eye(3)), second(torch.eye(3))) == (4, 5)
    for one in (first, second, outer("3")):
        with seen:
            one(PAIR)
    with seen:
        first(torch.eye(3), "1")


def test_nothing_of_what_is_around_a_function_is_kept():
    def outer(images: Tensor):
        @each
        def inner(rows: Float[Tensor, "n d"]) -> Tensor:
            return images + rows

        return inner(images), weakref.ref(images)

    out, images = outer(torch.zeros(2, 3))
    assert out.shape == (2, 3)
    assert images() is None


def test_it_stands_before_the_package_itself():
    field = Field(torch.zeros(2, 2, 5, 5))
    for wrong in ((torch.zeros(2, 5, 5), field), (torch.zeros(2, 1, 5, 5), field, "nothing")):
        with seen:
            warp(*wrong)
    with seen:
        Field(torch.zeros(2, 2, 5, 5, dtype=torch.int32))
    with seen:
        student(np.zeros((2, 2)))


@pytest.mark.usefixtures("unchecked")
def test_where_nothing_is_checked_everything_passes():
    assert joined(PAIR, PAIR, times=0.5).shape == (3, 3)
