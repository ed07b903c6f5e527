"""`Deform` in torchvision's pipelines: what belongs to an image moves with it, the same in every worker."""

import pickle

import pytest
import torch
from PIL.Image import Image as PILImage
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from pliant._checks import InputError
from pliant.deform import Affine, Circular, Deformation, Flow, Pose, Rotate, ThinPlate, Translate, warp
from pliant.transforms import Deform

SIZE = (40, 56)
PLATE = ThinPlate(4, 3.0)


def pictures(n, dtype=torch.float32, size=SIZE):
    numbers = torch.randint(0, 256, (n, 3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return numbers if dtype == torch.uint8 else (numbers / 255).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [torch.Tensor, tv_tensors.Image])
def test_a_batch_is_deformed_as_its_images_alone_are(dtype, kind):
    images, transform = pictures(4, dtype), Deform(PLATE, "border", seed=3)
    batch = transform(images.as_subclass(kind))
    assert type(batch) is kind
    assert batch.dtype == dtype
    for image, deformed in zip(images, batch, strict=True):
        alone = transform(image.as_subclass(kind))
        assert type(alone) is kind
        assert torch.equal(alone, deformed)
        assert not torch.equal(deformed, image)


def test_every_image_seed_and_epoch_has_a_draw_of_its_own():
    image, other = pictures(2)
    transform = Deform(Translate("40%"), seed=1)
    marker = torch.zeros(3, *SIZE)

    def shift_of(transform, image):
        return transform.make_params([image])["field"].displacement[0, :, 0, 0].tolist()

    first = shift_of(transform, image)
    assert shift_of(transform, image.clone()) == first
    assert shift_of(transform, other) != first
    assert shift_of(transform, marker) != first
    assert shift_of(Deform(Translate("40%"), seed=2), image) != first
    transform.set_epoch(5)
    assert transform.epoch == 5
    assert shift_of(transform, image) != first
    transform.set_epoch(0)
    assert shift_of(transform, image) == first


def test_the_field_is_that_of_the_family():
    image = pictures(1)[0]
    transform = Deform(Affine(10, 2, -3, 1.1))
    assert torch.equal(transform(image), warp(image[None], Affine(10, 2, -3, 1.1).sample([0], SIZE))[0])


def test_structures_go_through_and_other_tensors_stay():
    image, transform = tv_tensors.Image(pictures(1)[0]), Deform(PLATE)
    label = torch.tensor(7)
    out = transform({"image": image, "label": label, "name": "cat", "more": [label]})
    assert torch.equal(out["image"], transform(image))
    assert out["label"] is label
    assert out["name"] == "cat"
    assert out["more"][0] is label


def test_pil_images_become_pil_images():
    image = F.to_pil_image(pictures(1, torch.uint8)[0])
    transform = Deform(PLATE, "reflection")
    out = transform(image)
    assert isinstance(out, PILImage)
    assert torch.equal(F.pil_to_tensor(out), transform(F.pil_to_tensor(image)))


def test_a_video_is_deformed_alike_in_all_its_frames():
    video = tv_tensors.Video(pictures(1)[0].expand(5, 3, *SIZE).clone())
    out = Deform(PLATE)(video)
    assert isinstance(out, tv_tensors.Video)
    assert out.shape == video.shape
    assert all(torch.equal(frame, out[0]) for frame in out)


def scene(deformation: Deformation, box=(20, 12, 36, 27), padding="zeros", **more):
    """A bright rectangle with its mask and its box, deformed together."""
    x1, y1, x2, y2 = box
    image = torch.zeros(1, *SIZE)
    image[:, y1:y2, x1:x2] = 1.0
    sample = {"image": tv_tensors.Image(image), "mask": tv_tensors.Mask((image[0] > 0.5).long()), **more}
    return Deform(deformation, padding)(sample)


STRONG = [
    *(Affine(25, 3, -2, 1.2, 10), Affine(-40), Rotate(degrees=90), Rotate(degrees=180), Affine(50, scale=0.7)),
    *(ThinPlate(4, 4.0), Pose("10%", "60%"), Translate(x=-7, y=5)),
]


@pytest.mark.parametrize("deformation", STRONG)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_masks_move_with_the_image(deformation, dtype):
    out = scene(deformation)
    mask = Deform(deformation)(
        {"image": tv_tensors.Image(torch.zeros(1, *SIZE)), "mask": tv_tensors.Mask(torch.ones(2, *SIZE).to(dtype))}
    )["mask"]
    assert mask.dtype == dtype
    assert mask.shape == (2, *SIZE)
    assert set(mask.unique().tolist()) <= {0, 1}
    nearest = out["mask"] == 1
    assert (out["image"][0][nearest] > 0).float().mean() > 0.99
    assert (
        (out["image"][0] > 0.5) != nearest
    ).float().mean() < 0.02  # along the edge, where it is a matter of rounding
    assert nearest.sum() > 50


@pytest.mark.parametrize("deformation", STRONG)
@pytest.mark.parametrize("form", ["XYXY", "XYWH", "CXCYWH"])
def test_boxes_hold_what_they_held(deformation, form):
    xyxy = torch.tensor([[20.0, 12.0, 36.0, 27.0]])
    boxes = F.convert_bounding_box_format(xyxy, tv_tensors.BoundingBoxFormat.XYXY, tv_tensors.BoundingBoxFormat[form])
    out = scene(deformation, boxes=tv_tensors.BoundingBoxes(boxes, format=form, canvas_size=SIZE))
    assert isinstance(out["boxes"], tv_tensors.BoundingBoxes)
    assert out["boxes"].format.value == form
    assert out["boxes"].canvas_size == SIZE
    found = F.convert_bounding_box_format(out["boxes"], new_format="XYXY").as_subclass(torch.Tensor)[0]
    rows, columns = (out["image"][0] > 0.5).nonzero().T
    seen = torch.stack((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)).float()
    torch.testing.assert_close(found, seen, atol=1.6, rtol=0)
    assert (found[:2] - 0.6 <= seen[:2]).all()
    assert (found[2:] + 0.6 >= seen[2:]).all()


def test_a_box_that_turns_needs_its_edges_not_only_its_corners():
    bulge = torch.zeros(2, *SIZE)
    bulge[1, :, 24:32] = 5.0  # the middle of the box moves up by 5
    boxes = tv_tensors.BoundingBoxes([[20, 12, 36, 27]], format="XYXY", canvas_size=SIZE)
    out = scene(Flow(bulge), boxes=boxes)["boxes"]
    assert out.dtype == boxes.dtype
    assert out.tolist() == [[20, 7, 36, 27]]


def test_boxes_are_cut_off_at_the_canvas_and_whole_shifts_are_exact():
    boxes = tv_tensors.BoundingBoxes([[20, 12, 36, 27], [0, 0, 4, 4]], format="XYXY", canvas_size=SIZE)
    out = scene(Translate(x=-3, y=2), boxes=boxes)["boxes"]
    assert out.tolist() == [[17, 14, 33, 29], [0, 2, 1, 6]]


@pytest.mark.parametrize("deformation", STRONG)
def test_key_points_go_where_their_pixels_go(deformation):
    x, y = 30.0, 17.0
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    blob = torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)[None]
    points = tv_tensors.KeyPoints(torch.tensor([[x, y]]), canvas_size=SIZE)
    out = Deform(deformation)({"image": tv_tensors.Image(blob), "points": points})
    assert isinstance(out["points"], tv_tensors.KeyPoints)
    weights = out["image"][0] ** 4  # the top of the blob, which stretching moves little
    centre = torch.stack(((weights * columns).sum(), (weights * rows).sum())) / weights.sum()
    torch.testing.assert_close(out["points"][0].as_subclass(torch.Tensor), centre, atol=0.4, rtol=0)


