from collections import OrderedDict

import pytest
import timm
import torch
import torchvision
from torch import nn

from pliant._checks import InputError
from pliant.capture import select, trace
from pliant.nets import DOWNSAMPLING, cifar_net, imagenet_net, layers_of


def names(model, layers, size=32, channels=3):
    model.eval()
    return [call.name for call in select(model, trace(model, torch.zeros(2, channels, size, size)), layers)]


@pytest.fixture(scope="module")
def residual():
    """The resnet18 of timm and that of torchvision."""
    return timm.create_model("resnet18"), torchvision.models.get_model("resnet18", weights=None)


@pytest.mark.parametrize("downsampling", sorted(set(DOWNSAMPLING) - {"strided_blur"}))
def test_the_studys_layers_are_its_blocks(downsampling):
    expected = [f"block{b}.{part}" for b in range(1, 5) for part in ("layer1", "layer2", "down")]
    assert names(cifar_net(downsampling, width=0.1), "blocks") == expected
    assert len(names(imagenet_net(downsampling, width=0.05), "blocks", 64)) == 18


def test_a_convolution_that_is_blurred_counts_twice_and_is_one_layer_of_the_study():
    net = cifar_net("strided_blur", width=0.1)
    assert names(net, "blocks")[:4] == ["block1.layer1", "block1.layer2", "block1.down.relu", "block1.down.blur"]
    assert layers_of(net) == names(cifar_net("max_pool", width=0.1), "blocks")
    assert names(net, layers_of(net)) == layers_of(net)


def test_last_maps_of_one_pixel_count():
    assert names(cifar_net("max_pool", width=0.1), "blocks", 16)[-1] == "block4.down"


def test_stages_end_where_the_resolution_changes(residual):
    stages = names(cifar_net("max_pool", width=0.1), "stages")
    assert stages == ["block1.layer2", "block2.layer2", "block3.layer2", "block4.layer2", "block4.down"]
    assert names(residual[1], "stages", 64) == ["relu", "layer1.1", "layer2.1", "layer3.1", "layer4.1"]


def test_timms_own_stages(residual):
    assert names(residual[0], "stages", 64) == ["act1", "layer1", "layer2", "layer3", "layer4"]


def test_residual_blocks(residual):
    """17 in-place ReLUs, none of which hides what came before it; blocks with a projection differ by that row alone."""
    ours, theirs = residual
    for model, in_place, first, activation in ((ours, 17, "act1", "act1"), (theirs, 9, "relu", "relu")):
        assert sum(isinstance(module, nn.ReLU) and module.inplace for module in model.modules()) == in_place
        expected = [first, "maxpool"]
        for stage in range(1, 5):
            for block in range(2):
                projection = ["downsample"] if stage > 1 and block == 0 else []
                parts = [activation, "bn2", *projection]
                expected += [f"layer{stage}.{block}.{part}" for part in parts] + [f"layer{stage}.{block}"]
        assert names(model, "blocks", 64) == expected
        assert len(names(model, "convs", 64)) == 20


def test_what_follows_a_convolution_inside_a_module_of_its_own():
    """timm's batch norm holds its activation; a dense layer on one pixel is no layer of the map."""
    model = timm.create_model("efficientnet_b0")
    assert names(model, "blocks", 64)[:6] == [
        "bn1",
        "blocks.0.0.se",
        "blocks.0.0.bn2",
        "blocks.1.0.bn1",
        "blocks.1.0.se",
        "blocks.1.0.bn3",
    ]


def test_branches_are_layers_of_their_own():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.left = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
            self.right = nn.MaxPool2d(3, stride=1, padding=1)

        def forward(self, x):
            x = self.conv(x)
            return self.left(x) + self.right(x)

    assert names(Branches(), "blocks") == ["conv", "left", "output"]


def test_tokens():
    model = timm.create_model("vit_tiny_patch16_224", depth=3, img_size=64)
    assert names(model, "blocks", 64) == ["patch_embed", "blocks.0", "blocks.1", "blocks.2"]
    assert names(model, "stages", 64) == ["blocks.0", "blocks.1", "blocks.2"]


def test_without_convolutions_dense_layers_are_the_blocks():
    body = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(inplace=True))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 64), nn.ReLU(), nn.Dropout(), body, nn.Linear(64, 2))
    assert names(model, "blocks") == ["2", "4", "5"]
    mixed = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(1800, 8), nn.ReLU())
    assert names(mixed, "blocks") == ["0"]


def test_dense_layers_that_are_added_to_count_as_the_sum():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
            self.relu = nn.ReLU()

        def forward(self, x):
            return x + self.two(self.relu(self.one(x)))

    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 64), Residual(), nn.Linear(64, 2))
    assert names(model, "blocks") == ["1", "2.relu", "2.two", "2", "3"]


def test_all_holds_every_new_tensor_once():
    model = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 4, 3),
            rest=nn.Sequential(OrderedDict(relu=nn.ReLU(), same=nn.Identity(), drop=nn.Dropout(), flat=nn.Flatten())),
            head=nn.Linear(4 * 900, 2),
        )
    )
    assert names(model, "all") == ["conv", "rest.relu", "head"]
    assert names(model, "*") == ["conv", "rest.relu", "rest.same", "rest.drop", "rest.flat", "rest", "head", "output"]


def test_globs_and_names_in_the_order_of_the_model():
    model = cifar_net("strided", width=0.1)
    assert names(model, "block?.down") == [f"block{b}.down" for b in range(1, 5)]
    assert names(model, ["head", "block1.layer1.conv"]) == ["block1.layer1.conv", "head"]
    assert names(model, "block2") == ["block2"]


def test_a_name_stands_for_every_run():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(self.conv(x))

    assert names(Twice(), "conv") == ["conv", "conv#2"]
    assert names(Twice(), "conv#2") == ["conv#2"]


def refused(model, layers):
    with pytest.raises(InputError) as error:
        names(model, layers)
    return str(error.value)


def test_what_matches_nothing_is_refused():
    model = cifar_net("max_pool", width=0.1)
    assert refused(model, "block1.layer3") == (
        "unknown layer 'block1.layer3'. Did you mean 'block1.layer2', 'block1.layer1' or 'block4.layer2'? "
        "`pliant layers NAME` lists them."
    )
    assert refused(model, "conv9*").startswith("unknown layer 'conv9*'. ")
    assert refused(model, []) == "layers=[] names no layer: give a preset, a glob or dotted names"
    assert refused(nn.Sequential(nn.Flatten(), nn.Linear(3072, 2)), "convs") == (
        "the model has no layers for layers='convs': try 'blocks', 'all' or a glob of names"
    )
    assert refused(nn.Flatten(), "convs") == (
        "the model has no layers for layers='convs': try 'all' or a glob of names"
    )


def test_a_layer_without_a_batch_is_refused_by_name():
    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.flip = nn.Identity()

        def forward(self, x):
            return x + self.flip(x.mean((0, 2, 3), keepdim=True))

    assert refused(Summed(), "flip") == (
        "layer 'flip' puts out no batch of activations (its first dimension is not the number of images): "
        "choose another"
    )
