"""What a user meets first: the public names, and what importing them costs."""

import subprocess
import sys
from functools import cache

import pytest

import pliant
from pliant import deform

USES_TORCH = "import pliant; pliant.measure; pliant.Watch; pliant.nets; pliant.surgery; import pliant.run"


@cache
def modules_after(statement):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import pliant",
        "import pliant.plan, pliant.records, pliant.stats, pliant.profile, pliant.outcomes, pliant.report",
        "import pliant; pliant.Profile; pliant.Interval; pliant.InputError",
        "import pliant.cli, contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): pliant.cli.run(['--help'])",
    ],
)
def test_no_torch_is_loaded(statement):
    assert not modules_after(statement) & {"torch", "torchvision", "timm"}


def test_the_check_for_torch_can_fail():
    assert "torch" in modules_after(USES_TORCH)


def test_no_optional_package_is_loaded():
    assert not modules_after(USES_TORCH) & {"lightning", "kymatio", "ray"}


@pytest.mark.parametrize("name", pliant.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(pliant, name).__doc__


def test_every_family_of_deformations_is_public_and_documented():
    for family in deform.FAMILIES.values():
        assert getattr(pliant, family.__name__) is family
        assert family.__name__ in deform.__all__
        assert family.__doc__


def test_modules_are_attributes_and_other_names_are_not():
    assert pliant.nets.cifar_net
    with pytest.raises(AttributeError, match="^module 'pliant' has no attribute 'meassure'$"):
        pliant.meassure  # noqa: B018
