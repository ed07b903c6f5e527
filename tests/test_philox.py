"""The kernel that draws on GPUs against `pliant.draws`."""

import kernels
import pytest
import torch

from pliant import _gpu, draws
from pliant.draws import Stream

philox = kernels.loaded("pliant._philox")
SEEDS = [0, 1, 2**31, 2**40 + 5, 2**63, 2**64 - 1]
INDICES = [0, 3, 2**31 + 1, 2**32 + 7, 2**63 - 1]
DRAWS = torch.tensor([0, 1, 2**31, 2**32 - 1, 5])


@pytest.fixture
def by_kernel(monkeypatch):
    """All numbers are drawn by the kernel."""

    def use():
        monkeypatch.setattr(_gpu, "kernels", lambda module, device, work: philox)
        monkeypatch.setattr(draws, "_SENT", -1)

    return use


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("numbers", [draws.uniform, draws.noise])
def test_the_kernel_draws_the_same_numbers_to_the_bit(numbers, seed, by_kernel):
    arguments = (seed, Stream.CHANNELS, INDICES, DRAWS, 50)
    expected = numbers(*arguments)
    by_kernel()
    assert torch.equal(numbers(*arguments, device=kernels.DEVICE).cpu(), expected)


@pytest.mark.parametrize("blocks", [1, 511, 512, 1300])
def test_each_word_is_that_of_its_block(blocks):
    given = torch.tensor([[9, 2**40 + 3], [7, 2**32 - 1], [-5, 4]])
    found = philox.words(given.to(kernels.DEVICE), int(Stream.NOISE), blocks, 10).cpu()
    assert found.shape == (2, 4, blocks)
    for (index, draw, seed), words in zip(given.T.tolist(), found, strict=True):
        seed %= 1 << 64
        position = torch.arange(blocks) | Stream.NOISE << 24
        same = [torch.full_like(position, word) for word in (draw, index % 2**32, index >> 32)]
        expected = draws.philox(torch.stack((position, *same), -1), (seed % 2**32, seed >> 32))
        assert torch.equal(words.T, expected)


def test_no_indices_and_no_numbers(by_kernel):
    by_kernel()
    assert draws.uniform(0, Stream.NOISE, [], 0, 5, kernels.DEVICE).shape == (0, 5)
    assert draws.noise(0, Stream.NOISE, [3], 0, 0, kernels.DEVICE).shape == (1, 0)
