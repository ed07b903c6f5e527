import pytest
import torch

from pliant._checks import InputError
from pliant.deform import Flow, Sequence


def test_a_flow_is_used_as_it_is():
    given = torch.randn((4, 2, 5, 6), generator=torch.Generator().manual_seed(0))
    assert torch.equal(Flow(given).sample([3, 1], (5, 6)).displacement, given[[3, 1]])
    assert torch.equal(Flow(given[2]).sample([8, 9], (5, 6)).displacement, given[[2, 2]])


def test_descriptions_of_flows_tell_them_apart():
    given = torch.zeros(2, 5, 6)
    assert Flow(given).describe() == Flow(given.clone()).describe()
    assert Flow(given).describe() != Flow(given + 1).describe()
    assert Flow(given) == Flow(given.clone())
    assert hash(Flow(given)) == hash(Flow(given.clone()))
    assert Flow(given) != Flow(given + 1)
    assert Flow(given) != Flow(given, invertible=True)
    assert Sequence((Flow(given),)) != Sequence((Flow(given + 1),))


@pytest.mark.usefixtures("unchecked")
def test_flows_that_do_not_fit():
    given = torch.zeros(4, 2, 5, 6)
    for make, message in (
        (lambda: Flow(torch.zeros(3, 5, 6)), "a flow has the shape (2, h, w) or (m, 2, h, w), got (3, 5, 6)"),
        (lambda: Flow(given).sample([0], (6, 6)), "a flow of 5x6 pixels does not fit images of 6x6"),
        (lambda: Flow(given).sample([4], (5, 6)), "a flow of 4 images has none for image 4"),
    ):
        with pytest.raises(InputError) as error:
            make()
        assert str(error.value) == message
