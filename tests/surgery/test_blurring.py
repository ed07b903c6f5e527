import copy
from functools import partial

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from surgery.small import (
    Branches,
    Down,
    Functional,
    GlobalPool,
    Into,
    Maps,
    Own,
    Shared,
    TwoArguments,
    Untraceable,
    images_of,
    of_other_size,
    outputs,
    recorded,
)
from timm.layers import BatchNormAct2d, BlurPool2d, GroupNormAct
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import AvgPool2dSame, MaxPool2dSame
from timm.layers.std_conv import ScaledStdConv2d, StdConv2d
from timm.models.resnetv2 import ResNetV2
from torch import nn
from torchvision.models import resnet, vgg

from pliant._checks import InputError
from pliant.nets import APS, BlurPool, PermutedPool, cifar_net
from pliant.plan import DOWNSAMPLING
from pliant.surgery import Left, Replaced, Surgery, adaptive_sampling, antialias
from pliant.surgery.structure import kind_of


def resnetv2(norm=partial(GroupNormAct, num_groups=4)):  # noqa: B008 - of classes
    """Small, with weights that are standardised."""
    return ResNetV2((1, 1), (32, 64), 5, stem_chs=16, norm_layer=norm)


small_resnet = partial(resnet.ResNet, resnet.BasicBlock, [1, 2, 1, 1])
MODELS = {
    # Of the blocks of a resnet18, and of a narrow resnet50, those that subsample and one that does not.
    "resnet": small_resnet,
    "bottlenecks": lambda: resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], width_per_group=16),
    # Its convolutions alone, an eighth as wide.
    "vgg11_bn": lambda: vgg.make_layers(
        [layer if layer == "M" else layer // 8 for layer in vgg.cfgs["A"]], batch_norm=True
    ),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(width_mult=0.35),
    "convnext_atto": lambda: timm.create_model("convnext_atto", dims=(16, 32, 64, 128)),
    "resnetv2": resnetv2,
}
UNBLURRED = {
    **{name: MODELS[name] for name in ("resnet", "mobilenet_v2", "vgg11_bn")},
    "resnetv2": lambda: resnetv2(BatchNormAct2d),
    "googlenet": lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False),
    "into_a_pool": lambda: Into(nn.MaxPool2d(3, 2, 1)),
    "into_a_pool_of_stride_1": lambda: Into(nn.MaxPool2d(3, 1, 1)),
    "into_a_strided_convolution": lambda: Into(nn.Conv2d(8, 8, 3, 2, 1)),
    "into_a_shortcut": lambda: Into(nn.Conv2d(8, 8, 1, 2), stride=4),
    "averages": lambda: nn.Sequential(nn.AvgPool2d(2), cifar_net("average_pool", width=0.1)[0]),
    "functional": Functional,
    "shared": Shared,
    "branches": Branches,
    "untraceable": Untraceable,
    "maps": lambda: Maps(mean=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_shapes_weights_and_their_names_stay_and_nothing_keeps_its_stride(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    surgery = antialias(model)
    assert surgery.replaced
    assert surgery.left == ()
    assert list(surgery.model.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[key]) for key, value in surgery.model.state_dict().items())
    for size in (64, 71):
        images = images_of(size)
        before, after = outputs(model, images), outputs(surgery.model, images)
        assert before.shape == after.shape
        assert not torch.equal(before, after)
        assert of_other_size(model, surgery.model, images) == []
    strided = (torch.nn.Conv2d, torch.nn.MaxPool2d, torch.nn.AvgPool2d)
    assert all(m.stride in (1, (1, 1)) for m in surgery.model.modules() if isinstance(m, strided))
    assert any(
        m.stride not in (1, (1, 1)) for m in model.modules() if isinstance(m, strided)
    )  # the given one is as it was
    surgery.model.load_state_dict(weights)


@pytest.mark.parametrize("name", UNBLURRED)
@pytest.mark.usefixtures("unchecked")  # what is traced is no tensor yet
def test_with_a_filter_of_one_tap_every_layer_computes_what_it_did(name):
    torch.manual_seed(0)
    model, images = UNBLURRED[name]().double(), images_of(64).double()
    surgery = antialias(model, filter=1)
    assert any(isinstance(module, BlurPool) for module in surgery.model.modules()) == (name != "averages")
    before, after = recorded(model, images), recorded(surgery.model, images)
    for layer, expected in before.items():
        # Between a convolution and its blur the map is larger, and every so many pixels are those that were.
        step = after[layer].shape[-1] // expected.shape[-1] if expected.ndim == 4 else 1
        torch.testing.assert_close(after[layer][..., ::step, ::step] if step > 1 else after[layer], expected)
    assert of_other_size(model, surgery.model, images) == []


def test_a_map_of_another_size_is_seen():
    model = nn.Sequential(nn.Conv2d(3, 3, 3, 2, 1), nn.MaxPool2d(2), nn.Conv2d(3, 3, 1))
    other = nn.Sequential(nn.Conv2d(3, 3, 3, 1, 1), nn.MaxPool2d(2), nn.Conv2d(3, 3, 1))
    assert of_other_size(model, other, images_of(16)) == ["1", "2"]


def test_a_pool_that_takes_what_a_function_puts_out_carries_the_blur_before_it():
    model = Into(nn.MaxPool2d(3, 2, 1))
    surgery, images, blur = antialias(model), images_of(32), BlurPool(8)
    assert [str(entry) for entry in surgery.replaced] == [
        "conv: Conv2d(3x3, stride 2) -> stride 1, and BlurPool(3 taps, stride 2) before taker",
        "taker: MaxPool2d(3x3, stride 2) -> stride 1, then BlurPool(3 taps, stride 2)",
    ]
    mapped = blur(F.relu(F.conv2d(images, model.conv.weight, model.conv.bias, padding=1)))
    expected = blur(F.max_pool2d(mapped, 3, 1, 1))
    torch.testing.assert_close(outputs(surgery.model, images), expected.detach())


def test_before_one_layer_blurs_run_in_the_order_of_what_they_follow():
    model, images = Into(nn.Conv2d(8, 8, 1, 2), stride=4), images_of(64)
    mapped = BlurPool(8, stride=4)(F.relu(F.conv2d(images, model.conv.weight, model.conv.bias, padding=1)))
    expected = F.conv2d(BlurPool(8)(mapped), model.taker.weight, model.taker.bias)
    torch.testing.assert_close(outputs(antialias(model).model, images), expected.detach())


def test_of_a_residual_block_the_blur_stands_behind_the_activation_and_before_the_shortcut():
    model = small_resnet().eval()
    block = antialias(model).model.get_submodule("layer2.0")
    images = images_of(12, channels=64)
    blur = BlurPool(1)
    original = model.get_submodule("layer2.0")
    main = F.relu(original.bn1(F.conv2d(images, original.conv1.weight, padding=1)))
    main = original.bn2(original.conv2(blur(main)))
    shortcut = original.downsample[1](F.conv2d(blur(images), original.downsample[0].weight))
    with torch.no_grad():
        torch.testing.assert_close(block(images), F.relu(main + shortcut))


def test_of_a_bottleneck_and_of_a_sequence_too():
    original = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1]).eval().get_submodule("layer2.0")
    found = antialias(torch.nn.Sequential(original)).model
    images, blur = images_of(12, channels=256), BlurPool(1)
    main = F.relu(original.bn1(original.conv1(images)))
    main = blur(F.relu(original.bn2(F.conv2d(main, original.conv2.weight, padding=1))))
    main = original.bn3(original.conv3(main))
    shortcut = original.downsample[1](F.conv2d(blur(images), original.downsample[0].weight))
    with torch.no_grad():
        torch.testing.assert_close(found(images), F.relu(main + shortcut), rtol=1e-4, atol=1e-4)
    stem = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU6()).eval()
    changed, images = antialias(stem, filter=4), images_of(9)
    assert changed.replaced == (
        Replaced("0", "Conv2d(3x3, stride 2)", "stride 1, and BlurPool(4 taps, stride 2) behind 2"),
    )
    mapped = F.conv2d(images, stem[0].weight, stem[0].bias, padding=1)
    torch.testing.assert_close(outputs(changed.model, images), BlurPool(4, 4)(stem[2](stem[1](mapped))).detach())