def test_what_rolls_out_of_the_image_comes_back_with_its_key_point():
    image = torch.zeros(1, *SIZE)
    image[0, 35, 50] = 1.0
    sample = {"image": image, "points": tv_tensors.KeyPoints([[50.0, 35.0]], canvas_size=SIZE)}
    for seed in range(4):
        out = Deform(Circular(20), seed=seed)(sample)
        ((row, column),) = out["image"][0].nonzero().tolist()
        assert out["points"].tolist() == [[pytest.approx(column, abs=1e-3), pytest.approx(row, abs=1e-3)]]


def test_images_without_objects():
    sample = {
        "image": pictures(1)[0],
        "boxes": tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=SIZE),
        "points": tv_tensors.KeyPoints(torch.zeros(0, 2), canvas_size=SIZE),
        "masks": tv_tensors.Mask(torch.zeros(0, *SIZE, dtype=torch.bool)),
    }
    out = Deform(PLATE)(sample)
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        name: tuple(value.shape) for name, value in sample.items()
    }


@pytest.mark.parametrize("form", ["XYXY", "XYWH", "CXCYWH"])
def test_boxes_of_whole_numbers_stay_as_they_are_under_no_deformation(form):
    boxes = tv_tensors.BoundingBoxes(
        [[11, 11, 5, 5]] if form != "XYXY" else [[4, 5, 9, 11]], format=form, canvas_size=SIZE
    )
    out = Deform(ThinPlate(reach=0))({"image": pictures(1)[0], "boxes": boxes})["boxes"]
    assert out.tolist() == boxes.tolist()


