import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from surgery.small import Functional, GlobalPool, Shared, TwoArguments, Untraceable, images_of, outputs
from torchvision.models import vgg

from pliant._checks import InputError
from pliant.nets import APS, BlurPool, PermutedPool, cifar_net
from pliant.plan import DOWNSAMPLING
from pliant.surgery import Left, Replaced, Surgery, adaptive_sampling, antialias

MODELS = {
    "resnet18": lambda: torchvision.models.resnet18(),
    "resnet50": lambda: torchvision.models.resnet50(),
    # Its convolutions alone: the dense layers behind them hold 120 million weights.
    "vgg16_bn": lambda: vgg.make_layers(vgg.cfgs["D"], batch_norm=True),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(),
    "convnext_atto": lambda: timm.create_model("convnext_atto"),
    "tf_efficientnet_b0": lambda: timm.create_model("tf_efficientnet_b0"),
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
    strided = (torch.nn.Conv2d, torch.nn.MaxPool2d, torch.nn.AvgPool2d)
    assert all(m.stride in (1, (1, 1)) for m in surgery.model.modules() if isinstance(m, strided))
    assert any(
        m.stride not in (1, (1, 1)) for m in model.modules() if isinstance(m, strided)
    )  # the given one is as it was
    surgery.model.load_state_dict(weights)


def test_of_a_residual_block_the_blur_stands_behind_the_activation_and_before_the_shortcut():
    model = torchvision.models.resnet18().eval()
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
    original = torchvision.models.resnet50().eval().get_submodule("layer2.0")
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
    centred = antialias(torch.nn.Sequential(torch.nn.AvgPool2d(3, 2, 1)))
    torch.testing.assert_close(centred.model(images), BlurPool(3)(images))


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
    ],
)
def test_what_stays_is_listed_with_the_reason(layer, said):
    surgery = antialias(torch.nn.Sequential(layer))
    assert str(surgery) == f"0 replaced, 1 left\n  0: {said}"
    images = images_of(32)
    before, after = layer(images), surgery.model(images)
    assert torch.equal(*(out[0] if isinstance(out, tuple) else out for out in (before, after)))


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
    assert outputs(surgery.model, images).shape == outputs(Functional(), images).shape


def test_where_what_follows_cannot_be_told_the_blur_follows_the_convolution():
    surgery = antialias(Untraceable())
    assert [entry.now for entry in surgery.replaced] == [
        "stride 1, and BlurPool(3 taps, stride 2) behind body.1",  # a sequence tells
        "stride 1, and BlurPool(3 taps, stride 2) behind last",  # anything else does not
    ]
    assert outputs(surgery.model, images_of(16)).shape == outputs(Untraceable(), images_of(16)).shape


def test_a_convolution_used_twice_is_blurred_each_time():
    surgery = antialias(Shared())
    assert [entry.now for entry in surgery.replaced] == ["stride 1, and BlurPool(3 taps, stride 2) behind conv"]
    assert outputs(surgery.model, images_of(16)).shape == outputs(Shared(), images_of(16)).shape


def test_it_can_be_trained_copied_and_operated_on_again():
    surgery = antialias(torchvision.models.resnet18())
    assert isinstance(surgery, Surgery)
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
