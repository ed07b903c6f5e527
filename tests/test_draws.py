import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pliant import _gpu, draws
from pliant._checks import InputError
from pliant.draws import Stream

MASK = 0xFFFFFFFF


def reference(counter, key, rounds=10):
    """Philox 4x32 in Python's unbounded integers, round by round as in Salmon et al. 2011."""
    c, (k0, k1) = list(counter), key
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & MASK, (p0 >> 32) ^ c[3] ^ k1, p0 & MASK]
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c


# Known answers of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds).
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((MASK,) * 4, (MASK, MASK), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, words):
    assert tuple(draws.philox(torch.tensor(counter), key).tolist()) == words


words = st.integers(0, MASK)


@given(st.tuples(words, words, words, words), st.tuples(words, words))
def test_agrees_with_unbounded_integers(counter, key):
    assert draws.philox(torch.tensor(counter), key).tolist() == reference(counter, key)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_uniform_is_the_documented_function_of_its_arguments(seed, index, draw, count):
    expected = []
    for block in range(-(-count // 4)):
        counter = (block | Stream.AUGMENTATION << 24, draw, index & MASK, index >> 32)
        expected += [(word >> 8) / 2**24 for word in reference(counter, (seed & MASK, seed >> 32))]
    assert draws.uniform(seed, Stream.AUGMENTATION, [index], draw, count)[0].tolist() == expected[:count]


def test_long_vectors_agree_with_unbounded_integers():
    counters = torch.randint(0, 1 << 32, (1003, 4), generator=torch.Generator().manual_seed(0))
    found = draws.philox(counters, (MASK, 7))
    assert found.tolist() == [list(reference(tuple(counter), (MASK, 7))) for counter in counters.tolist()]


def test_noise_is_made_of_the_bytes_of_the_words_of_seven_rounds():
    found = draws.noise(5, Stream.DEFORMATION, [9, 3], 1, 27)
    blocks = [reference((block | Stream.DEFORMATION << 24, 1, 3, 0), (5, 0), rounds=7) for block in range(2)]
    signed = [byte - 256 * (byte >= 128) for place in range(4) for block in blocks for byte in parts(block[place])]
    assert found[1].tolist() == [(byte + 0.5) / 128 for byte in signed[:27]]
    many = draws.noise(0, Stream.DEFORMATION, range(10), 0, 5000)
    assert many.min() == -255 / 256
    assert many.max() == 255 / 256
    assert float(many.var()) == pytest.approx(1 / 3, rel=0.02)
    assert abs(float(many.mean())) < 0.01


def parts(word):
    """Its four bytes, the lowest first."""
    return word.to_bytes(4, "little")


def test_children_have_seeds_of_their_own():
    children = {draws.child(seed, place) for seed in (0, 1, MASK << 32 | 5) for place in range(100)}
    assert len(children) == 300
    assert all(0 <= child < 1 << 64 for child in children)
    assert draws.child(3, 4) == draws.child(3, 4)


def test_normal_numbers_are_quantiles():
    uniforms = torch.tensor([0.0, 0.25, 0.5, 1 - 2.0**-24])
    expected = norm.ppf(uniforms.double().numpy() + 2.0**-25)
    assert draws.as_normal(uniforms).tolist() == pytest.approx(expected.tolist(), rel=1e-6, abs=1e-6)
    assert float(draws.as_normal(uniforms).max()) < 5.5


def test_the_batch_does_not_matter():
    batch = draws.uniform(3, Stream.DEFORMATION, range(100), 0, 18)
    assert torch.equal(batch[57:58], draws.uniform(3, Stream.DEFORMATION, [57], 0, 18))
    assert torch.equal(batch[[9, 4]], draws.uniform(3, Stream.DEFORMATION, torch.tensor([9, 4]), 0, 18))


def test_each_index_may_have_a_draw_of_its_own(monkeypatch):
    indices, of_each = [4, 9, 4, 1 << 40], [7, 0, 8, MASK]
    monkeypatch.setattr(draws, "_AT_ONCE", 4)  # two indices at a time
    for numbers in (draws.uniform, draws.noise):
        found = numbers(3, Stream.NOISE, indices, torch.tensor(of_each), 30)
        alone = [numbers(3, Stream.NOISE, [i], draw, 30) for i, draw in zip(indices, of_each, strict=True)]
        assert torch.equal(found, torch.cat(alone))


@pytest.mark.parametrize("change", [{"seed": 1}, {"stream": Stream.SHUFFLE}, {"draw": 1}, {"indices": [1]}])
def test_every_argument_changes_every_number(change):
    arguments = {"seed": 0, "stream": Stream.DEFORMATION, "indices": [0], "draw": 0, "count": 50}
    same = draws.uniform(**arguments) == draws.uniform(**arguments | change)
    assert not same.any()


def test_numbers_are_uniform():
    numbers = draws.uniform(0, Stream.DEFORMATION, range(1000), 0, 100)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = torch.histc(numbers, 20, 0, 1)
    # Chi-square with 19 degrees of freedom: 43.8 is its 99.9% point.
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8


def test_permutation_holds_every_position_once_and_depends_on_the_draw():
    first, second = (draws.permutation(0, Stream.SHUFFLE, draw, 500) for draw in (0, 1))
    assert first.sort().values.tolist() == list(range(500))
    assert not torch.equal(first, second)


def test_the_global_generator_is_untouched():
    before = torch.random.get_rng_state()
    draws.permutation(0, Stream.SHUFFLE, 0, 10)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, Stream.SHUFFLE, [0], 0, 1), "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
        ((0, Stream.SHUFFLE, [0], -2, 1), "draw=-2: a draw is an integer from 0 to 2^32 - 1"),
        (
            (0, Stream.SHUFFLE, [0, 0], torch.tensor([1, 1 << 32]), 1),
            "draw=4294967296: a draw is an integer from 0 to 2^32 - 1",
        ),
        ((0, Stream.SHUFFLE, [3, -7], 0, 1), "image indices must be 0 or more, got -7"),
        ((0, Stream.SHUFFLE, [3], torch.tensor([1, 2]), 1), "2 draws for 1 indices: give one, or one for each"),
        ((0, Stream.SHUFFLE, [3, 5], torch.tensor([1]), 1), "1 draws for 2 indices: give one, or one for each"),
    ],
)
def test_bad_arguments(arguments, message):
    for numbers in (draws.uniform, draws.noise):
        with pytest.raises(InputError) as error:
            numbers(*arguments)
        assert str(error.value) == message