def test_key_points_of_whole_numbers_stay_whole():
    points = tv_tensors.KeyPoints(torch.tensor([[[3, 4], [9, 9]]]), canvas_size=SIZE)
    out = Deform(Translate(x=2, y=-1))({"image": pictures(1)[0], "points": points})["points"]
    assert out.dtype == torch.int64
    assert out.tolist() == [[[5, 3], [11, 8]]]


def test_masks_of_a_batch():
    images, masks = pictures(3), tv_tensors.Mask(torch.arange(3)[:, None, None].expand(3, *SIZE).clone())
    transform = Deform(Rotate(degrees=(-30, 30)), "border")
    _, moved = transform(tv_tensors.Image(images), masks)
    assert torch.equal(moved, masks)
    with pytest.raises(InputError, match=r"^masks of 3 images have that as their first"):
        transform(tv_tensors.Image(images), tv_tensors.Mask(torch.zeros(2, *SIZE)))


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([tv_tensors.Mask(torch.zeros(4, 4))], "Deform needs an image beside masks, boxes and key points"),
        (
            [pictures(2), tv_tensors.KeyPoints(torch.zeros(1, 2), canvas_size=SIZE)],
            "boxes and key points of a batch cannot tell their images",
        ),
        (
            [
                pictures(1)[0],
                tv_tensors.BoundingBoxes(torch.zeros(1, 5), format="CXCYWHR", canvas_size=SIZE),
            ],
            "boxes of the format CXCYWHR are turned",
        ),
        (
            [
                pictures(1)[0],
                tv_tensors.BoundingBoxes(torch.zeros(1, 4), format="XYXY", canvas_size=(5, 5)),
            ],
            r"boxes on a canvas of \(5, 5\) do not belong to an image of \(40, 56\)",
        ),
        (
            [tv_tensors.Image(pictures(1)[0]), tv_tensors.Mask(torch.zeros(5, 5))],
            r"a mask of \(5, 5\) does not belong to an image of \(40, 56\)",
        ),
        (
            [F.to_pil_image(pictures(1)[0]).convert("P")],
            "a PIL image of mode P: convert it to one of L, RGB, RGBA first",
        ),
        ([torch.zeros(5)], r"images have the shape \(c, h, w\) or \(n, c, h, w\), got"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_deformed(sample, message):
    with pytest.raises(InputError, match=message):
        Deform(PLATE)(*sample)


@pytest.mark.usefixtures("unchecked")
def test_bad_settings():
    with pytest.raises(InputError, match="unknown padding 'wrap'"):
        Deform(PLATE, "wrap")
    with pytest.raises(InputError, match="^epoch=-1: 0 or more$"):
        Deform(PLATE).set_epoch(-1)


class Pictures(Dataset):
    def __init__(self, transform):
        self.images, self.transform = pictures(12, torch.uint8), transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index])


def epochs(workers, shuffle=False, count=2):
    """Images of each epoch, sorted by what they were before."""
    transform = Deform(PLATE, seed=4)
    data = Pictures(v2.Compose([transform, v2.ToDtype(torch.float32, scale=True)]))
    order = torch.Generator().manual_seed(1)
    loader = DataLoader(
        data, 5, shuffle=shuffle, generator=order, num_workers=workers, persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )  # fmt: skip
    found = []
    for epoch in range(count):
        transform.set_epoch(epoch)
        found.append(torch.cat(list(loader)))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_new_epochs_in_running_workers_make_no_difference(workers):
    state = torch.random.get_rng_state()
    here, there = epochs(0), epochs(workers)
    assert torch.equal(here[0], there[0])
    assert torch.equal(here[1], there[1])
    assert not torch.equal(here[0], here[1])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_order_makes_no_difference():
    straight, shuffled = epochs(0, count=1)[0], epochs(0, shuffle=True, count=1)[0]
    assert sorted(straight.flatten(1).sum(1).tolist()) == pytest.approx(sorted(shuffled.flatten(1).sum(1).tolist()))


def test_it_can_be_pickled_and_printed():
    transform = pickle.loads(pickle.dumps(Deform(PLATE, "border", seed=9)))
    image = pictures(1)[0]
    assert torch.equal(transform(image), Deform(PLATE, "border", seed=9)(image))
    assert (
        repr(transform) == "Deform(ThinPlate(invertible=False, grid=4, reach=3.0), padding='border', seed=9, epoch=0)"
    )
