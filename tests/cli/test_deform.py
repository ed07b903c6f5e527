"""`pliant deform`, as a user types it: what it writes, prints and refuses."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from pliant import cli
from pliant.deform import Field, MaxEntropy, ThinPlate, warp

SIZE = (60, 90)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for i in range(2):
        numbers = np.random.default_rng(i).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(numbers).save(f"{i}.png")
    return tmp_path


def deform(*arguments):
    return cli.run(["deform", *arguments, "--out", "result"])


def shown(path):
    with Image.open(path) as image:
        return pil_to_tensor(image.convert("RGB"))


def test_each_image_has_the_draw_of_its_place(here, capsys):
    assert deform("0.png", "1.png", "--strength", "4px", "--seed", "3", "--draw", "2") == 0
    images = torch.stack([shown("0.png"), shown("1.png")])
    field = ThinPlate(5, 4.0).sample(range(2), SIZE, seed=3, draw=2)
    expected = warp(images, field, "border")
    assert torch.equal(torch.stack([shown("result/0.png"), shown("result/1.png")]), expected)
    printed = capsys.readouterr().out
    assert f"{float(field[1].rms):.2f}" in printed
    assert sorted(path.name for path in (here / "result").iterdir()) == ["0.png", "1.png", "contact-sheet.png"]


def test_grid_and_field_of_another_family(here):
    assert (
        deform("0.png", "--family", "max-entropy", "--strength", "5%", "--grid", "--fields", "--padding", "zeros") == 0
    )
    field = Field.load("result/0.safetensors")
    assert torch.equal(field.displacement, MaxEntropy(displacement=4.5).sample([0], SIZE).displacement)
    assert torch.equal(shown("result/0.png"), warp(shown("0.png")[None], field)[0])
    board = shown("result/0-grid.png")
    assert board.shape == (3, *SIZE)
    assert board.float().std() > 50


def test_the_contact_sheet_goes_from_the_image_to_four_times_the_strength(here):
    assert deform("0.png", "1.png", "--strength", "2%") == 0
    sheet = shown("result/contact-sheet.png")
    assert sheet.shape == (3, 18 + 8 + 2 * 200, 8 + 5 * 200)
    top, left = 18 + 8, 8
    assert torch.equal(sheet[:, top : top + SIZE[0], left : left + SIZE[1]], shown("0.png"))
    middle = left + 2 * 200
    assert torch.equal(sheet[:, top : top + SIZE[0], middle : middle + SIZE[1]], shown("result/0.png"))


def test_folds_are_reported_and_can_be_shrunk_away(here, capsys):
    assert deform("0.png", "--strength", "40%") == 0
    assert " 0.00%" not in capsys.readouterr().out
    assert deform("0.png", "--strength", "40%", "--invertible") == 0
    assert " 0.00%" in capsys.readouterr().out


def test_files_of_one_name_do_not_overwrite_each_other(here):
    (here / "more").mkdir()
    (here / "0.png").rename(here / "more" / "1.png")
    assert deform("more/1.png", "1.png") == 0
    assert {"1-0.png", "1-1.png"} < {path.name for path in (here / "result").iterdir()}


def test_strengths_that_a_family_does_not_reach_are_left_out_of_the_sheet(here):
    assert deform("0.png", "--family", "scale", "--strength", "15%") == 0
    sheet = shown("result/contact-sheet.png")
    assert (sheet[:, 26:, 8 + 4 * 200 :] == 255).all()
    assert not (sheet[:, 26:, 8 + 3 * 200 : 4 * 200] == 255).all()


def test_nothing_is_written_over_an_image_or_another_result(here, capsys):
    before = (here / "0.png").read_bytes()
    assert cli.run(["deform", "0.png", "--out", "."]) == 2
    assert "0.png is one of the images: choose another folder with --out" in " ".join(capsys.readouterr().err.split())
    assert (here / "0.png").read_bytes() == before
    for folder, name in (("a", "1.png"), ("b", "1.png"), ("c", "1-0.png"), ("d", "contact-sheet.png")):
        (here / folder).mkdir()
        (here / folder / name).write_bytes(before)
    assert "two results would be written to result/1-0.png" in bad(capsys, "a/1.png", "b/1.png", "c/1-0.png")
    assert "two results would be written to result/contact-sheet.png" in bad(capsys, "d/contact-sheet.png")
    assert not (here / "result").exists()


def bad(capsys, *arguments):
    capsys.readouterr()
    assert deform(*arguments) == 2
    return " ".join(capsys.readouterr().err.split())


def test_bad_images_are_listed_or_refused(here, capsys):
    (here / "text.jpg").write_text("no image")
    assert deform("text.jpg", "0.png") == 0
    assert "left out text.jpg: " in capsys.readouterr().out
    assert bad(capsys, "text.jpg", "0.png", "--on-bad-image", "refuse").startswith("pliant: text.jpg: ")
    assert bad(capsys, "text.jpg").startswith("pliant: none of the 1 images can be deformed: text.jpg: ")
    assert bad(capsys, "nothing.png").startswith("pliant: none of the 1 images can be deformed: nothing.png: ")


def test_bad_settings(here, capsys):
    (here / "photos").mkdir()
    assert "no images" in bad(capsys)
    assert "photos is a folder: name its images, as in photos/*.jpg" in bad(capsys, "photos")
    assert "unknown family 'thin'" in bad(capsys, "0.png", "--family", "thin")
    assert "--family sequence: it has no single strength" in bad(capsys, "0.png", "--family", "sequence")
    assert "'far' is no length" in bad(capsys, "0.png", "--strength", "far")
    (here / "result").write_text("in the way")
    assert "result cannot be written" in bad(capsys, "0.png")
