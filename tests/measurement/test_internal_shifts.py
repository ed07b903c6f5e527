import weakref

import numpy as np
import pytest
import torch
from reference import shifts as reference
from torch import nn

from pliant._checks import InputError
from pliant.measurement import shift_map

ZERO = 1e-6


def pictures(n, size=(16, 16), seed=0):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def seeded(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def conv(channels, out, stride=1):
    return nn.Conv2d(channels, out, 3, stride, padding=1, padding_mode="circular")


def net(down):
    """A circular net that halves the resolution twice, and ends in logits."""
    layers = [conv(3, 6), nn.ReLU(), down(), conv(6, 5), nn.Tanh(), down(), conv(5, 4)]
    return seeded(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))


def max_pool():
    return nn.MaxPool2d(2)


@pytest.mark.parametrize("down", [max_pool, lambda: nn.AvgPool2d(2)])
def test_after_k_halvings_it_is_0_at_multiples_of_2_to_the_k_alone(down):
    found = shift_map(net(down), pictures(4))
    assert found.layers == ("0", "1", "2", "3", "4", "5", "6", "7")
    assert found.left_out == {"9": "(n, 3) is no feature map (n, c, h, w)"}
    for layer, distance in zip(found.layers[:-1], found.distance, strict=False):
        step = 2 ** sum(int(layer) >= halving for halving in (2, 5))
        multiples = np.zeros((8, 8), dtype=bool)
        multiples[::step, ::step] = True
        assert (distance[multiples] < ZERO).all()
        assert (distance[~multiples] > 1e-3).all()


def test_without_shift_it_is_0_to_the_bit():
    assert (shift_map(net(max_pool), pictures(3), largest=3).distance[:, 0, 0] == 0).all()


def test_a_layer_that_sees_no_more_than_the_mean_does_not_see_shifts():
    found = shift_map(seeded(nn.Sequential(conv(3, 6), nn.AdaptiveAvgPool2d(1))), pictures(3), "1")
    assert found.distance.max() < ZERO


def test_padding_that_is_not_circular_shows():
    found = shift_map(seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))), pictures(3), "0", largest=2)
    assert (found.distance.ravel()[1:] > 1e-2).all()


@pytest.mark.parametrize(("size", "stride"), [((8, 8), 2), ((6, 12), (2, 4)), ((9, 6), 3), ((6, 8), (1, 4))])
def test_equals_the_maps_enlarged_and_rolled_pixel_by_pixel(size, stride):
    model, images = seeded(nn.Sequential(conv(3, 4, stride), nn.ReLU())), pictures(3, size)
    found = shift_map(model, images, largest=5)
    with torch.no_grad():
        clean = [model[:upto](images).double().numpy() for upto in (1, 2)]
        for down in range(5):
            for right in range(5):
                moved = torch.tensor(np.stack([reference.rolled(x, down, right) for x in images.numpy()]))
                for layer in (0, 1):
                    maps = model[: layer + 1](moved).double().numpy()
                    pairs = zip(clean[layer], maps, strict=True)
                    expected = np.mean([reference.map_distance(a, b, down, right, size) for a, b in pairs])
                    assert found.distance[layer, down, right] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_down_and_right_are_told_apart():
    class Rows(nn.Module):
        """Sees shifts down alone: half of the rows."""

        def forward(self, x):
            return x[:, :, ::2]

    found = shift_map(nn.Sequential(Rows()), pictures(3), largest=4).distance[0]
    assert found[0].max() < ZERO
    assert found[2].max() < ZERO
    assert found[1].min() > 0.1


def test_blocks_and_batches_do_not_matter():
    model, images = net(max_pool), pictures(7)
    whole = shift_map(model, images, "2", largest=3)
    for other in (
        shift_map(model, images, "2", largest=3, block=2),
        shift_map(model, [(images[:1], "label"), (images[1:], "label")], "2", largest=3, block=30),
    ):
        for name in ("distance", "low", "high"):
            np.testing.assert_allclose(getattr(other, name), getattr(whole, name), rtol=1e-4, atol=1e-6)