def test_pools_become_blurs():
    images = images_of(11)
    maximum = antialias(torch.nn.Sequential(torch.nn.MaxPool2d(3, 2, 1)), filter=5)
    torch.testing.assert_close(maximum.model(images), BlurPool(3, 5)(F.max_pool2d(images, 3, 1, 1)))
    assert (
        str(maximum) == "1 replaced, 0 left\n  0: MaxPool2d(3x3, stride 2) -> stride 1, then BlurPool(5 taps, stride 2)"
    )
    average = antialias(torch.nn.Sequential(torch.nn.AvgPool2d(2)), filter=2)
    torch.testing.assert_close(average.model(images), F.avg_pool2d(images, 2))  # two taps are the average
    partial = antialias(torch.nn.Sequential(torch.nn.AvgPool2d(2, ceil_mode=True)))
    torch.testing.assert_close(partial.model(images), BlurPool(3)(images))  # blocks that the border cuts count
    centred = antialias(torch.nn.Sequential(torch.nn.AvgPool2d(3, 2, 1)))
    torch.testing.assert_close(centred.model(images), BlurPool(3)(images))


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)])
def test_a_norm_over_positions_sees_the_larger_map(norm):
    conv, images = nn.Conv2d(3, 4, 3, 2, 1), images_of(16)
    surgery = antialias(nn.Sequential(conv, norm, nn.ReLU()), filter=1)
    assert surgery.replaced[0].now.endswith("behind 2")
    expected = F.relu(norm(F.conv2d(images, conv.weight, conv.bias, padding=1)))[..., ::2, ::2]
    torch.testing.assert_close(outputs(surgery.model, images), expected.detach())


