import pytest
from report import fake_run

from pliant import records
from pliant._checks import InputError
from pliant.plan import DOWNSAMPLING, MORE_DOWNSAMPLING
from pliant.report import palette
from pliant.report.nets import Comparison


def test_nets_stand_in_the_order_of_the_plan(whole):
    run = Comparison.read(whole)
    assert [net.kind for net in run.nets] == list(fake_run.BEFORE)
    assert run.missing == ()


def test_seeds_are_named_where_there_are_several(copied):
    path = copied / "max_pool-seed0" / "record.json"
    records.write_json(path, records.read_json(path) | {"seed": 3})
    assert [net.title for net in Comparison.read(copied).nets][:2] == ["subsampling (seed 0)", "max pooling (seed 3)"]


def test_a_record_without_its_plan(copied):
    (copied / "plan.json").unlink()
    with pytest.raises(InputError) as caught:
        Comparison.read(copied)
    assert str(caught.value) == f"there is no {copied / 'plan.json'}: name a folder that pliant has written"


def test_every_kind_has_its_own_colour_and_mark_also_kinds_of_tomorrow():
    kinds = [*DOWNSAMPLING, *MORE_DOWNSAMPLING, "wavelet", "dilated"]
    assert len(set(palette.colours(kinds))) == len(set(palette.marks(kinds))) == 13
    assert len({palette.net_title(kind) for kind in kinds}) == 13
    assert palette.net_title("wavelet") == "wavelet"
