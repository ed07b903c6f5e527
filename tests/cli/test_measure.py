"""`pliant measure` and `pliant layers`, as a user types them: what they print, write and end with."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pliant import cli
from pliant.metrics import METRICS
from pliant.profile import Profile

MODEL = """
from collections import OrderedDict
import torch
from torch import nn

class Constant(nn.Module):
    def forward(self, x):
        return torch.ones_like(x)

class Nan(nn.Module):
    def forward(self, x):
        return x * float("nan")

class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.constant, self.nan = Constant(), Nan()
    def forward(self, x):
        self.constant(x), self.nan(x)
        return x

def build():
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(3, 4, 3, stride=2), norm=nn.BatchNorm2d(4), relu=nn.ReLU(inplace=True), pool=nn.MaxPool2d(2),
    ))

def residual():
    class Block(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)
    blocks = [Block(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)) for _ in range(2)]
    for block in blocks:
        nn.init.zeros_(block[1].weight)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), *blocks)

def grey():
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3), relu=nn.ReLU()))

def classifier():
    return nn.Sequential(*build(), nn.Flatten(), nn.Linear(196, 8), nn.Linear(8, 5))

def odd():
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), branches=Branches()))
"""


def picture(seed, size=(40, 30)):
    numbers = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(numbers).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a model and nine photographs, where the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "net.py").write_text(MODEL)
    (tmp_path / "photos").mkdir()
    for i in range(9):
        picture(i).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path


def measure(*arguments, model="net.py:build", images="photos"):
    chosen = ["--images", images] if images else []
    return cli.run(["measure", model, "--size", "32", *chosen, *arguments])


def test_it_measures_prints_and_saves(here, capsys):
    assert measure("--out", "result", "--layers", "all", "--seed", "3") == 0
    printed = capsys.readouterr().out
    profile = Profile.load(here / "result")
    assert profile.layers == ("input", "conv", "norm", "relu", "pool")
    assert profile.images == 9
    assert profile.protocol["deformation"] == {"family": "thin_plate", "grid": 5, "reach": pytest.approx(0.045 * 32)}
    assert profile.protocol["padding"] == "border"
    for layer in profile.layers:
        assert f"{profile[layer].estimate:.3f}" in printed
    assert (here / "result" / "report.html").stat().st_size < 5_000_000
    assert "Sensitivity" in printed


def test_without_images_it_takes_the_embedded_photographs_and_says_so(here, capsys):
    assert measure(images=None) == 0
    assert "rops of scikit-learn's two embedded photographs" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("protocol", ["as_is", "untouched", "calibrated"])
def test_batch_norm_protocols(here, protocol, capsys):
    assert measure("--batch-norm", protocol, "--limit", "5", "--out", "result") == 0
    assert Profile.load(here / "result").protocol["calibration"] == (4 if protocol == "calibrated" else 0)


def test_how_many_images_calibrate_is_chosen(here, capsys):
    chosen = ("--batch-norm", "calibrated", "--limit", "5", "--out", "result")
    assert measure("--calibration", "3", *chosen) == 0
    assert Profile.load(here / "result").protocol["calibration"] == 3
    assert measure("--calibration", "4", *chosen, images=None) == 0
    assert Profile.load(here / "result").protocol["calibration"] == 4
    assert bad(capsys, "--calibration", "1", *chosen) == (
        "pliant: --calibration 1: at least 2 images to take the statistics of"
    )
    assert bad(capsys, "--calibration", "3") == (
        "pliant: --calibration 3 is of calibrated batch norm: give --batch-norm calibrated too"
    )


def test_untrained_models_are_shown_under_both_protocols_of_batch_norm(here, capsys):
    assert measure("--untrained", "--limit", "5", "--out", "result") == 0
    printed = " ".join(capsys.readouterr().out.split())
    profiles = [Profile.load(here / "result"), Profile.load(here / "result" / "calibrated")]
    assert [found.protocol["batch_norm"] for found in profiles] == ["untouched", "calibrated"]
    assert profiles[0]["pool"] != profiles[1]["pool"]
    for found in profiles:
        assert f"{found['pool'].estimate:.3f}" in printed
    names = ("untouched", "calibrated on 4 images")
    first, second = (printed.index(f"Batch norm {name}: Sensitivity ") for name in names)
    assert first < second < printed.index("Report: result/report.html") < printed.index("result/calibrated/report.html")
    assert "Untrained:" not in printed


def test_where_batch_norm_has_seen_no_data_and_is_not_calibrated_it_is_said(here, capsys):
    said = "Untrained: batch norm stands at mean 0, variance 1"
    for chosen in (("--limit", "7"), ("--limit", "7", "--untrained", "--batch-norm", "as_is")):
        assert measure(*chosen) == 0
        assert f"{said}; compare with --batch-norm calibrated." in " ".join(capsys.readouterr().out.split())
    assert measure(images=None) == 0
    assert f"{said}; compare with --batch-norm calibrated." in " ".join(capsys.readouterr().out.split())
    for chosen, left in (((), "0 images are left beside the 9"), (("--limit", "8"), "1 images are left beside the 8")):
        for untrained in ((), ("--untrained",)):
            assert measure(*chosen, *untrained) == 0
            printed = " ".join(capsys.readouterr().out.split())
            assert f"{said}, and cannot be calibrated. photos: {left} chosen" in printed
            assert "Batch norm" not in printed
    assert measure("--batch-norm", "calibrated", "--limit", "5") == 0
    assert said not in capsys.readouterr().out
    assert measure(model="net.py:odd") == 0
    assert said not in capsys.readouterr().out


def test_blocks_that_do_nothing_before_training_are_said(here, capsys):
    said = (
        "Untrained: the weights of batch norm 1.1 and 1 more are all 0: residual branches that end there add nothing, "
        "and their blocks pass the input on."
    )
    assert measure("--out", "result", model="net.py:residual") == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (here / "result" / "report.html").read_text()
    block = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.BatchNorm2d(4))
    torch.nn.init.zeros_(block[1].weight)
    torch.nn.init.ones_(block[1].running_mean)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), block, copy.deepcopy(block))
    save_file(net.state_dict(), "net.safetensors")
    assert measure("--weights", "net.safetensors", model="net.py:residual") == 0  # trained, and so it may be
    assert "are all 0" not in capsys.readouterr().out


def test_weights_from_a_file(here, capsys):
    weights = {name: value + 1 for name, value in torch.nn.Conv2d(3, 4, 3).state_dict(prefix="conv.").items()}
    norm = torch.nn.BatchNorm2d(4).state_dict(prefix="norm.")
    save_file({**weights, **norm}, "net.safetensors")
    assert measure("--out", "initial") == 0
    assert measure("--weights", "net.safetensors", "--out", "loaded") == 0
    initial, loaded = Profile.load("initial"), Profile.load("loaded")
    assert initial["input"] == loaded["input"]
    assert initial["pool"] != loaded["pool"]


def test_the_gate(here, capsys):
    assert measure("--fail-above", "9") == 0
    assert "passed: no interval of 2 layers lies above 9.0" in capsys.readouterr().out
    assert measure("--fail-above", "0.001") == 1
    assert "FAILED relu" in capsys.readouterr().out
    assert measure("--fail-above", "0.001", "--at", "pool") == 1
    assert "FAILED relu" not in capsys.readouterr().out
    assert measure("--fail-above", "9", "--at", "pool") == 0
    assert "passed: the interval of pool does not lie above 9.0" in capsys.readouterr().out


def test_the_gate_says_why_there_is_no_interval(here, capsys):
    for said, why in (
        (("--limit", "4"), "no interval with fewer than 5 images"),
        (("--limit", "6", "--block", "2"), "no interval where a block of few images leaves a layer no pairs"),
    ):
        assert bad(capsys, "--fail-above", "1", *said) == (
            f"pliant: --fail-above cannot judge layer 'relu': {why}. Choose others with --layers or --at."
        )


def bad(capsys, *arguments, status=2, **keywords):
    capsys.readouterr()
    assert measure(*arguments, **keywords) == status
    return " ".join(capsys.readouterr().err.split())


def test_an_unknown_layer(here, capsys):
    assert bad(capsys, "--layers", "convv") == (
        "pliant: unknown layer 'convv'. Did you mean 'conv' or 'convs'? `pliant layers NAME` lists them."
    )
    assert bad(capsys, "--fail-above", "1", "--at", "conv") == (
        "pliant: unknown layer 'conv'. Known: pool, relu. --at takes one of those that --layers chooses."
    )
    assert bad(capsys, "--fail-above", "1", "--at", "input").startswith("pliant: --at input: the input is the same")
    assert bad(capsys, "--fail-above", "-1") == "pliant: --fail-above -1.0: sensitivity is never below 0"
    assert bad(capsys, "--at", "pool") == "pliant: --at pool says where --fail-above looks: give --fail-above too"


def test_long_work_is_told_of_where_there_is_no_terminal(here, capsys, monkeypatch):
    said = ("--block", "3", "--shift", "2px", "--worst-case", "--draws", "1", "--budget", "0")
    assert measure(*said, model="net.py:classifier") == 0
    assert not capsys.readouterr().out.startswith(("\n", "shifting", "measuring"))
    monkeypatch.setattr("pliant.cli.plain._SECONDS", 0.0)
    assert measure(*said, model="net.py:classifier") == 0
    printed = capsys.readouterr().out.splitlines()
    for what in ("shifting", "measuring", "searching"):
        assert [line for line in printed if line.startswith(f"{what}: ")] == [
            f"{what}: {done} of 9 images" for done in (3, 6, 9)
        ]


def test_layers_are_named_with_commas_and_spaces_between_them(here, capsys):
    assert measure("--layers", " conv, pool ", "--worst-case", "--worst-at", "conv , pool", "--budget", "0") == 0
    printed = capsys.readouterr().out.splitlines()
    rows = [words[:2] for line in printed if (words := line.split()) and words[0].isdigit() and len(words) > 2]
    assert rows[:3] == [["0", "input"], ["1", "conv"], ["2", "pool"]]
    assert cli.run(["layers", "net.py:build", "--layers", "conv, pool", "--size", "32"]) == 0
    assert "2 of 5 calls" in capsys.readouterr().out


def test_an_unknown_model(here, capsys):
    assert "unknown" in bad(capsys, model="resnet5000")
    assert "resnet50" in bad(capsys, model="resnet5000")
    assert "bild" in bad(capsys, model="net.py:bild")


def test_no_images_and_one_image(here, capsys):
    (here / "empty").mkdir()
    assert bad(capsys, images="empty").startswith("pliant: empty: no images in it or its subfolders; looked for .avif")
    picture(0).save(here / "empty" / "lone.png")
    assert bad(capsys, images="empty") == "pliant: empty: 1 usable of 1 images, at least 2 are needed"
    assert bad(capsys, images="nowhere") == "pliant: nowhere: no such folder"
    assert bad(capsys, "--limit", "1") == "pliant: limit=1: at least 2 images, or 0 for all"


def test_bad_images_are_left_out_and_listed_or_refused(here, capsys):
    jpeg = here / "photos" / "cut.jpg"
    picture(20, (300, 200)).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:-2000])
    picture(21).convert("CMYK").save(here / "photos" / "press.jpg")
    Image.fromarray(np.zeros((20, 20), dtype=np.uint16)).save(here / "photos" / "deep.png")
    picture(22).convert("RGBA").save(here / "photos" / "see-through.png")
    picture(23, (1, 1)).save(here / "photos" / "dot.png")
    (here / "photos" / "words.jpg").write_text("no image")
    assert measure() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Left out 6 images:" in printed
    for file in (
        "cut.jpg: truncated",
        "press.jpg: CMYK",
        "deep.png: more than 8 bits",
        "see-through.png: transparent",
        "dot.png: ",
    ):
        assert file in printed
    assert "cut.jpg" in bad(capsys, "--on-bad-image", "refuse")


def test_it_ends_with_the_layer_where_sensitivity_rises_most(here, capsys):
    (here / "photos" / "words.jpg").write_text("no image")
    said = ("--untrained", "--batch-norm", "as_is", "--worst-case", "--draws", "1", "--budget", "0")
    assert measure(*said) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Left out 1 image:" in lines
    assert "Untrained: batch norm stands at mean 0, variance 1" in " ".join(lines)
    assert any(line.startswith("Worst case: ") for line in lines)
    assert lines[-1].startswith("Sensitivity ")
    assert measure(*said, "--fail-above", "9", "--out", "result") == 0
    *_, end, report, gate = capsys.readouterr().out.splitlines()
    assert end == lines[-1]
    assert report == "Report: result/report.html"
    assert gate.startswith("passed: ")


def test_constant_and_nan_layers_are_told(here, capsys):
    arguments = ("--layers", "conv,branches.constant,branches.nan")
    assert measure(*arguments, model="net.py:odd") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "constant: the same for all images" in printed
    assert "NaN or infinite activations" in printed
    said = bad(capsys, *arguments, "--fail-above", "1", "--at", "branches.nan", model="net.py:odd")
    assert said == (
        "pliant: --fail-above cannot judge layer 'branches.nan': NaN or infinite activations. "
        "Choose others with --layers or --at."
    )
    assert bad(capsys, *arguments, "--fail-above", "1", model="net.py:odd").startswith(
        "pliant: --fail-above cannot judge layer 'branches.constant': constant: the same for all images. "
    )
    assert bad(capsys, "--fail-above", "nan") == "pliant: --fail-above nan: give a number, such as 0.4"


def test_a_folder_that_cannot_be_written(here, capsys):
    (here / "file").write_text("")
    said = bad(capsys, "--out", "file/result", "--layers", "nonsense")
    assert "cannot be written" in said
    assert "nonsense" not in said  # told before the work, not after it


def test_no_network(here, capsys, monkeypatch):
    """A published model whose weights cannot be fetched; the loader's own door to the network is shut."""
    import socket

    def shut(*arguments, **keywords):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", shut)
    monkeypatch.setattr(socket, "getaddrinfo", shut)
    monkeypatch.setenv("HF_HOME", str(here / "cache"))
    said = bad(capsys, model="resnet18.a1_in1k")
    assert "resnet18.a1_in1k" in said
    assert "--untrained" in said
    assert "--weights" in said