def standardised(weight):
    rows = weight.flatten(1)
    return ((rows - rows.mean(1, True)) / (rows.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()).view_as(weight)


@pytest.mark.parametrize(
    ("conv", "weight"),
    [
        (StdConv2d(3, 4, 3, 2), lambda conv: standardised(conv.weight)),
        (ScaledStdConv2d(3, 4, 3, 2), lambda conv: standardised(conv.weight) * conv.gain / 27**0.5),
        (
            Own(
                lambda conv, x: F.conv2d(
                    stride=conv.stride, padding=(1, 1), bias=conv.bias, weight=2 * conv.weight, input=x
                )
            ),
            lambda conv: 2 * conv.weight,
        ),
        (Own(lambda conv, x: conv._conv_forward(x, conv.weight.abs(), conv.bias)), lambda conv: conv.weight.abs()),
    ],
)
def test_a_convolution_that_computes_its_weight_is_blurred_as_any_other(conv, weight):
    surgery, images = antialias(nn.Sequential(conv, nn.ReLU())), images_of(17)
    name = type(conv).__name__
    assert str(surgery) == (
        f"1 replaced, 0 left\n  0: {name}(3x3, stride 2) -> stride 1, and BlurPool(3 taps, stride 2) behind 1"
    )
    mapped = F.relu(F.conv2d(images, weight(conv), conv.bias, padding=1))
    torch.testing.assert_close(outputs(surgery.model, images), BlurPool(4)(mapped).detach())
    assert conv.stride == (2, 2)


def test_without_padding_a_convolution_need_not_say_so():
    conv = Own(lambda conv, x: F.conv2d(x, 2 * conv.weight, conv.bias, conv.stride), padding=0)
    assert len(antialias(nn.Sequential(conv)).replaced) == 1


def test_on_a_grid_that_follows_the_image_it_stays():
    surgery = adaptive_sampling(nn.Sequential(StdConv2d(3, 4, 3, 2)))  # it would not wrap around
    assert str(surgery.left[0]) == "0: StdConv2d(3x3, stride 2) stays: StdConv2d computes in a way of its own"


def test_a_pool_that_a_model_holds_twice_is_replaced_twice():
    pool = nn.MaxPool2d(2)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), pool, nn.Conv2d(4, 4, 3, 1, 1), pool)
    surgery = antialias(model)
    assert surgery.model[1] is surgery.model[3]
    blurred = BlurPool(4)(F.max_pool2d(model[0](images_of(16)), 2, 1))
    expected = BlurPool(4)(F.max_pool2d(model[2](blurred), 2, 1))
    torch.testing.assert_close(surgery.model(images_of(16)), expected)


def test_a_pool_that_hooks_stand_on_stays():
    model = nn.Sequential(nn.MaxPool2d(2))
    model[0].register_forward_hook(lambda module, taken, out: 2 * out)
    surgery = antialias(model)
    assert [entry.why for entry in surgery.left] == ["hooks stand on it, which would be lost"]
    assert torch.equal(surgery.model(images_of(8)), 2 * F.max_pool2d(images_of(8), 2))


