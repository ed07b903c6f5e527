"""What a user meets first: the public names, and what importing them costs."""

import subprocess
import sys

import pytest

import pliant
from pliant import deform


def modules_after(*statements):
    """The modules that one process has loaded after each of the statements."""
    code = "\n".join(f"{statement}\nimport sys\nprint(*sys.modules)" for statement in statements)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def with_torch():
    """What is loaded with data and models, and then with all that measures and runs."""
    return modules_after(
        "import pliant.data, pliant.zoo",
        "import pliant; pliant.measure; pliant.Watch; pliant.nets; pliant.surgery; import pliant.run",
    )


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
    (loaded,) = modules_after(statement)
    assert "pliant" in loaded
    assert not loaded & {"torch", "torchvision", "timm"}


def test_the_check_for_torch_can_fail(with_torch):
    assert "torch" in with_torch[-1]


def test_data_and_models_load_no_other_package_before_they_are_asked_for(with_torch):
    assert {"pliant.data", "pliant.zoo"} <= with_torch[0]
    assert not with_torch[0] & {"sklearn", "timm", "torchvision"}


def test_no_optional_package_is_loaded(with_torch):
    assert not with_torch[-1] & {"lightning", "kymatio", "ray"}


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
