"""Memory and time of a run on a folder of very many images.

    python benchmarks/big_folder.py images=1000000 folder=FOLDER [small=1000]

Protocol: `images` JPEG files of 64 px, in subfolders of a thousand, are hard links to 2,000 different ones, so that
they take little disk. `python -m zoo.fit recipe=dcgan_celeba data.class=Folder data.labels=true` with a network of
width 8 trains on them for 640 images, once with an empty cache and once more; and the same on `small` images, which
takes the memory of torch, Lightning and the network away. All run in processes of their own, one thread. The kernel
is asked every 50 ms for the anonymous memory of the process (RssAnon), which does not count the mapped cache.
Reported are the largest value until training begins, the largest afterwards, and the last one, in MB, and the seconds
until training begins. The decoded images (12.3 GB for a million) and the files lie in `folder` and are removed at the
end.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DIFFERENT = 2000
"""Files that are not links: a file can have 65,000 links on ext4."""
A_FOLDER = 1000
SIDE = 64
TRAINED = 640
BEGINS = "Folder:"
"""Beginning of the line that is printed when the images are ready."""


def make_folder(root: Path, count: int) -> None:
    """Write a folder of JPEG files, a thousand in each subfolder; most are links."""
    generator = np.random.default_rng(0)
    originals = root.with_name("originals")
    originals.mkdir(parents=True)
    for i in range(min(DIFFERENT, count)):
        coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(originals / f"{i}.jpg", quality=90)
    for i in range(count):
        if i % A_FOLDER == 0:
            (root / f"{i // A_FOLDER:05d}").mkdir(parents=True)
        os.link(originals / f"{i % DIFFERENT}.jpg", root / f"{i // A_FOLDER:05d}" / f"img{i:08d}.jpg")


def command(root: Path, cache: Path, out: Path) -> list[str]:
    """Return the command of a run."""
    settings = {
        "recipe": "dcgan_celeba",
        "images": TRAINED,
        "model.width": 8,
        "model.num_classes": 0,
        "data.class": "Folder",
        "data.root": root,
        "data.labels": "true",
        "data.batch_size": 64,
        "data.cache": cache,
        "callbacks.SampleMetrics": "null",
        "trainer.threads": 1,
        "trainer.accelerator": "cpu",
        "out": out,
    }
    return [sys.executable, "-m", "zoo.fit", *(f"{key}={value}" for key, value in settings.items())]


def anonymous(process: int) -> float:
    """Return the anonymous memory of a process in MB; 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")]
    return found[0] / 1024 if found else 0.0


def measure(root: Path, folder: Path, name: str) -> dict[str, Any]:
    """Run once and return the memory before and after training begins, and the seconds until then."""
    output = folder / f"{name}.log"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    start, before, after, last, ready = time.monotonic(), 0.0, 0.0, 0.0, 0.0
    with open(output, "w") as log:
        process = subprocess.Popen(
            command(root, folder / "cache", folder / name), env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            now = anonymous(process.pid)
            if not ready and BEGINS in output.read_text():
                ready = time.monotonic() - start
            before, after, last = (before, max(after, now), now or last) if ready else (max(before, now), after, last)
            time.sleep(0.05)
    text = output.read_text()
    if process.returncode:
        raise RuntimeError(f"the run failed:\n{text}")
    return {
        "largest_before_training": round(before),
        "largest_in_training": round(after),
        "last": round(last),
        "seconds_until_training": round(ready, 1),
        "seconds": round(time.monotonic() - start, 1),
        "said": [line for line in text.splitlines() if "once" in line or "listing" in line][:12],
    }


def benchmark(images: int, folder: Path, small: int = 1000) -> dict[str, Any]:
    """Measure both sets, with an empty cache and with a full one."""
    found: dict[str, Any] = {}
    try:
        for count in (small, images):
            root = folder / f"set{count}" / "images"
            began = time.monotonic()
            make_folder(root, count)
            print(f"{count:,} files made in {time.monotonic() - began:.0f} s", flush=True)
            for state in ("empty cache", "full cache"):
                key = f"{count:,} images, {state}"
                found[key] = measure(root, folder, f"run-{count}-{state.split()[0]}")
                print(key, json.dumps(found[key]), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    beyond = {
        state: {
            key: found[f"{images:,} images, {state}"][key] - found[f"{small:,} images, {state}"][key]
            for key in ("largest_before_training", "largest_in_training", "last")
        }
        for state in ("empty cache", "full cache")
    }
    return {
        "protocol": __doc__,
        "settings": {"images": images, "small": small, "different_files": DIFFERENT},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "megabytes_and_seconds": found,
        "megabytes_beyond_those_of_the_small_set": beyond,
    }


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    place = Path(given["folder"]).absolute()
    result = benchmark(int(given.get("images", 1_000_000)), place / "big_folder", int(given.get("small", 1000)))
    target = Path(__file__).parent / "results" / f"big_folder_{result['settings']['images']}.json"
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["megabytes_beyond_those_of_the_small_set"], indent=1))