def test_blurs_are_where_the_model_is():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)).to("meta")
    changed = antialias(model).model
    assert [buffer.device.type for buffer in changed.buffers()] == ["meta", "meta"]
    assert changed(images_of(16).to("meta")).shape == (2, 4, 4, 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_devices_agree():
    model, images = Into(nn.MaxPool2d(3, 2, 1)).double(), images_of(32).double()
    found = outputs(antialias(copy.deepcopy(model).cuda()).model, images.cuda())
    torch.testing.assert_close(found.cpu(), outputs(antialias(model).model, images))
    assert BlurPool(3)(images.cuda()).device.type == "cuda"


@pytest.mark.parametrize("name", DOWNSAMPLING)
@pytest.mark.usefixtures("unchecked")  # what is traced is no tensor yet
def test_the_studys_own_nets(name):
    net = cifar_net(name, width=0.1).eval()
    surgery = antialias(net)
    assert [entry.layer.partition(".conv")[0] for entry in surgery.replaced] == [f"block{b}.down" for b in (1, 2, 3, 4)]
    images = images_of(35)
    for part in range(4):
        images = net[part](images)
        assert net[: part + 1](images_of(35)).shape == surgery.model[: part + 1](images_of(35)).shape
    if name == "strided_relu":
        assert surgery.replaced[0].now.endswith("behind block1.down.relu")


def test_a_model_without_downsampling_says_so():
    surgery = antialias(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()))
    assert (surgery.replaced, surgery.left) == ((), ())
    assert str(surgery) == "The model has nothing to replace."


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (
            torch.nn.Conv2d(3, 8, 16, 16),
            "Conv2d(16x16, stride 16) stays: a stride above 4: at every pixel it would run 256 times as often",
        ),
        (torch.nn.Conv2d(3, 8, 3, (2, 1)), "Conv2d(3x3, stride 2x1) stays: its stride differs between the axes, 2x1"),
        (
            torch.nn.MaxPool2d(3, 2, ceil_mode=True),
            "MaxPool2d(3x3, stride 2) stays: the size of its output is not that of a blur",
        ),
        (
            torch.nn.AvgPool2d(3, 2),
            "AvgPool2d(3x3, stride 2) stays: the size of its output is not that of a blur",
        ),
        (torch.nn.MaxPool2d(2, return_indices=True), "MaxPool2d(2x2, stride 2) stays: it puts out indices, too"),
        (torch.nn.LPPool2d(2, 2), "LPPool2d stays: it has no blurred counterpart"),
        *(
            (
                torch.nn.AvgPool2d(kernel, stride, padding),
                f"AvgPool2d({kernel}x{kernel}, stride {stride}) stays: a blur of 3 taps does not reach all of the "
                "pixels that it averages: take a larger filter",
            )
            for kernel, stride, padding in ((4, 4, 0), (3, 3, 0), (5, 2, 2))
        ),
        (
            torch.nn.AvgPool2d(2, divisor_override=3),
            "AvgPool2d(2x2, stride 2) stays: it divides by 3, which a blur does not",
        ),
        (
            MaxPool2dSame(3, 2),
            "MaxPool2dSame(3x3, stride 2) stays: MaxPool2dSame computes in a way of its own",
        ),
        (
            AvgPool2dSame(2, 2),
            "AvgPool2dSame(2x2, stride 2) stays: AvgPool2dSame computes in a way of its own",
        ),
        (Conv2dSame(3, 4, 3, 2), "Conv2dSame(3x3, stride 2) stays: Conv2dSame computes in a way of its own"),
        *(
            (Own(function), "Own(3x3, stride 2) stays: Own computes in a way of its own")
            for function in (
                lambda conv, x: F.conv2d(x, 2 * conv.weight, conv.bias, 2, conv.padding),  # whatever its own stride is
                lambda conv, x: F.conv2d(x, conv.weight, conv.bias, padding=1)[..., ::2, ::2],
                lambda conv, x: F.conv2d(x, conv.weight, conv.bias, padding=1),  # no stride at all
                lambda conv, x: F.conv2d(x, conv.weight, conv.bias, conv.stride),  # less padding than it says
                lambda conv, x: F.conv2d(F.pad(x, (1, 1, 1, 1)), conv.weight, conv.bias, conv.stride, conv.padding),
                lambda conv, x: F.conv2d(x, conv.weight * x.mean(), conv.bias, conv.stride, conv.padding),
                lambda conv, x: F.conv2d(x, conv.weight, conv.bias, conv.stride, conv.padding).square(),
                lambda conv, x: F.conv2d(x, conv.weight[:, :, :1, :1], None, 2) + nn.Conv2d.forward(conv, x),
                lambda conv, x: nn.Conv2d.forward(conv, x if x.sum() > 0 else x + 1),
            )
        ),
        *(
            (layer, f"{type(layer).__name__} stays: it has no blurred counterpart")
            for layer in (
                torch.nn.PixelUnshuffle(2),
                torch.nn.Unfold(2, stride=2),
                torch.nn.AdaptiveAvgPool2d((7, 1)),
                torch.nn.AdaptiveMaxPool2d((None, 4)),
            )
        ),
        *(
            (Down(function), f"Down, a call of {name}, stays: it has no blurred counterpart")
            for function, name in (
                (lambda images: F.max_pool2d(images, 2), "max_pool2d"),
                (lambda images: F.pad(images[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)), "getitem"),
                (lambda images: F.lp_pool2d(images, 2, 2), "lp_pool2d"),
                (lambda images: F.interpolate(images, scale_factor=0.5), "interpolate"),
                (lambda images: F.interpolate(images, size=(16, 16)), "interpolate"),
                (lambda images: F.unfold(images, 2, stride=2), "unfold"),
                (lambda images: F.pixel_unshuffle(images, 2), "pixel_unshuffle"),
                (lambda images: F.adaptive_avg_pool2d(images, 7), "adaptive_avg_pool2d"),
                (lambda images: F.adaptive_max_pool2d(images, (7, 7)), "adaptive_max_pool2d"),
            )
        ),
        (
            Down(lambda images: images if images.sum() < 0 else images[..., ::2, ::2]),
            "Down stays: its forward cannot be traced (TraceError), so that functions in it may subsample unseen",
        ),
    ],
)
def test_what_stays_is_listed_with_the_reason(layer, said):
    surgery = antialias(torch.nn.Sequential(layer))
    assert str(surgery) == f"0 replaced, 1 left\n  0: {said}"
    images = images_of(32)
    before, after = layer(images), surgery.model(images)
    assert torch.equal(*(out[0] if isinstance(out, tuple) else out for out in (before, after)))


