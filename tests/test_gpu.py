"""Kernels are tried once, and what does not run is told."""

import sys
from types import SimpleNamespace

import kernels
import pytest
import torch

from pliant import _gpu

DEVICE = torch.device("cuda", 0)


@pytest.fixture
def module(monkeypatch):
    """A module of kernels for a GPU that can run them."""
    module = SimpleNamespace(trial=lambda device: None)
    monkeypatch.setitem(sys.modules, "kernels_of_a_test", module)
    monkeypatch.setattr(_gpu, "_KERNELS", {})
    monkeypatch.setattr(_gpu, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    return module


def found():
    return _gpu.kernels("kernels_of_a_test", DEVICE, "images are warped")


def test_kernels_that_run_are_tried_once_on_each_gpu(module):
    tried = []
    module.trial = tried.append
    assert [found(), found()] == [module, module]
    assert tried == [DEVICE]
    assert _gpu.kernels("kernels_of_a_test", torch.device("cpu"), "images are warped") is None


def test_without_triton_nothing_is_loaded(module, monkeypatch):
    monkeypatch.setattr(_gpu, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "kernels_of_a_test")
    assert found() is None


def test_old_gpus_have_none(module, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert found() is None


def test_kernels_that_fail_are_told_once(module):
    def fails(device):
        raise RuntimeError("Failed to find C compiler\nin the path")

    module.trial = fails
    told = (
        "images are warped on cuda:0 without pliant's kernel, several times slower: it does not run there "
        "(RuntimeError: Failed to find C compiler). Triton needs a C compiler and Python's headers."
    )
    with pytest.warns(UserWarning, match="without pliant's kernel") as warned:
        assert [found(), found()] == [None, None]
    assert [str(warning.message) for warning in warned] == [told]


def test_every_kernel_compiles_for_gpus():
    pytest.importorskip("triton")
    kernels.run_with_compiler("""
from pliant import _philox
from pliant.deform import fused, fused_smoothing

assert ".entry _words" in compiled(_philox._words, {"given": "*i64", "out": "*i64"}, BLOCKS=512, ROUNDS=7)

smoothed = dict.fromkeys(("given", "weights", "out"), "*fp32")
assert ".entry _correlate" in compiled(fused_smoothing._correlate, smoothed, PIXELS=1024)

FIXED = {"IMAGES": 1, "PIXELS": fused._PIXELS, "PADDING": 2, "UNROLLED": fused._UNROLLED}

def made(kernel, image, **constants):
    pointers = {"moved": "*fp32", "basis": "*fp32", "to_images": "*fp32", "to_moved": "*fp32"}
    types = pointers | dict.fromkeys(("images", "out", "gradient"), "*" + image)
    return compiled(kernel, types, **(FIXED | constants))

size = {"height": 32, "width": 48}
assert ".entry _forward" in made(fused._forward, "u8", IMAGES=fused._IMAGES, PATTERNS=4, CHANNELS=3, **size)
assert ".entry _forward" in made(fused._forward, "bf16", PATTERNS=0, PADDING=0, CHANNELS=1)
backward = made(fused._backward, "fp32", PATTERNS=9, TO_IMAGES=True, TO_MOVED=True, **size)
assert "atom.global.gpu.relaxed" in backward or "red.global.gpu.relaxed" in backward
""")