def test_intervals_hold_the_estimate_and_narrow_with_the_number_of_images():
    few, many = (shift_map(net(max_pool), pictures(n), "2", largest=2, replicates=300) for n in (8, 128))
    for found in (few, many):
        apart = found.distance > ZERO
        assert apart.sum() == 3
        assert (found.low < found.distance)[apart].all()
        assert (found.distance < found.high)[apart].all()
    assert ((many.high - many.low) < 0.6 * (few.high - few.low))[few.distance > ZERO].all()


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True)).train()
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def prepare(images):
        if fails and len(images) > 2:
            raise RuntimeError("no")
        return images

    if fails:
        with pytest.raises(RuntimeError, match="^no$"):
            shift_map(model, pictures(6), largest=2, preprocess=prepare)
    else:
        shift_map(model, pictures(6), largest=2, preprocess=prepare)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, False]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Dead(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[0] = 0
        return y


class Nan(nn.Module):
    def forward(self, x):
        return x / 0


def test_layers_without_a_map_are_told_and_never_0():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.good, self.dead, self.nan = nn.Identity(), Dead(), Nan()
            self.odd, self.tokens = nn.MaxPool2d(3), nn.Flatten(2)

        def forward(self, x):
            y = self.good(1 * x)
            self.dead(y), self.nan(y), self.odd(y)
            return self.tokens(y)

    found = shift_map(Branches(), pictures(6), ["good", "dead", "nan", "odd", "tokens"], largest=2)
    assert found.layers == ("good",)
    assert found.distance.shape == (1, 2, 2)
    assert found.left_out == {
        "dead": "zero for some images: no direction",
        "nan": "NaN or infinite activations",
        "odd": "the sides of its map, 5x5, do not divide the image's, 16x16",
        "tokens": "(n, 3, 256) is no feature map (n, c, h, w)",
    }


def test_only_a_block_of_images_is_held_and_fed_at_a_time():
    fed, given, alive = [], [], []
    model = net(max_pool)
    model.register_forward_hook(lambda module, args, out: fed.append(len(args[0])))

    def batches():
        for number in range(5):
            batch = pictures(2, seed=number)
            given.append(weakref.ref(batch))
            yield batch
            del batch
            alive.append(sum(one() is not None for one in given))

    shift_map(model, batches(), "2", largest=4, block=16)
    assert max(fed) <= 16
    assert max(alive) <= 2


def normed(mean, variance):
    """A net whose second layer depends on the running statistics of its batch norm."""
    model = seeded(nn.Sequential(conv(3, 6), nn.BatchNorm2d(6), nn.Sigmoid(), nn.MaxPool2d(2)))
    model[1].running_mean.copy_(mean)
    model[1].running_var.copy_(variance)
    return model


def test_batch_norm_runs_under_the_protocol_that_is_asked_for():
    far = normed(torch.arange(6.0), torch.full((6,), 0.5))
    images, calibration = pictures(6), pictures(30, seed=5)
    with torch.no_grad():
        heard = far[0](calibration)
    alike = {
        "untouched": normed(torch.zeros(6), torch.ones(6)),
        "calibrated": normed(heard.mean((0, 2, 3)), heard.var((0, 2, 3))),
    }
    as_is = shift_map(far, images, "3", largest=2)
    for protocol, same in alike.items():
        found = shift_map(far, images, "3", largest=2, batch_norm=protocol, calibration=calibration)
        np.testing.assert_allclose(found.distance, shift_map(same, images, "3", largest=2).distance, rtol=1e-4)
        assert (found.distance[0, 1] != as_is.distance[0, 1]).all()
        assert found.protocol["batch_norm"] == protocol
        assert found.protocol["calibration"] == (30 if protocol == "calibrated" else 0)
    assert far[1].running_mean.tolist() == list(range(6))
    with pytest.raises(InputError, match='^batch_norm="calibrated" needs images'):
        shift_map(far, images, "3", batch_norm="calibrated")


def test_what_a_number_depends_on_travels_with_it():
    found = shift_map(net(max_pool), pictures(6), largest=2, seed=3, level=0.9)
    assert found.images == 6
    assert found.protocol == {
        "distance": "cosine",
        "shifts": "circular",
        "largest": 2,
        "upsampling": "nearest",
        "batch_norm": "as_is",
        "calibration": 0,
        "images": 6,
        "image_shape": [3, 16, 16],
        "seed": 3,
        "replicates": 1000,
        "level": 0.9,
    }
    assert found.provenance["dtype"] == "float32"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (pictures(1), {}, "1 images: an interval over images needs at least 2"),
        ([], {}, "0 images: an interval over images needs at least 2"),
        (pictures(4), {"largest": 1}, "largest=1: shifts are 0 ... largest - 1 pixels, give 2 or more"),
        (pictures(4), {"block": 1}, "block=1: an image and its shifted copy make 2 at least"),
        (
            pictures(4),
            {"largest": 17},
            "largest=17: images of 16x16 have 16 different shifts along an axis, give no more",
        ),
        (
            pictures(4),
            {"preprocess": lambda x: x[:, :, :8, :8]},
            "preprocess makes images of 8x8 of those of 16x16: bring them to that size first, for shifts are counted "
            "in pixels that the model sees",
        ),
        (
            pictures(4),
            {"layers": "8"},
            "no layer has a shift map; of '8' (n, 4) is no feature map (n, c, h, w): choose others",
        ),
        (
            pictures(4) * float("nan"),
            {"layers": "0", "largest": 2},
            "no layer has a shift map; of '0' NaN or infinite activations: choose others",
        ),
        (
            [pictures(2), pictures(2, (8, 8))],
            {"block": 16},
            "images of different sizes, (3, 16, 16) and (3, 8, 8): bring them to one size first",
        ),
    ],
)
def test_bad_input(images, options, message):
    with pytest.raises(InputError) as error:
        shift_map(net(max_pool), images, **options)
    assert str(error.value) == message
