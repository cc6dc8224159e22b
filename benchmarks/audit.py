"""What an audit costs: time of `quick` and `standard` on a release, and memory with 50,000 images of wide features.

    python benchmarks/audit.py [release=dcgan_digits] [wide=true]

Protocol: `python -m zoo.audit checkpoint=RELEASE` in fresh processes, imports and features included, with an empty
cache; seconds by the clock and of the processor. With `wide`, an audit of random images with 3 x 21 x 21 pixels as
features (1,323 numbers each): 50,000 to train on, 5,000 held out, 5,000 generated, budget `standard`, questions
copying, support, coverage and sharpness; the process's largest memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch
from turns import leave, machine

from zoo.audit import audit, planted
from zoo.config.command_line import checked_arguments, run_command


def spent(words: list[str]) -> dict[str, float]:
    """Seconds and memory of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run(
            [sys.executable, *words], check=True, env={**os.environ, "ZOO_CACHE": cache}, capture_output=True
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "largest_GiB_so_far": round(after.ru_maxrss / 2**20, 2),
    }


def wide_audit() -> dict[str, Any]:
    """An audit with 50,000 training images of 1,323 features; run in a process of its own."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60_000, 3, 21, 21), generator=draw, dtype=torch.uint8)
    subject = planted.Honest(images[55_000:].float() / 127.5 - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    report = audit(
        subject,
        images[:50_000],
        images[50_000:55_000],
        features="pixels",
        only=["copying", "support", "coverage", "sharpness"],
    )
    return {
        "verdict": list(report.verdict),
        "processor_seconds": round(time.process_time() - began, 1),
        "GiB_before": round(before / 2**20, 2),
        "largest_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def benchmark(release: str = "dcgan_digits", wide: bool = True) -> dict[str, Any]:
    """Measure both."""
    found: dict[str, Any] = {"protocol": (__doc__ or "").strip(), **machine("cpu"), "release": release}
    for budget in ("quick", "standard"):
        with tempfile.TemporaryDirectory() as out:
            found[budget] = spent(["-m", "zoo.audit", f"checkpoint={release}", f"budget={budget}", f"out={out}/report"])
    if wide:
        code = "import json, audit; print(json.dumps(audit.wide_audit()))"
        said = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=os.path.dirname(os.path.abspath(__file__)),
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        found["wide"] = json.loads(said.stdout.splitlines()[-1])
    return found


def main(**words: Any) -> None:
    """Measure what audits cost: release=dcgan_digits wide=true."""
    leave(benchmark(**checked_arguments(benchmark, words)), "audit_cpu")


if __name__ == "__main__":
    run_command("benchmarks.audit", main)
