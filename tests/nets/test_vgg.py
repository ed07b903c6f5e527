import pytest
import torch
from torch import nn

from pliant._checks import InputError
from pliant.nets import DOWNSAMPLING, cifar_net, imagenet_net, layers_of


def layers(net):
    """Names and output shapes of the layers that the study counts, in the order in which they run."""
    heard = {}
    named = [(n, m) for n, m in net.named_modules() if n.count(".") == 1 and n.startswith("block")]
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: heard.update({name: tuple(out.shape[1:])}))
        for name, module in named
    ]
    size = 64 if "block5" in dict(net.named_children()) else 32
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return heard


@pytest.mark.parametrize("name", DOWNSAMPLING)
def test_the_cifar_net_has_the_studys_twelve_layers(name):
    assert layers(cifar_net(name)) == {
        "block1.layer1": (32, 32, 32),
        "block1.layer2": (32, 32, 32),
        "block1.down": (32, 16, 16),
        "block2.layer1": (64, 16, 16),
        "block2.layer2": (64, 16, 16),
        "block2.down": (64, 8, 8),
        "block3.layer1": (128, 8, 8),
        "block3.layer2": (128, 8, 8),
        "block3.down": (128, 4, 4),
        "block4.layer1": (256, 4, 4),
        "block4.layer2": (256, 4, 4),
        "block4.down": (256, 2, 2),
    }


@pytest.mark.parametrize("name", ["max_pool", "strided_relu"])
def test_the_imagenet_net_has_the_studys_eighteen_layers(name):
    found = layers(imagenet_net(name, width=0.125))
    blocks = {b: [layer for layer in found if layer.startswith(f"block{b}.")] for b in range(1, 6)}
    assert [len(names) - 1 for names in blocks.values()] == [2, 2, 3, 3, 3]
    assert all(names[-1].endswith(".down") for names in blocks.values())
    assert [found[f"block{b}.down"] for b in blocks] == [(8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4), (64, 2, 2)]


def test_full_imagenet_width():
    net = imagenet_net("max_pool", seed=1)
    convs = [(m.in_channels, m.out_channels) for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert convs == [
        *((3, 64), (64, 64)),
        *((64, 128), (128, 128)),
        *((128, 256), (256, 256), (256, 256)),
        *((256, 512), (512, 512), (512, 512)),
        *((512, 512), (512, 512), (512, 512)),
    ]
    assert net.get_submodule("head").weight.shape == (1000, 512)


@pytest.mark.parametrize(
    ("width", "channels"), [(0.5, [16, 32, 64, 128]), (0.01, [1, 1, 1, 3]), (1.5, [48, 96, 192, 384])]
)
def test_width_scales_every_layer(width, channels):
    net = cifar_net("strided_relu", width=width, in_channels=1, classes=7)
    assert [net.get_submodule(f"block{b}.layer2.conv").weight.shape[0] for b in (1, 2, 3, 4)] == channels
    assert [net.get_submodule(f"block{b}.down.conv").weight.shape[0] for b in (1, 2, 3, 4)] == channels
    assert net(torch.zeros(2, 1, 16, 16)).shape == (2, 7)


@pytest.mark.parametrize("name", DOWNSAMPLING)
def test_the_same_seed_is_the_same_net_and_another_is_not(name):
    first, again, other = (cifar_net(name, width=0.25, seed=seed) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    drawn = [n for n, p in first.named_parameters() if p.ndim > 1]
    assert drawn
    assert not any(torch.equal(first.get_parameter(n), other.get_parameter(n)) for n in drawn)


def test_nets_of_one_seed_begin_alike_but_for_their_downsampling():
    nets = {name: cifar_net(name, width=0.25, seed=3).state_dict() for name in DOWNSAMPLING}
    shared = [name for name in nets["max_pool"] if name.endswith("weight")]
    assert len(shared) == 8 + 8 + 1  # convolutions, batch norms, head
    for state in nets.values():
        assert all(torch.equal(state[name], nets["max_pool"][name]) for name in shared)
        drawn = [w for name, w in state.items() if name.endswith(("conv.weight", "head.weight"))]
        numbers = torch.cat([w.flatten() * w[0].numel() ** 0.5 for w in drawn])
        assert len(numbers.unique()) > 0.95 * len(numbers)  # no layer repeats another's numbers


@pytest.mark.parametrize("build", [cifar_net, imagenet_net])
def test_the_global_generator_is_untouched(build):
    before = torch.get_rng_state()
    build("strided_relu", width=0.1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert not torch.equal(torch.get_rng_state(), before)  # must fail: a state that nothing changes


def test_a_layer_is_convolution_batch_norm_relu():
    layer = cifar_net("max_pool", width=0.25).get_submodule("block1.layer1")
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mapped = nn.functional.conv2d(images, layer.conv.weight, padding=1)
    expected = ((mapped - mapped.mean((0, 2, 3), keepdim=True)) / mapped.std((0, 2, 3), keepdim=True)).relu()
    torch.testing.assert_close(layer(images), expected, rtol=1e-2, atol=1e-2)


def test_the_head_reads_the_mean_over_all_pixels():
    net = cifar_net("average_pool", width=0.25).eval()
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    trunk = net[:4](images).mean((2, 3))
    torch.testing.assert_close(net(images), trunk @ net.get_submodule("head").weight.T)


def test_the_untrained_net_is_untouched():
    for name, buffer in cifar_net("strided_relu", width=0.25).named_buffers():
        assert (buffer == (1 if name.endswith("running_var") else 0)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"downsampling": "maxpool"},
            "unknown downsampling 'maxpool'. Did you mean 'max_pool', 'max_blur_pool' or 'average_pool'?",
        ),
        ({"width": 0.0}, "width=0.0: a factor on the channels, above 0"),
        ({"width": float("nan")}, "width=nan: a factor on the channels, above 0"),
        ({"in_channels": 0}, "in_channels=0: images have at least 1 channel"),
        ({"classes": 0}, "classes=0: a net tells at least 1 class"),
        ({"padding_mode": "wrap"}, "unknown padding_mode 'wrap'. Known: circular, zeros."),
        ({"pool_skip": -1}, "pool_skip=-1: pixels a side of the blocks, 1 or more, or 0 for none"),
    ],
)
@pytest.mark.parametrize("build", [cifar_net, imagenet_net])
def test_bad_arguments_are_refused(build, arguments, message):
    with pytest.raises(InputError) as error:
        build(**{"downsampling": "max_pool", **arguments})
    assert str(error.value) == message


