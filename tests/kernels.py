"""Kernels for GPUs, on a GPU where there is one, else in Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def loaded(name):
    """The module of kernels; what needs it is skipped where they cannot run."""
    module = pytest.importorskip(name)
    try:
        module.trial(torch.device(DEVICE))
    except Exception as error:
        if "only 0-dimensional arrays can be converted" not in str(error):
            raise
        pytest.skip("the interpreter of this Triton, 3.5 or so, does not run on this NumPy", allow_module_level=True)
    return module


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

def compiled(kernel, types, **constants):
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
    places = {(names.index(name),): value for name, value in constants.items()}
    source = ASTSource(kernel, signature=signature, constexprs=places)
    target = GPUTarget("cuda", 80, 32)
    return triton.compile(source, target=target, options={"enable_fp_fusion": False}).asm["ptx"]
"""


def run_with_compiler(code):
    """Run code that compiles kernels by `compiled`, in a process without the interpreter."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    code = f"{COMPILED}\n{code}\nprint('compiled')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "compiled", done.stderr