@pytest.mark.parametrize(
    "arguments",
    [["--reach", "far"], ["--metric", "manhattan"], ["--limit", "x"], ["--widht", "3"], ["--device", "cuda:99"]],
)
def test_options_that_make_no_sense(here, capsys, arguments):
    capsys.readouterr()
    assert measure(*arguments) == 2
    printed = capsys.readouterr()
    assert arguments[0].lstrip("-") in (printed.err + printed.out).lower()


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("max-entropy", "displacement"),
        ("elastic", "alpha"),
        ("rotate", "reach"),
        ("pose", "reach"),
        ("circular", "reach"),
    ],
)
def test_other_families_of_deformations(here, capsys, name, strength):
    assert measure("--family", name, "--reach", "6.25%", "--out", "result") == 0
    described = Profile.load(here / "result").protocol["deformation"]
    assert described["family"] == name.replace("-", "_")
    assert described[strength] == pytest.approx(2.0)
    assert f"{name.replace('-', ' ')}, " in capsys.readouterr().out


def test_families_that_cannot_be_had_by_name(here, capsys):
    assert bad(capsys, "--family", "max-entrop").startswith("pliant: unknown family 'max-entrop'. Did you mean")
    assert "--family flow: it has no single strength" in bad(capsys, "--family", "flow")


