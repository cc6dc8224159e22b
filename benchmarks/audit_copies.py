"""What the search for copies that moved adds to an audit: time and memory, with and without registered pixels.

    python benchmarks/audit_copies.py root=FOLDER [sizes=[50000,5000,5000] size=64 budget=standard]

Protocol: the images of a folder, in an order by seed 0, are split into training, held-out and generated ones of
`sizes`, at `size` px; so the "generator" is an honest one. `zoo.audit.audit` runs on them twice with all questions that
samples can answer, each time in a fresh process: as it is, and with images taken for too small to be registered.
Seconds are those of the processor, so that other work on the machine counts little, and of the clock; the features are
computed in both. `registration` is the part of registering itself. Memory is the largest resident set of the process;
it includes the images themselves, which are held in memory as uint8. The file that they are decoded into is closed
before the audit: its pages would count as well.
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
from unittest import mock

import torch
from turns import leave, machine

from zoo.audit import audit
from zoo.audit.questions import copied_images
from zoo.config.command_line import checked_arguments, run_command
from zoo.data import Folder


def measured(
    root: str,
    sizes: list[int] | None = None,
    size: int = 64,
    budget: str = "standard",
    features: str = "effnet-lite0",
    registered: bool = True,
) -> dict[str, Any]:
    """Audit once; run in a process of its own.

    Args:
        root: folder of images.
        sizes: numbers of training, held-out and generated images; None for 50,000, 5,000 and 5,000.
        size: height and width in pixels.
        budget: budget of the audit.
        features: extractor of the audit.
        registered: whether images are registered.
    """
    source = Folder(root, resolution=size, held_out=0)
    source.setup()
    parts = sizes or [50_000, 5_000, 5_000]
    order = torch.randperm(len(source.train), generator=torch.Generator().manual_seed(0))[: sum(parts)]
    train, held_out, generated = (source.train.batch(part).images for part in torch.split(order, parts))
    del source  # and the file of its images is mapped no more
    spent, search = dict[str, float](), copied_images._search

    def timed(evidence: Any) -> Any:
        began = time.process_time(), time.perf_counter()
        found = search(evidence)
        spent["processor_seconds"] = round(time.process_time() - began[0], 1)
        spent["seconds"] = round(time.perf_counter() - began[1], 1)
        return found

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time(), time.perf_counter()
    can = mock.patch("zoo.audit.questions.copying.can_register", return_value=False)
    with mock.patch.object(copied_images, "_search", timed), tempfile.TemporaryDirectory() as cache:
        os.environ["ZOO_CACHE"] = cache  # after the images are decoded: features are computed in each process
        if not registered:
            can.start()
        report = audit(generated, train, held_out, budget=budget, features=features)
    return {
        "verdict": list(report.verdict),
        "processor_seconds": round(time.process_time() - began[0], 1),
        "seconds": round(time.perf_counter() - began[1], 1),
        "registration": spent,
        "GiB_before": round(before / 2**20, 2),
        "largest_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def benchmark(words: list[str]) -> dict[str, Any]:
    """Measure with and without registered pixels."""
    found: dict[str, Any] = {"protocol": (__doc__ or "").strip(), **machine("cpu"), "settings": words}
    for name, registered in (("with", "true"), ("without", "false")):
        said = subprocess.run(
            [sys.executable, __file__, "part", *words, f"registered={registered}"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        )
        found[name] = json.loads(said.stdout.splitlines()[-1])
    both = (found[name]["processor_seconds"] for name in ("with", "without"))
    found["ratio of processor seconds"] = round(next(both) / next(both), 2)
    return found


def main(**words: Any) -> None:
    """Measure once; see the module's text."""
    print(json.dumps(measured(**checked_arguments(measured, words))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        del sys.argv[1]
        run_command("benchmarks.audit_copies", main)
    elif not any(word.startswith("root=") for word in sys.argv[1:]):
        sys.exit("python benchmarks/audit_copies.py root=FOLDER [sizes=[50000,5000,5000] size=64]")
    else:
        leave(benchmark([word for word in sys.argv[1:] if "=" in word]), "audit_copies_cpu")
