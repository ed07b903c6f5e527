import copy
from functools import partial

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from surgery.small import Branches, Functional, Into, Maps, Shared, Untraceable, images_of, of_other_size, outputs
from timm.layers import BlurPool2d
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from torchvision.models import resnet

from pliant._checks import InputError
from pliant.nets import APS, BlurPool, cifar_net
from pliant.plan import DOWNSAMPLING
from pliant.surgery import adaptive_sampling

SHIFTS = ((1, 0), (0, 1), (3, 7), (-5, 2))
# Of the blocks of a resnet18, and of a narrow resnet50, those that subsample and one that does not.
small_resnet = partial(resnet.ResNet, resnet.BasicBlock, [1, 2, 1, 1])
MODELS = {
    "resnet": small_resnet,
    "bottlenecks": lambda: resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], width_per_group=16),
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(width_mult=0.35),
    "googlenet": lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False),
    "convnext_atto": lambda: timm.create_model("convnext_atto", dims=(16, 32, 64, 128)),
}


def change(model, images):
    """The largest change of the output under circular shifts of the input, over the spread of the outputs."""
    shifted = [images.roll(shift, (2, 3)) for shift in SHIFTS]
    still, *moved = outputs(model, torch.cat([images, *shifted])).split(len(images))
    return float(max((one - still).abs().max() for one in moved) / still.std())


@pytest.mark.parametrize("name", MODELS)
def test_a_random_model_with_global_pooling_has_full_circular_consistency(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval().double()
    surgery = adaptive_sampling(model)
    images = images_of(64).double()
    assert surgery.replaced
    assert surgery.left == ()
    assert change(surgery.model, images) < 1e-9
    assert change(model, images) > 1e-6  # must fail
    assert of_other_size(model, surgery.model, images) == []
    assert list(surgery.model.state_dict()) == list(model.state_dict())
    surgery.model.load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    "taker",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(3, 1, 1),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 5, padding=2),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 5, 2, 2),
        nn.Conv2d(8, 8, 1, 2),
    ],
)
def test_a_layer_that_takes_what_a_function_puts_out_carries_the_sampling_before_it(taker):
    torch.manual_seed(0)
    model, images = Into(taker, stride=4).double(), images_of(32).double()
    surgery = adaptive_sampling(nn.Sequential(model, nn.AdaptiveAvgPool2d(1)))
    assert surgery.left == ()
    assert surgery.replaced[0].now.endswith("before 0.taker")
    assert outputs(surgery.model[0], images).shape == outputs(model, images).shape
    assert change(surgery.model, images) < 1e-9


def test_samplings_before_one_layer_run_in_the_order_of_what_they_follow():
    model, images = Into(nn.Conv2d(8, 8, 1, 2), stride=4), images_of(32)
    wrapped = F.pad(images, (1, 1, 1, 1), mode="circular")
    mapped = F.relu(F.conv2d(wrapped, model.conv.weight, model.conv.bias))
    expected = F.conv2d(APS(8)(APS(8, 4)(mapped)), model.taker.weight, model.taker.bias)
    torch.testing.assert_close(outputs(adaptive_sampling(model).model, images), expected.detach())


def test_maps_that_leave_the_model_side_by_side_do_not_meet():
    torch.manual_seed(0)
    assert [entry.layer for entry in adaptive_sampling(Maps()).replaced] == ["first", "second"]
    surgery = adaptive_sampling(Maps(mean=True).double())
    assert surgery.left == ()
    assert change(surgery.model, images_of(16).double()) < 1e-9
    assert adaptive_sampling(timm.create_model("resnet18", features_only=True)).left == ()


@pytest.fixture(scope="module")
def of_resnet():
    return adaptive_sampling(small_resnet().eval())


def test_the_shortcut_takes_the_grid_that_the_residual_branch_has_chosen(of_resnet):
    said = {entry.layer: entry.now for entry in of_resnet.replaced}
    assert said["layer2.0.conv1"] == "stride 1, and APS(stride 2) before layer2.0.conv2"
    shared = "stride 1, and APS(stride 2) with the choice of layer2.0.conv1 before layer2.0.downsample.0"
    assert said["layer2.0.downsample.0"] == shared
    assert said["layer2.0.conv2"] == "the same, wrapped around"
    assert said["maxpool"] == "stride 1, then APS(stride 2)"


def test_branches_share_every_choice_in_the_order_in_which_they_run():
    torch.manual_seed(1)
    surgery = adaptive_sampling(Branches().double())
    assert [str(entry) for entry in surgery.replaced] == [
        "stem: Conv2d(3x3, stride 1) -> the same, wrapped around",
        "left.0: Conv2d(3x3, stride 2) -> stride 1, and APS(stride 2) behind left.1",
        "left.2: MaxPool2d(2x2, stride 2) -> stride 1, then APS(stride 2)",
        "right.0: AvgPool2d(2x2, stride 2) -> stride 1, then APS(stride 2) with the choice of left.0",
        "right.1: Conv2d(1x1, stride 2) -> stride 1, and APS(stride 2) with the choice of left.2 before right.1",
    ]
    assert change(surgery.model, images_of(16).double()) < 1e-9
    followers = [m for m in surgery.model.modules() if type(m).__name__ == "FollowingAPS"]
    for follower in followers:  # must fail: each chooses for itself
        follower.forward = lambda images: images[..., ::2, ::2]
    assert change(surgery.model, images_of(16).double()) > 1e-6