def test_folds_can_be_refused(here, capsys):
    said = bad(capsys, "--reach", "12px", "--refuse-folds")
    assert said.startswith("pliant: the deformation of image ")
    assert measure("--reach", "12px", "--refuse-folds", "--invertible", "--out", "result") == 0
    printed = " ".join(capsys.readouterr().out.split())
    share = Profile.load(here / "result").provenance["displacement"]["shrunk"]
    assert 0 < share <= 1
    assert f"folds none, {share:.1%} of the deformations shrunk for it" in printed


def test_layers_are_listed_with_shapes(here, capsys):
    assert cli.run(["layers", "net.py:build", "--size", "32"]) == 0
    printed = capsys.readouterr().out
    assert "4 x 15 x 15" in printed
    assert "blocks" in next(line for line in printed.splitlines() if line.startswith("relu"))
    assert "4 of 5 calls; the others repeat one listed, or hold no batch; input 3 x 32 x 32" in printed


def test_what_presets_call_a_layer_is_listed(here, capsys):
    block = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
    def forward(self, x):
        return self.last(x + self.conv(x))

def blocks():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(Block(), Block()), nn.MaxPool2d(2))
"""
    (here / "net.py").write_text(MODEL + block)
    assert cli.run(["layers", "net.py:blocks", "--size", "32"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    presets = {words[0]: " ".join(words[7:]) for words in lines if "ReLU" in words}
    assert presets == {"1.0.last": "blocks (1.0)", "1.1.last": "blocks (1.1) stages (1.1)"}
    assert measure("--out", "result", "--limit", "4", model="net.py:blocks") == 0
    assert set(Profile.load(here / "result").layers) >= {"1.0", "1.1"}
    capsys.readouterr()
    assert cli.run(["layers", "net.py:blocks", "--size", "32", "--layers", "blocks"]) == 0
    printed = capsys.readouterr().out
    assert "(" not in printed.partition("calls")[0]


def test_layers_of_models_as_measure_takes_them(here, capsys):
    assert cli.run(["layers", "net.py:build+antialias", "--size", "32"]) == 0
    assert "BlurPool" in capsys.readouterr().out
    assert cli.run(["layers", "net.py:grey", "--size", "32"]) == 2
    assert "a model of grey images in a file needs one --mean and one --std" in capsys.readouterr().err
    assert cli.run(["layers", "net.py:grey", "--size", "32", "--mean", "0.5", "--std", "0.5"]) == 0
    assert "input 1 x 32 x 32" in capsys.readouterr().out
    assert measure("--mean", "0.5", "--std", "0.5", model="net.py:grey") == 0


def test_no_command_and_an_unknown_one(capsys):
    assert cli.run(["mesure"]) == 2
    assert cli.run(["--version"]) == 0


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_named_in_the_terminal_and_in_the_report(here, metric, capsys):
    arguments = ("--metric", metric.replace("_", "-"), "--out", "result", "--layers", "all")
    assert measure(*arguments, model="net.py:classifier") == 0
    printed = " ".join(capsys.readouterr().out.split())
    quantity = METRICS[metric].quantity
    assert METRICS[metric].scale in printed
    assert f"{quantity[:1].upper()}{quantity[1:]} " in printed
    assert metric in printed
    profile = Profile.load(here / "result")
    assert (profile.metric, profile.quantity) == (metric, quantity)
    page = (here / "result" / "report.html").read_text()
    assert f"{quantity[:1].upper()}{quantity[1:]} by layer</h2>" in page
    said = page.partition("<h1")[2].partition("How it was measured")[0].replace('id="sensitivity"', "")
    assert ("sensitivity" in said.lower()) == (metric in ("cosine", "euclidean"))


def test_the_gate_of_another_metric(here, capsys):
    assert measure("--metric", "relative-stability", "--fail-above", "0.001") == 1
    assert "FAILED relu" in capsys.readouterr().out
    assert bad(capsys, "--metric", "relative-stability", "--fail-above", "-1") == (
        "pliant: --fail-above -1.0: relative stability R is never below 0"
    )
    assert bad(capsys, "--metric", "correlation", "--fail-above", "0.5") == (
        "pliant: --fail-above with --metric correlation: the larger, the more stable, so that it would fail the best "
        "layers; choose another metric"
    )


def test_an_unknown_metric(here, capsys):
    assert bad(capsys, "--metric", "cosin") == (
        "pliant: unknown metric 'cosin'. Did you mean 'cosine', 'consistency' or 'correlation'?"
    )


def test_the_worst_case_beside_random_deformations(here, capsys):
    assert measure("--worst-case", "--worst-at", "conv,pool", "--draws", "3", "--budget", "2", "--out", "result") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "layer random, mean of 3 best of 3 worst case" in printed
    assert "2 steps of gradient ascent from the best of 3 random deformations of each image" in printed
    table = pd.read_csv(here / "result" / "worst_case.csv")
    assert table["layer"].tolist() == ["conv", "pool"]
    assert (table["worst"] >= table["best_of"]).all()
    assert (table["best_of"] >= table["random"]).all()
    for value in table["worst"]:
        assert f"{value:.3f}" in printed
    for kind in ("random", "best_of", "worst"):
        for value in table[f"{kind}_rms"]:
            assert f"{value:.2f} px, folds" in printed
    assert "Random and worst deformations" in (here / "result" / "report.html").read_text()
    assert measure("--out", "plain") == 0
    assert "worst case" not in capsys.readouterr().out
    assert not (here / "plain" / "worst_case.csv").exists()


def test_folds_of_the_worst_case_are_refused_on_request(here, capsys):
    chosen = ("--worst-case", "--draws", "1", "--budget", "8", "--reach", "6%")
    assert measure(*chosen) == 0
    assert "; folds none;" in " ".join(capsys.readouterr().out.split())
    assert bad(capsys, *chosen, "--refuse-folds").startswith(
        "pliant: the worst deformation for layer 'output' of image"
    )


def test_the_worst_case_is_that_of_what_the_model_puts_out(here, capsys):
    assert measure("--worst-case", "--budget", "0", "--family", "circular", "--out", "result") == 0
    assert pd.read_csv(here / "result" / "worst_case.csv")["layer"].tolist() == ["output"]


def test_searches_that_cannot_be_made_are_refused_before_the_work(here, capsys):
    assert bad(capsys, "--worst-case", "--metric", "relative-stability") == (
        "pliant: --worst-case: metric='relative_stability': the worst case is that of a distance, give 'cosine' or "
        "'euclidean'"
    )
    assert bad(capsys, "--worst-case", "--family", "circular").startswith(
        "pliant: --worst-case: circular: its fields jump where its parameters change, so that no gradient leads to them"
    )
    assert bad(capsys, "--worst-case", "--worst-at", "poool").startswith(
        "pliant: --worst-case: unknown layer 'poool'. Did you mean 'pool'?"
    )
    assert bad(capsys, "--worst-case", "--draws", "0") == (
        "pliant: --worst-case: draws=0: the search starts from 1 random deformation at least"
    )
    assert bad(capsys, "--worst-at", "pool") == (
        "pliant: --worst-at, --draws and --budget say how the worst deformations are searched: give --worst-case too"
    )