def test_numbers_stand_side_by_side():
    for device in ("cpu", "meta"):
        assert draws.uniform(0, Stream.SHUFFLE, range(3), 0, 18, device).is_contiguous()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("count", [50, 5000])
def test_the_numbers_are_the_same_on_a_gpu(monkeypatch, count, kernel):
    arguments = (2**64 - 5, Stream.DEFORMATION, range(1 << 40, (1 << 40) + 1000), 3, count)
    expected = draws.uniform(*arguments), draws.noise(*arguments)
    if not kernel:
        monkeypatch.setattr(_gpu, "kernels", lambda module, device, work: None)
    found = draws.uniform(*arguments, device="cuda"), draws.noise(*arguments, device="cuda")
    for here, there in zip(expected, found, strict=True):
        assert torch.equal(here, there.cpu())


@pytest.mark.parametrize("count", [3, 5000])
def test_no_device_is_asked_for_anything(count):
    for numbers in (draws.uniform, draws.noise):
        found = numbers(3, Stream.NOISE, range(100), 0, count, device="meta")  # which has no answers
        assert (found.device.type, found.shape) == ("meta", (100, count))


@pytest.mark.parametrize("few", [0, 1 << 30])
def test_large_indices_beside_small_ones_agree_with_unbounded_integers(monkeypatch, few):
    monkeypatch.setattr(draws, "_FEW", few)  # tensors, then arrays
    for indices in ([3, 5], [3, (1 << 40) + 5, 7]):
        found = draws.uniform(9, Stream.DEFORMATION, indices, 2, 6)
        for numbers, index in zip(found.tolist(), indices, strict=True):
            words = [word for block in range(2) for word in reference((block, 2, index & MASK, index >> 32), (9, 0))]
            assert numbers == [(word >> 8) / 2**24 for word in words[:6]]
