"""Every signature's shapes and types are checked while the tests run, wherever tensors are made and measured."""

import os
from pathlib import Path

import jaxtyping
import pytest
import typechecker

# What works on records alone calls small functions very often: checking them, too, takes half of the tests' time.
# `PLIANT_CHECKED=pliant` checks everything.
CHECKED = ["capture", "data", "deform", "draws", "measurement", "metrics", "nets", "outcomes", "profile", "stats"]
CHECKED += ["surgery", "training", "transforms", "zoo"]
PACKAGES = os.environ.get("PLIANT_CHECKED", " ".join(f"pliant.{name}" for name in CHECKED)).split()
jaxtyping.jaxtyped = typechecker.jaxtyped
jaxtyping.install_import_hook(PACKAGES, "typechecker.checked")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is loaded; not where tests are but handed out to workers, which would wait for torch."""
    worker = "PYTEST_XDIST_WORKER" in os.environ
    if config.getoption("numprocesses", None) and not worker:
        return
    import torch

    if worker:
        torch.set_num_threads(1)  # two workers share the cores: threads of both would wait for each other
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # kernels for GPUs run in Triton's interpreter


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, where there is one."""
    folder = os.environ.get("PLIANT_DATA")
    if not folder:
        pytest.skip("PLIANT_DATA is not set: a folder that holds cifar10/ and mnist/")
    return Path(folder)


@pytest.fixture
def unchecked():
    """Signatures are not checked, as in a user's session: what pliant itself says of bad input comes through."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
