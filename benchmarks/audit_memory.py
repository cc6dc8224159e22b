"""Memory of an audit of photographs.

    python benchmarks/audit_memory.py [side=400 train=2400 held_out=500 fake=500 budget=standard classes=false]

Protocol: photographs are cut at random places out of a few large textures whose power falls with frequency as that of
photographs does, and written as JPEG files, with `classes` in two subfolders that name them. `python -m zoo.audit
fake=... train=... held_out=...` then runs in a fresh process with an empty cache, so that decoding and the weights of
the extractor are included. The number is the largest resident set of that process over its life (`ru_maxrss` of
`resource.getrusage`), as the system counts it: it includes the pages of mapped files that are in memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from turns import leave, machine

from zoo.config.command_line import checked_arguments, run_command

TEXTURES = 4  # large pictures from which photographs are cut


def texture(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a picture (side, side, 3) of smooth noise at octaves from 4 px to half its side."""
    total = np.zeros((side, side, 3), np.float32)
    cells = 4
    while cells <= side // 2:
        noise = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        planes = [
            np.asarray(Image.fromarray(noise[..., c]).resize((side, side), Image.Resampling.BICUBIC)) for c in range(3)
        ]
        total += np.stack(planes, 2) * (4 / cells) ** 0.5 * 40
        cells *= 2
    return np.clip(128 + total, 0, 255).astype(np.uint8)


def write_photographs(folder: Path, n: int, side: int, classes: bool, seed: int) -> None:
    """Write photographs of a height and width in pixels, every second one darker; the darker ones can be a class."""
    rng = np.random.default_rng(seed)
    textures = [texture(3 * side, np.random.default_rng(i)) for i in range(TEXTURES)]
    for i in range(n):
        top, left = (int(place) for place in rng.integers(0, 2 * side, 2))
        cut = textures[int(rng.integers(TEXTURES))][top : top + side, left : left + side]
        path = folder / (("light" if i % 2 else "dark") if classes else "") / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(cut if i % 2 else cut // 2).save(path, quality=90)


def audited(folder: Path, budget: str) -> dict[str, Any]:
    """Audit the photographs in a process of its own; return its largest memory, its time and what it answered."""
    words = [f"{name}={folder / name}" for name in ("fake", "train", "held_out")]
    words += [f"budget={budget}", f"out={folder / 'report'}"]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "zoo.audit", *words],
        check=True,
        env={**os.environ, "ZOO_CACHE": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # the audit is the only child
    report = json.loads((folder / "report" / "report.json").read_text())
    return {
        "largest_GB": round(used.ru_maxrss * 1024 / 1e9, 2),
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "resolution": report["about"]["images"]["resolution"],
        "classes": report["about"]["images"]["classes"],
        "questions": {each["name"]: each["status"] for each in report["findings"]},
    }


def benchmark(
    side: int = 400,
    train: int = 2400,
    held_out: int = 500,
    fake: int = 500,
    budget: str = "standard",
    classes: bool = False,
) -> dict[str, Any]:
    """Write the photographs, audit them, and return what it needed."""
    counts = {"train": train, "held_out": held_out, "fake": fake}
    found: dict[str, Any] = {
        "protocol": (__doc__ or "").strip(),
        **machine("cpu"),
        "side": side,
        **counts,
        "budget": budget,
    }
    with tempfile.TemporaryDirectory() as place:
        for seed, (name, n) in enumerate(counts.items()):
            write_photographs(Path(place) / name, n, side, classes, seed)
        return found | audited(Path(place), budget)


def main(name: str = "audit_memory_cpu", **words: Any) -> None:
    """Measure the memory of an audit: side=400 train=2400 held_out=500 fake=500 budget=standard classes=false."""
    leave(benchmark(**checked_arguments(benchmark, words)), name)


if __name__ == "__main__":
    run_command("benchmarks.audit_memory", main)
