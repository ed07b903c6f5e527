"""Fail unless a demo left a report, and finite numbers for every net, layer and moment."""

import sys
from pathlib import Path

import numpy as np

from pliant import records
from pliant.plan import DOWNSAMPLING, Study
from pliant.profile import Profile

folder = Path(sys.argv[1])
page = (folder / "report.html").read_bytes()
assert 10_000 < len(page) < 5_000_000, f"report.html has {len(page)} bytes"
study = Study.from_json(records.read_json(folder / "plan.json"))
runs = records.runs(folder)
assert sorted(record["downsampling"] for record in runs.values()) == sorted(DOWNSAMPLING)
for name, record in runs.items():
    assert record["plan"] == study.identity
    assert record["accuracy"]["test"]["estimate"] > 0.9, f"{name} did not learn: {record['accuracy']}"
    for entry in record["profiles"]:
        profile = Profile.load(folder / name / entry["folder"])
        assert len(profile.layers) == 13, profile.layers
        for numbers in (profile.estimate, profile.low, profile.high, profile.distances, profile.medians):
            assert np.isfinite(numbers).all(), f"{name}, {entry['folder']}: not finite"
values = records.read_table(folder / "measurements.parquet")["value"]
assert np.isfinite(values).all()
print(f"demo: {len(runs)} nets, {len(values)} numbers, all finite; report of {len(page) / 1e6:.1f} MB")