@pytest.mark.parametrize(
    "layer",
    [
        BlurPool2d(4),  # timm's: what blurs already needs nothing
        nn.AdaptiveAvgPool2d(1),
        nn.Unfold(3, padding=1),
        Down(lambda images: F.interpolate(images, scale_factor=2)),
        Down(lambda images: F.interpolate(images, size=images.shape[-2:])),
        Down(lambda images: F.adaptive_avg_pool2d(images, 1)),
        Down(lambda images: F.conv2d(images, images[:4, :, :1, :1])),
        Down(lambda images: images[:, 1:, 1:]),
    ],
)
def test_what_does_not_subsample_or_blurs_already_is_not_listed(layer):
    assert str(antialias(nn.Sequential(layer))) == "The model has nothing to replace."


def test_of_a_model_that_cannot_be_traced_it_is_said():
    surgery = antialias(Untraceable())
    assert [str(entry) for entry in surgery.left] == [
        ": Untraceable stays: its forward cannot be traced (TraceError), so that functions in it may subsample unseen"
    ]


def test_functional_calls_are_named():
    surgery = antialias(Functional())
    assert [entry.what for entry in surgery.left] == [
        "a call of max_pool2d",
        "a call of avg_pool2d",
        "a call of getitem",
    ]
    assert isinstance(surgery.left[0], Left)
    # relu is a function here: the blur stands before the layer that takes what it puts out.
    assert [str(entry) for entry in surgery.replaced] == [
        "first: Conv2d(3x3, stride 2) -> stride 1, and BlurPool(3 taps, stride 2) before second"
    ]
    images = images_of(32)
    assert of_other_size(Functional(), surgery.model, images) == []


def test_the_report_lists_layers_in_the_order_of_the_model():
    layers = [nn.Conv2d(3, 3, 1, stride) for stride in (2, 5, 3, 6)]
    surgery = antialias(nn.Sequential(*layers))
    assert [entry.layer for entry in surgery.replaced] == ["0", "2"]
    assert [entry.layer for entry in surgery.left] == ["1", "3"]


