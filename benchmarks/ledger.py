"""How every benchmark times and what it writes: ratios within one run, as versioned JSON with machine and commit."""

import ctypes
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import torch

SCHEMA = 1
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def keep_memory() -> bool:
    """Let the C library keep what is freed, where it is glibc: it would give it back or not by what was freed before,
    and new memory costs as much as reading some images. Whether it does.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_M_MMAP_MAX, 0) and library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def interleaved(runs: dict[str, Callable[[], Any]], repeats: int, warmup: int = 1) -> dict[str, float]:
    """Median seconds of each run; the runs take turns, so that a change of the machine's pace meets them all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(-warmup, repeats):
        for name, run in runs.items():
            _synchronise()
            start = time.perf_counter()
            run()
            _synchronise()
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def write(name: str, results: dict[str, Any], out: str | None) -> Path:
    """Print the results and write them to `out`, by default benchmarks/results/<name>-<device>.json; where to."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    record = {"schema": SCHEMA, "benchmark": name, "results": results, "machine": machine()}
    path = Path(out) if out else Path(__file__).parent / "results" / f"{name}-{device}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    print(f"written to {path}")
    return path


def machine() -> dict[str, Any]:
    """Processor, device, versions and commit."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("pliant", "torch", "torchvision", "timm", "numpy")},
        "commit": commit.stdout.strip() or None,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