def test_images_too_small_for_the_blocks_are_refused():
    with pytest.raises(InputError) as error:
        cifar_net("max_pool", width=0.1)(torch.zeros(2, 3, 15, 15))
    assert str(error.value) == "downsampling needs at least 2x2 pixels, got 1x1: give the net larger images"


def test_the_layers_of_the_study_are_named():
    expected = [f"block{b}.{part}" for b in (1, 2, 3, 4) for part in ("layer1", "layer2", "skip", "down")]
    assert layers_of(cifar_net("strided_blur", width=0.1, pool_skip=2)) == expected
    assert layers_of(cifar_net("max_pool", width=0.1)) == [name for name in expected if "skip" not in name]


@pytest.mark.parametrize("name", ["strided_relu", "lps"])
def test_options_change_no_weight_that_is_there_without_them(name):
    plain = cifar_net(name, width=0.25, seed=3).state_dict()
    other = cifar_net(name, width=0.25, seed=3, padding_mode="circular", pool_skip=2)
    assert all(torch.equal(value, plain[key]) for key, value in other.state_dict().items() if key in plain)
    added = [key for key in other.state_dict() if key not in plain]
    assert added == [f"block{b}.skip.conv.weight" for b in (1, 2, 3, 4)]
    assert layers(other)["block4.skip"] == layers(other)["block4.layer2"]


def test_skips_begin_with_the_same_weights_whatever_the_downsampling():
    one, other = (cifar_net(name, width=0.25, seed=3, pool_skip=2).state_dict() for name in ("max_pool", "strided"))
    shared = [key for key in one if "num_batches" not in key]
    assert all(torch.equal(one[key], other[key]) for key in shared)
    assert not torch.equal(one["block1.skip.conv.weight"][:, :, 0, 0], one["block1.layer2.conv.weight"][:, :, 0, 0])


def test_the_permuted_pixels_of_a_net_are_others_in_each_block_and_for_each_seed():
    seeds = [
        cifar_net("permuted_pool", width=0.1, seed=seed).get_submodule(f"block{b}.down").seed
        for seed in (1, 2)
        for b in (1, 2, 3, 4)
    ]
    assert len(set(seeds)) == 8


@pytest.mark.parametrize("build", [cifar_net, imagenet_net])
def test_a_circular_net_moves_with_the_image_by_multiples_of_its_strides(build):
    net = build("max_blur_pool", width=0.1, padding_mode="circular").eval().double()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(net(images.roll((32, -32), (2, 3))), net(images))
    plain = build("max_blur_pool", width=0.1).eval().double()  # must fail: zeros outside
    assert not torch.allclose(plain(images.roll((32, -32), (2, 3))), plain(images))


@pytest.mark.parametrize("name", ["aps", "lps"])
def test_a_circular_net_that_samples_along_with_the_image_has_full_circular_consistency(name):
    net = cifar_net(name, width=0.1, padding_mode="circular", seed=2).eval().double()
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    still = net(images)
    for shift in ((1, 0), (0, 1), (5, -3), (16, 31)):
        torch.testing.assert_close(net(images.roll(shift, (2, 3))), still)
    subsampling = cifar_net("subsample", width=0.1, padding_mode="circular", seed=2).eval().double()
    assert not torch.allclose(subsampling(images.roll((1, 0), (2, 3))), subsampling(images))  # must fail
