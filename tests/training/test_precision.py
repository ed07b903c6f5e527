import pytest
import torch

from pliant._checks import InputError
from pliant.training import faster_precision
from pliant.training.precision import resolve

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"architecture": "aarch64"}, "fp32"),
    ],
)
def test_a_processor_with_bf16_in_hardware_is_faster_in_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    assert faster_precision(CPU) == expected


@pytest.mark.parametrize(("known", "expected"), [(True, "bf16"), (False, "fp32"), (None, "fp32")])
def test_an_older_torch_is_asked_in_its_own_way(monkeypatch, known, expected):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    if known is not None:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: known, raising=False)
    assert faster_precision(CPU) == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_is_asked_without_emulation(monkeypatch, native, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert faster_precision(torch.device("cuda")) == expected


def test_other_devices_run_in_fp32():
    assert faster_precision(torch.device("meta")) == "fp32"


def test_a_named_precision_is_taken_as_it_is():
    assert resolve("fp32", CPU) == "fp32"
    assert resolve("bf16", CPU) == "bf16"
    assert resolve("auto", CPU) == faster_precision(CPU)
    with pytest.raises(InputError) as error:
        resolve("fp16", CPU)
    assert str(error.value) == "unknown precision 'fp16'. Did you mean 'bf16' or 'fp32'?"
