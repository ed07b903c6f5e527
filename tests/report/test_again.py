import shlex
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from report import fake_run

from pliant import records
from pliant.plan import DOWNSAMPLING, Measuring, Study, Training
from pliant.report import again, wording
from pliant.report.nets import Comparison

STUDIES = [
    Study(training=Training(epochs=12)),
    Study(data="my photos/$HOME", limit=100, width=0.25, seed=7, training=Training(epochs=3)),
    Study(downsampling=("max_pool",)),
    Study(downsampling=("aps", "max_pool"), padding_mode="circular", pool_skip=2),
]


@pytest.mark.parametrize("study", STUDIES)
def test_the_command_says_the_whole_plan(study):
    program, name, *words = shlex.split(again.command(study))
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert (program, name) == ("pliant", "demo")
    limit = options.get("--limit")
    names = options.get("--downsampling")
    assert study == Study(
        downsampling=tuple(names.split(",")) if names else DOWNSAMPLING,
        padding_mode=options.get("--padding-mode", "zeros"),
        pool_skip=int(options.get("--pool-skip", 0)),
        data=options["--data"],
        width=float(options["--width"]),
        seed=int(options["--seed"]),
        limit=None if limit is None else int(limit),
        training=Training(epochs=int(options["--epochs"])),
    )


@pytest.mark.parametrize(
    "study",
    [
        Study(measuring=Measuring(images=16)),
        Study(training=Training(weight_decay=0.0)),
    ],
)
def test_a_plan_beyond_the_options_has_a_program_instead(study, monkeypatch):
    assert again.command(study) is None
    ran = []
    fake = SimpleNamespace(execute=lambda plan, folder: ran.append((plan, str(folder))))
    monkeypatch.setitem(sys.modules, "pliant.run.study", fake)
    exec(again.python(study), {})
    assert ran == [(study, f"runs/{study.identity}")]


def test_what_nets_share_is_said_once_and_what_differs_by_net(copied):
    path = copied / "strided-seed0" / "record.json"
    record = records.read_json(path)
    record["provenance"] |= {"device": "cuda:0", "commit": "abc"}
    records.write_json(path, record)
    others = "subsampling, max pooling, average pooling, strided convolution + ReLU"
    facts = dict(again.of_run(Comparison.read(copied)))
    assert facts["Device"] == f"cpu ({others}); cuda:0 (strided convolution)"
    assert facts["Threads"] == "2"
    assert facts["Batch norm"] == "untouched, calibrated, as is"
    assert facts["Deformation"] == (
        "thin plate, grid 3, reach 2 px at most per axis; rms 1.21 px, largest 3.70 px; outside the image: zeros"
    )
    assert facts["Images"] == "1,437 to train, 360 to test, 10 classes, 1x32x32"


def test_a_share_of_folds_never_reads_as_none():
    profile = fake_run.profile(0.1)
    shares = {0.0: "none", 1e-9: "under 0.01% of pixels", 0.0125: "1.25% of pixels"}
    for share, said in shares.items():
        assert dict(again.of_profile(replace(profile, folds=share)))["Folds"] == said


def test_deformations_in_words():
    steps = [{"family": "thin_plate", "grid": 3, "reach": 2.0}, {"family": "max_entropy", "temperature": None}]
    assert wording.deformation({"deformation": {"family": "sequence", "steps": steps}}) == (
        "thin plate, grid 3, reach 2 then max entropy"
    )
