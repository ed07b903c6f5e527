"""What a user meets first: the public names, and what importing them costs."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

import pliant
from pliant import deform

WITHOUT_TORCH = (
    "import pliant",
    "pliant.Profile; pliant.Interval; pliant.InputError",
    "import pliant.plan, pliant.records, pliant.stats, pliant.profile, pliant.outcomes, pliant.report",
    "import pliant.paper.figures",
    "import pliant.cli, contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): pliant.cli.run(['--help'])",
)
DATA_AND_MODELS = "import pliant.data, pliant.zoo"
ALL_THAT_RUNS = "pliant.measure; pliant.Watch; pliant.nets; pliant.surgery; import pliant.run"


@pytest.fixture(scope="module")
def loaded():
    """Statement -> the modules that one process has loaded after it and those before it."""
    statements = (*WITHOUT_TORCH, DATA_AND_MODELS, ALL_THAT_RUNS)
    code = "\n".join(f"{statement}\nimport sys\nprint(*sys.modules)" for statement in statements)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return dict(zip(statements, (set(line.split()) for line in done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("statement", WITHOUT_TORCH)
def test_no_torch_is_loaded(loaded, statement):
    assert "pliant" in loaded[statement]
    assert not loaded[statement] & {"torch", "torchvision", "timm"}


def test_the_check_for_torch_can_fail(loaded):
    assert "torch" in loaded[ALL_THAT_RUNS]


def test_drawing_loads_no_global_plotting_state(loaded):
    assert "matplotlib.figure" in loaded["import pliant.paper.figures"]
    assert "matplotlib.pyplot" not in loaded["import pliant.paper.figures"]


def test_data_and_models_load_no_other_package_before_they_are_asked_for(loaded):
    assert {"pliant.data", "pliant.zoo"} <= loaded[DATA_AND_MODELS]
    assert not loaded[DATA_AND_MODELS] & {"sklearn", "timm", "torchvision"}


def test_no_optional_package_is_loaded(loaded):
    assert not loaded[ALL_THAT_RUNS] & {"lightning", "kymatio", "ray"}


def test_measuring_and_surgery_wait_for_no_models(loaded):
    assert {"pliant.measurement", "pliant.surgery"} <= loaded[ALL_THAT_RUNS]
    assert not loaded[ALL_THAT_RUNS] & {"timm", "torchvision"}


@pytest.mark.parametrize("name", pliant.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(pliant, name).__doc__


def test_every_family_of_deformations_is_public_and_documented():
    for family in deform.FAMILIES.values():
        assert getattr(pliant, family.__name__) is family
        assert family.__name__ in deform.__all__
        assert family.__doc__


def hidden(package):
    """The modules of a package that cannot be reached by their names: it exports something else under them."""
    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    exported = {name for name, value in vars(package).items() if not inspect.ismodule(value)}
    return sorted({*exported, *getattr(package, "__all__", ())} & set(modules))


def test_no_module_bears_the_name_of_what_the_package_beside_it_exports():
    found = [module.name for module in pkgutil.walk_packages(pliant.__path__, "pliant.") if module.ispkg]
    assert {"pliant.stats", "pliant.paper.figures"} <= set(found)
    told = {name: hidden(importlib.import_module(name)) for name in ("pliant", *found)}
    assert not any(told.values()), told


def test_a_module_of_an_exported_name_would_be_told(tmp_path):
    (tmp_path / "warp.py").touch()
    assert hidden(SimpleNamespace(__path__=[str(tmp_path)], warp=print, pi=3)) == ["warp"]
    assert hidden(SimpleNamespace(__path__=[str(tmp_path)], __all__=["warp"])) == ["warp"]
    assert hidden(SimpleNamespace(__path__=[str(tmp_path)], warp=sys)) == []


def test_modules_are_attributes_and_other_names_are_not():
    assert pliant.nets.cifar_net
    with pytest.raises(AttributeError, match="^module 'pliant' has no attribute 'meassure'$"):
        pliant.meassure  # noqa: B018
