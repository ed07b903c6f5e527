"""`pliant compare`, as a user types it."""

import pytest
from report.test_pages import Page
from zoo import run_folder

from pliant import cli
from pliant.cli.compare import _titles
from pliant.profile import Profile


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """Two nets of a run, side by side in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return [str(path.relative_to(tmp_path)) for path in run_folder.made(tmp_path / "run", ("max_pool", "blur_pool"))]


def test_two_nets_of_a_run_on_a_data_set(nets, tmp_path, capsys):
    options = ["--images", "digits", "--limit", "24", "--budget", "2", "--draws", "2", "--out", "result"]
    assert cli.run(["compare", *nets, *options]) == 0
    printed = capsys.readouterr().out
    profiles = [Profile.load(tmp_path / "result" / name) for name in ("max_pool-seed0", "blur_pool-seed0")]
    assert [profile.images for profile in profiles] == [24, 24]
    for profile in profiles:
        for layer in profile.layers:
            assert f"{profile[layer].estimate:.3f}" in printed
    for fact in ("accuracy", "accuracy, deformed", "output moved (cosine), worst", "same answer, shifts up to 14%"):
        assert fact in printed
    assert "Sensitivity of blur_pool-seed0 lies below that of max_pool-seed0 at" in printed
    wholes, numbers = Page((tmp_path / "result" / "report.html").read_text()).tables
    assert "output moved (cosine), best of 2" in [row[0] for row in wholes]
    assert len(numbers) == 1 + len(profiles[0].layers)


def test_what_it_refuses(nets, capsys):
    def refused(*arguments):
        assert cli.run(["compare", *arguments]) == 2
        return capsys.readouterr().err.strip()

    assert refused(nets[0]) == "pliant: name two or more models to compare, got 1"
    assert refused(*nets, "--weights", "a.safetensors") == "pliant: 1 files of weights for 2 models: one for each"
    assert refused(*nets, "--draws", "0").startswith("pliant: draws=0:")
    assert refused(*nets, "--shift", "300%") == (
        "pliant: --shift 300%: above 0 and at most the width, 32px, as 14% or 4px"
    )
    assert refused(*nets, "--family", "circular").startswith("pliant: circular: its fields jump")
    assert refused(*nets, "--metric", "cosin").startswith("pliant: unknown metric 'cosin'. Did you mean 'cosine'")


def test_models_are_told_apart(nets):
    assert _titles(("resnet18", "torchvision:resnet18")) == ["resnet18", "torchvision:resnet18"]
    assert _titles((nets[0], nets[1])) == ["max_pool-seed0", "blur_pool-seed0"]
    assert _titles(("resnet18", "resnet18")) == ["resnet18 (1)", "resnet18 (2)"]


def test_the_same_net_with_its_downsampling_replaced(nets, tmp_path, capsys):
    options = ["--images", "digits", "--limit", "8", "--budget", "0"]
    assert cli.run(["compare", nets[0], f"{nets[0]}+antialias", *options]) == 0
    printed = capsys.readouterr().out
    assert "max_pool-seed0+antialias" in printed
    assert "block1.down" in printed


def test_a_net_without_downsampling_is_not_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3))\n"
    )
    assert cli.run(["measure", "net.py:build+antialias", "--size", "32"]) == 2
    assert capsys.readouterr().err.strip() == (
        "pliant: net.py:build+antialias: nothing to change. The model has nothing to replace."
    )


def test_images_are_normalised_as_it_is_told(nets, tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def build():\n    torch.manual_seed(0)\n    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())\n"
    )
    options = ["--images", "digits", "--limit", "8", "--budget", "0", "--size", "32", "--layers", "1"]

    def measured(mean):
        assert cli.run(["compare", "net.py:build", "net.py:build", *options, "--mean", mean, "--std", "0.5"]) == 0
        return next(line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("1 "))

    assert measured("0.5") != measured("0.25")
    assert cli.run(["compare", "net.py:build", "net.py:build", *options]) == 2
    assert "a model of grey images in a file needs one --mean and one --std" in capsys.readouterr().err


def test_models_of_other_sizes_and_classes_are_compared(nets, tmp_path, capsys):
    source = """
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
def maps():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU())
"""
    (tmp_path / "net.py").write_text(source)
    options = ["--images", "digits", "--limit", "8", "--budget", "0", "--layers", "convs"]
    assert cli.run(["compare", nets[0], "net.py:build", "net.py:maps", *options]) == 0
    printed = capsys.readouterr().out
    for said in ("reach 4.5%", "of 5 classes", "no logits", "No layer of net.py:build could be matched"):
        assert said in printed