def test_a_copy_chooses_for_itself():
    surgery = adaptive_sampling(Branches().double())
    copied, images = copy.deepcopy(surgery.model), images_of(16).double()
    expected = outputs(surgery.model, images)
    outputs(surgery.model, images.flip(0).roll(1, 3))
    torch.testing.assert_close(outputs(copied, images), expected)


def test_branches_that_meet_after_other_strides_stay():
    model = Branches(uneven=True)
    surgery = adaptive_sampling(model)
    why = "branches that meet subsample in different steps"
    assert {entry.layer: entry.why for entry in surgery.left} == {
        "left.0": why,
        "left.2": why,
        "far.0": why,
        "right.0": "what it puts out meets that of left.0, which stays",
        "right.1": "what it puts out meets that of left.2, which stays",
    }
    model.stem.padding_mode = "circular"  # which is all that has changed
    torch.testing.assert_close(outputs(surgery.model, images_of(16)), outputs(model, images_of(16)))


@pytest.mark.parametrize(
    ("model", "layer", "why"),
    [
        (
            Untraceable(),
            "last",
            "its forward cannot be traced (TraceError), so that it is not known which branches meet",
        ),
        (Shared(), "conv", "it runs 2 times in a forward pass"),
        (Functional(), "max_pool2d_1", "it has no counterpart that follows the image"),
        (timm.create_model("tf_efficientnet_b0"), "conv_stem", "Conv2dSame computes in a way of its own"),
        (
            torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2)),
            "0",
            "the size of its output is not that of its input over the stride",
        ),
        (
            torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8)),
            "0",
            "a stride above 4: at every pixel it would run 64 times as often",
        ),
        (torch.nn.Sequential(BlurPool(3)), "0", "it has no counterpart that follows the image"),
        (torch.nn.Sequential(BlurPool2d(3)), "0", "it has no counterpart that follows the image"),
        (torch.nn.Sequential(MaxPool2dSame(3, 2)), "0", "MaxPool2dSame computes in a way of its own"),
        (torch.nn.Sequential(*[torch.nn.MaxPool2d(2)] * 2), "0", "it runs 2 times in a forward pass"),
        (
            Untraceable(),
            "",
            "its forward cannot be traced (TraceError), so that functions in it may subsample unseen",
        ),
        (torch.nn.Sequential(torch.nn.MaxPool2d(2, return_indices=True)), "0", "it puts out indices, too"),
    ],
)
def test_what_stays_is_listed_with_the_reason(model, layer, why):
    surgery = adaptive_sampling(model)
    assert {entry.layer: entry.why for entry in surgery.left}[layer] == why


@pytest.mark.parametrize("name", DOWNSAMPLING)
@pytest.mark.usefixtures("unchecked")  # what is traced is no tensor yet
def test_the_studys_own_nets_become_consistent(name):
    net = cifar_net(name, width=0.1).eval().double()
    surgery = adaptive_sampling(net)
    assert surgery.left == ()
    assert change(surgery.model, images_of(32).double()) < 1e-9
    assert change(net, images_of(32).double()) > 1e-6


def test_maps_smaller_than_the_margins_are_wrapped_more_than_once():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 7, padding=3, bias=False)).double()
    found = adaptive_sampling(model).model(images_of(2).double())
    tiled = images_of(2).double().repeat(1, 1, 5, 5)
    torch.testing.assert_close(found, torch.nn.functional.conv2d(tiled, model[0].weight)[..., 1:3, 1:3])


def test_odd_sizes_are_refused_in_the_forward_pass(of_resnet):
    with pytest.raises(InputError) as error:
        of_resnet.model(images_of(33))
    assert str(error.value) == (
        "sampling with stride 2 that follows the image needs a height and width that 2 divides, got 33x33: resize or "
        "pad the images"
    )


def test_a_part_that_follows_another_cannot_run_alone():
    block = adaptive_sampling(small_resnet()).model.get_submodule("layer2.0.downsample")
    with pytest.raises(InputError) as error:
        block(images_of(8, channels=64))
    assert str(error.value) == "no grid has been chosen for these 2 images: run the whole model"


def test_a_model_without_downsampling_says_so_and_is_trained_with_it():
    assert str(adaptive_sampling(torch.nn.Sequential(torch.nn.Linear(3, 3)))) == ("The model has nothing to replace.")
    model = adaptive_sampling(small_resnet()).model.train()
    model(images_of(32)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
