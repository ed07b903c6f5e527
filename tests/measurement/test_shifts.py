import numpy as np
import pytest
import torch
from reference import shifts as reference
from scipy.stats import binomtest, chisquare
from torch import nn

from pliant import draws
from pliant._checks import InputError
from pliant.measurement import shift_consistency
from pliant.nets import APS

CROPPED = {"shifts": "cropped", "crop": 8}


def pictures(n, size=(12, 10), seed=0):
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def seeded(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def net(*downsampling):
    """A circular net that ends in the means of its maps."""
    conv = nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular")
    return seeded(nn.Sequential(conv, nn.ReLU(), *downsampling, nn.AdaptiveAvgPool2d(1), nn.Flatten()))


class Subsample(nn.Module):
    def forward(self, x):
        return x[:, :, ::2, ::2]


class Corner(nn.Module):
    """The class that stands in the corner of the image: what it reads is known. Keeps what it has read."""

    def __init__(self, classes=3):
        super().__init__()
        self.classes, self.read = classes, []

    def forward(self, x):
        self.read.append(x[:, 0, 0, 0].long())
        return nn.functional.one_hot(self.read[-1], self.classes).float()


def numbered(n, size):
    """Images whose pixels hold their own numbers."""
    return torch.arange(float(size[0] * size[1])).view(1, 1, *size).expand(n, -1, -1, -1)


@pytest.mark.parametrize("layers", [(), (APS(6),)])
def test_a_net_that_does_not_see_circular_shifts_is_consistent(layers):
    found = shift_consistency(net(*layers), pictures(50), pairs=3)
    assert (found.interval.estimate, found.interval.low, found.interval.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("replicates", [0, 1000])
def test_the_interval_of_one_pair_is_wilsons_and_has_width_at_1(replicates):
    found = shift_consistency(net(), pictures(8), replicates=replicates).interval
    assert (found.estimate, found.high, found.n) == (1.0, 1.0, 8)
    assert found.low == pytest.approx(8 / (8 + 1.959964**2))  # 0.676
    some = shift_consistency(net(Subsample()), pictures(40), replicates=replicates)
    assert 0 < some.interval.estimate < 1
    wilson = binomtest(int(some.agreement.sum()), 40).proportion_ci(0.95, method="wilson")
    assert (some.interval.low, some.interval.high) == pytest.approx((wilson.low, wilson.high))


def test_one_that_subsamples_or_sees_crops_is_not():
    assert shift_consistency(net(Subsample()), pictures(50), pairs=3).interval.high < 0.99
    assert shift_consistency(net(), pictures(50), pairs=3, **CROPPED).interval.high < 0.99


@pytest.mark.parametrize("options", [{}, {"largest": 3}, CROPPED, {**CROPPED, "largest": 2}])
def test_equals_the_loops_over_images(options):
    model, images = net(Subsample()), pictures(20)
    found = shift_consistency(model, images, pairs=2, seed=4, block=8, **options)
    crop, largest = options.get("crop"), options.get("largest")
    room = [largest or (side - crop + 1 if crop else side) for side in (12, 10)]
    expected = np.zeros(20)
    for i in range(20):
        for pair in range(2):
            uniform = draws.uniform(4, draws.Stream.SHIFTS, [i], pair, 4)[0].tolist()
            tops = []
            for two in (uniform[:2], uniform[2:]):
                down, right = (int(u * sides) for u, sides in zip(two, room, strict=True))
                image = images[i].numpy()
                seen = image[:, down:, right:][:, :crop, :crop] if crop else reference.rolled(image, down, right)
                with torch.no_grad():
                    tops.append(reference.top(model(torch.tensor(seen)[None])[0].numpy()))
            expected[i] += (tops[0] == tops[1]) / 2
    assert 0.1 < expected.mean() < 1
    assert found.agreement.tolist() == expected.tolist()
    assert found.interval.estimate == pytest.approx(expected.mean())
    assert found.interval.n == 20


@pytest.mark.parametrize(
    ("options", "room"),
    [({}, (4, 5)), ({"largest": 3}, (3, 3)), ({"shifts": "cropped", "crop": 3}, (2, 3))],
)
def test_both_shifts_are_uniform_over_all_that_there_are_and_independent(options, room):
    model = Corner(20)
    shift_consistency(model, numbered(6000, (4, 5)), block=6000, **options)
    (read,) = model.read
    rows, columns = read // 5, read % 5
    if "crop" not in options:  # what stands in the corner came from the other side
        rows, columns = -rows % 4, -columns % 5
    assert (rows.max() + 1, columns.max() + 1) == room
    place = rows * room[1] + columns
    first, second = place.split(6000)
    cells = room[0] * room[1]
    counts = torch.bincount(first * cells + second, minlength=cells * cells)
    assert chisquare(counts.numpy()).pvalue > 0.001


def test_a_known_probability_lies_in_the_interval():
    image = torch.tensor([[0.0, 0, 0, 1], [0, 0, 1, 2]]).view(1, 1, 2, 4)  # 5, 2 and 1 of 8 places
    found = shift_consistency(Corner(), image.expand(400, -1, -1, -1), pairs=4)
    assert found.interval.low < (25 + 4 + 1) / 64 < found.interval.high


def test_blocks_and_batches_do_not_matter_and_seeds_do():
    model, images = net(Subsample()), pictures(30)
    whole = shift_consistency(model, images)
    for other in (
        shift_consistency(model, images, block=7),
        shift_consistency(model, [(images[:1], "label"), (images[1:], "label")], block=8),
    ):
        assert other.agreement.tolist() == whole.agreement.tolist()
        assert other.interval == whole.interval
    assert shift_consistency(model, images, seed=1).agreement.tolist() != whole.agreement.tolist()


def normed(mean, variance):
    """A net whose answers depend on the running statistics of its batch norm."""
    conv = nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular")
    model = seeded(
        nn.Sequential(conv, nn.BatchNorm2d(6), nn.Tanh(), Subsample(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )
    model[1].running_mean.copy_(mean)
    model[1].running_var.copy_(variance)
    return model


def test_batch_norm_runs_under_the_protocol_that_is_asked_for():
    far = normed(torch.arange(6.0), torch.full((6,), 0.01))
    images, calibration = pictures(60), pictures(30, (8, 8), seed=5)
    with torch.no_grad():
        heard = far[0](calibration)
    alike = {
        "untouched": normed(torch.zeros(6), torch.ones(6)),
        "calibrated": normed(heard.mean((0, 2, 3)), heard.var((0, 2, 3))),
    }
    as_is = shift_consistency(far, images)
    for protocol, same in alike.items():
        found = shift_consistency(far, images, batch_norm=protocol, calibration=calibration)
        assert found.agreement.tolist() == shift_consistency(same, images).agreement.tolist()
        assert found.agreement.tolist() != as_is.agreement.tolist()
        assert found.protocol["batch_norm"] == protocol
        assert found.protocol["calibration"] == (30 if protocol == "calibrated" else 0)
    assert far[1].running_mean.tolist() == list(range(6))
    with pytest.raises(InputError, match='^batch_norm="calibrated" needs images'):
        shift_consistency(far, images, batch_norm="calibrated")


def test_more_pairs_are_a_finer_share_of_each_image():
    found = shift_consistency(net(Subsample()), pictures(30), pairs=4)
    assert set((4 * found.agreement).tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    assert len(set(found.agreement.tolist())) > 2


def test_intervals_hold_the_estimate_and_narrow_with_the_number_of_images():
    few, many = (shift_consistency(net(Subsample()), pictures(n)).interval for n in (20, 320))
    assert few.low < few.estimate < few.high
    assert many.high - many.low < 0.6 * (few.high - few.low)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def prepare(images):
        if fails:
            raise RuntimeError("no")
        return images

    if fails:
        with pytest.raises(RuntimeError, match="^no$"):
            shift_consistency(model, pictures(6), preprocess=prepare)
    else:
        shift_consistency(model, pictures(6), preprocess=prepare)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_preprocess_comes_after_the_shift_and_the_model_says_the_type():
    images = (pictures(12).sigmoid() * 255).to(torch.uint8)
    found = shift_consistency(net(Subsample()).double(), images, preprocess=lambda x: x.float() / 255 - 0.5, **CROPPED)
    assert found.provenance["dtype"] == "float64"
    assert 0 < found.interval.estimate <= 1


def test_what_a_number_depends_on_travels_with_it_and_is_printed():
    found = shift_consistency(net(Subsample()), pictures(20), pairs=2, seed=3, level=0.9)
    assert found.protocol == {
        "shifts": "circular",
        "largest": [12, 10],
        "crop": None,
        "pairs": 2,
        "batch_norm": "as_is",
        "calibration": 0,
        "images": 20,
        "image_shape": [3, 12, 10],
        "seed": 3,
        "replicates": 1000,
        "level": 0.9,
    }
    assert str(found) == (
        f"{found.interval}; circular shifts of 0 to 11 pixels down and 0 to 9 to the right, 2 pairs an image, seed 3"
    )
    cropped = shift_consistency(net(), pictures(20), largest=3, **CROPPED)
    assert str(cropped) == (
        f"{cropped.interval}; crops of 8 pixels a side, shifts of 0 to 2 pixels along both axes, 1 pair an image, "
        "seed 0"
    )


def test_a_single_tie_is_none_of_all_images():
    images = pictures(9)
    images[4] = 0
    assert np.isfinite(shift_consistency(net(), images).interval.estimate)


class Says(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("model", "images", "options", "message"),
    [
        (net(), pictures(1), {}, "1 images: an interval over images needs at least 2"),
        (net(), [], {}, "0 images: an interval over images needs at least 2"),
        (
            net(),
            [pictures(2), pictures(2, (9, 9))],
            {"block": 2},
            "images of different sizes, (3, 12, 10) and (3, 9, 9): bring them to one size first",
        ),
        (net(), pictures(4), {"shifts": "circle"}, "unknown shifts 'circle'. Did you mean 'circular'?"),
        (
            net(),
            pictures(4),
            {"shifts": "cropped"},
            "shifts='cropped' needs crop, the pixels a side of the crops, such as crop=224 of images of 256",
        ),
        (net(), pictures(4), {"crop": 8}, "crop=8 is of cropped shifts: give shifts='cropped' with it"),
        (net(), pictures(4), {**CROPPED, "crop": 0}, "crop=0: pixels a side, 1 or more"),
        (net(), pictures(4), {"largest": 1}, "largest=1: shifts are 0 ... largest - 1 pixels, give 2 or more"),
        (net(), pictures(4), {"pairs": 0}, "pairs=0: of shifts an image, 1 or more"),
        (net(), pictures(4), {"block": 0}, "block=0: images at a time, 1 or more"),
        (net(), pictures(4), {"level": 1.0}, "replicates=1000, level=1.0: no such interval"),
        (net(), pictures(4), {"seed": -1}, "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
        (
            net(),
            pictures(4),
            {"largest": 11},
            "images of 12x10 have no room for largest=11 shifts along each axis: give larger images, or a smaller "
            "largest",
        ),
        (
            net(),
            pictures(4),
            {**CROPPED, "crop": 11},
            "images of 12x10 have no room for crops of 11 for a shift along each axis: give larger images, or a "
            "smaller crop or largest",
        ),
        (
            Says(lambda x: x),
            pictures(4),
            {},
            "the model puts out (8, 3, 12, 10) for 8 images: logits (n, k), k >= 2, are needed; pick them in a module "
            "of your own",
        ),
        (
            Says(lambda x: {"logits": x}),
            pictures(4),
            {},
            "the model puts out a dict for 8 images: logits (n, k), k >= 2, are needed; pick them in a module of your "
            "own",
        ),
        (
            Says(lambda x: x.mean((2, 3)) * float("nan")),
            pictures(4),
            {},
            "the model puts out NaN or infinite logits for some images: they have no top-1, leave them out",
        ),
        (
            Says(lambda x: x.new_zeros(len(x), 5)),
            pictures(4),
            {},
            "all logits of each image are equal: the model has no top-1 to compare",
        ),
    ],
)
def test_bad_input(model, images, options, message):
    with pytest.raises(InputError) as error:
        shift_consistency(model, images, **options)
    assert str(error.value) == message