def test_where_what_follows_cannot_be_told_the_blur_follows_the_convolution():
    surgery = antialias(Untraceable())
    assert [entry.now for entry in surgery.replaced] == [
        "stride 1, and BlurPool(3 taps, stride 2) behind body.1",  # a sequence tells
        "stride 1, and BlurPool(3 taps, stride 2) behind last",  # anything else does not
    ]
    assert outputs(surgery.model, images_of(16)).shape == outputs(Untraceable(), images_of(16)).shape


def test_where_it_cannot_be_told_a_layer_that_is_held_twice_carries_no_blur():
    relu, model = nn.ReLU(), Untraceable()
    model.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), relu, nn.Conv2d(4, 4, 3, 1, 1), relu)
    surgery = antialias(model)
    assert surgery.replaced[0].now == "stride 1, and BlurPool(3 taps, stride 2) behind body.1"
    assert of_other_size(model, surgery.model, images_of(32)) == []


def test_a_norm_that_holds_a_weight_for_every_position_is_not_passed():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.LayerNorm([4, 8, 8]), nn.ReLU())
    surgery = antialias(model)
    assert surgery.replaced[0].now == "stride 1, and BlurPool(3 taps, stride 2) behind 0"
    assert outputs(surgery.model, images_of(16)).shape == (2, 4, 8, 8)


def test_activations_are_told_by_where_they_are_defined():
    timms = [timm.layers.activations.Swish(), timm.layers.activations_me.SwishMe()]
    assert [kind_of(layer) for layer in (nn.ReLU(), nn.PReLU(), *timms)] == ["activation"] * 4
    recorder = type("Recorder", (nn.Module,), {"__module__": "mine.activation_maps"})()
    assert kind_of(recorder) == kind_of(nn.MultiheadAttention(4, 1)) == ""


def test_a_convolution_used_twice_is_blurred_each_time():
    surgery = antialias(Shared())
    assert [entry.now for entry in surgery.replaced] == ["stride 1, and BlurPool(3 taps, stride 2) behind conv"]
    assert outputs(surgery.model, images_of(16)).shape == outputs(Shared(), images_of(16)).shape


@pytest.mark.usefixtures("unchecked")  # what is traced is no tensor yet
def test_it_can_be_trained_copied_and_operated_on_again():
    surgery = antialias(small_resnet())
    assert isinstance(surgery, Surgery)
    again = antialias(antialias(Into(BlurPool(8))).model)
    assert (again.replaced, again.left) == ((), ())  # also where a blur carries another
    again = antialias(surgery.model, filter=5)
    assert (again.replaced, again.left) == ((), ())
    again.model.train()(images_of(32)).sum().backward()
    assert all(p.grad is not None for p in again.model.parameters())
    assert outputs(again.model.double().eval(), images_of(32).double()).dtype == torch.float64


def test_a_filter_of_no_taps_is_refused():
    with pytest.raises(InputError) as error:
        antialias(torch.nn.Sequential(), filter=0)
    assert str(error.value) == "filter=0: taps a side, 1 or more; 3 is the usual"


def test_layers_that_subsample_in_ways_of_their_own_are_named():
    surgery = antialias(torch.nn.Sequential(APS(3), PermutedPool(3), BlurPool(3)))
    assert [(entry.layer, entry.what) for entry in surgery.left] == [("0", "APS"), ("1", "PermutedPool")]


@pytest.mark.parametrize("operation", [antialias, adaptive_sampling])
def test_a_layer_that_is_the_whole_model_has_no_place(operation):
    surgery = operation(torch.nn.MaxPool2d(2))
    assert [str(entry) for entry in surgery.left] == [
        ": MaxPool2d(2x2, stride 2) stays: it is the whole model: put it into a torch.nn.Sequential"
    ]
    assert surgery.replaced == ()


def test_a_pool_as_large_as_the_map_is_no_downsampling():
    surgery = antialias(GlobalPool())
    assert (surgery.replaced, surgery.left) == ((), ())


def test_a_layer_that_takes_more_than_the_map_has_nothing_put_before_it():
    surgery = antialias(TwoArguments())
    assert [entry.now for entry in surgery.replaced] == ["stride 1, and BlurPool(3 taps, stride 2) behind conv"]
    assert outputs(surgery.model, images_of(16)).shape == outputs(TwoArguments(), images_of(16)).shape
