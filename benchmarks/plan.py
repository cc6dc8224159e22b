"""Plans of `recipe=photos` against what their runs take: time, memory, and how soon there is something to see.

    python benchmarks/plan.py FOLDER [FOLDER ...] hours=0.1

Protocol: each folder is trained on once by `python -m zoo.fit recipe=photos data.root=FOLDER hours=HOURS`, in a
process of its own with an empty cache. Time: from the first round to the end, as the run records it, against the
hours that were asked for. Memory: the largest resident memory without mapped files (RssAnon) of the whole process,
looked at ten times a second, against the line `memory` of the plan. First sight: seconds from the start of the
process to `samples/real.png` and the grid of the untrained generator, to the first grid of the trained one, and to
the first checkpoint. The load average of the machine is recorded before each run; beside other work the times of the
plan and of the run are those of two different loads. Folders that were measured by an earlier call stay in the results.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TICK = 0.1
"""Seconds between two looks at the process."""
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9}


def resident(pid: int) -> int:
    """Return the resident memory of a process without mapped files, in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def sights(run: Path) -> dict[str, bool]:
    """Return what there is to see in a run folder."""
    grids = [path.stem for path in (run / "samples").glob("[0-9]*.png")]
    return {
        "real images": (run / "samples" / "real.png").is_file(),
        "untrained grid": any(int(name) == 0 for name in grids),
        "trained grid": any(int(name) > 0 for name in grids),
        "checkpoint": any((run / "checkpoints").glob("[0-9]*.ckpt")),
    }


def measure(folder: str, hours: float, settings: list[str]) -> dict[str, Any]:
    """Train on a folder by a plan, and return what was planned and what it took."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        run, output = Path(scratch) / "run", Path(scratch) / "output"
        command = [sys.executable, "-m", "zoo.fit", "recipe=photos", f"data.root={folder}", f"hours={hours}"]
        root = str(Path(__file__).resolve().parent.parent)
        environment = {**os.environ, "ZOO_CACHE": f"{scratch}/cache", "PYTHONPATH": root}
        began, peak, seen = time.monotonic(), 0, dict[str, float]()
        with output.open("w") as file:
            process = subprocess.Popen(
                [*command, f"out={run}", *settings], env=environment, stdout=file, stderr=subprocess.STDOUT
            )
            while process.poll() is None:
                peak = max(peak, resident(process.pid))
                for name, is_there in sights(run).items() if run.is_dir() else ():
                    if is_there:
                        seen.setdefault(name, round(time.monotonic() - began, 1))
                time.sleep(TICK)
        text = output.read_text()
        if process.returncode:
            raise RuntimeError(text[-3000:])
        plan = (run / "plan.txt").read_text()
        for name, is_there in sights(run).items():
            if is_there:
                seen.setdefault(name, round(time.monotonic() - began, 1))
        trained = re.search(r"^([\d,]+) images in ([\d,]+) s$", text, re.MULTILINE)
        memory = re.search(r"^  memory +([\d.]+) (kB|MB|GB)", plan, re.MULTILINE)
        assert trained is not None
        assert memory is not None
        seconds, planned_memory = float(trained[2].replace(",", "")), float(memory[1]) * UNITS[memory[2]]
        return {
            "load average before": round(load, 2),
            "images": int(trained[1].replace(",", "")),
            "seconds": {
                "planned": 3600 * hours,
                "real": seconds,
                "real over planned": round(seconds / 3600 / hours, 2),
            },
            "megabytes": {
                "planned": round(planned_memory / 1e6),
                "real": round(peak / 1e6),
                "real over planned": round(peak / planned_memory, 2),
            },
            "first sight in seconds": seen,
            "plan": plan.splitlines(),
        }


def benchmark(folders: list[str], hours: float = 0.1, settings: list[str] | None = None) -> dict[str, Any]:
    """Measure the plan of each folder.

    Args:
        folders: folders of images.
        hours: length of each run in hours.
        settings: further settings of each run, such as model.resolution=64.
    """
    from turns import machine

    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"hours": hours, "further": settings or []},
        **machine("cpu"),
        "folders": {Path(folder).name: measure(folder, hours, settings or []) for folder in folders},
    }


if __name__ == "__main__":
    from turns import RESULTS, leave

    words = sys.argv[1:]
    given = [word for word in words if "=" not in word]
    time_given = [word.partition("=")[2] for word in words if word.startswith("hours=")]
    others = [word for word in words if "=" in word and not word.startswith("hours=")]
    if not given:
        sys.exit("python benchmarks/plan.py FOLDER [FOLDER ...] hours=0.1 [KEY=VALUE ...]")
    result = benchmark(given, float(time_given[0]) if time_given else 0.1, others)
    earlier = RESULTS / "plan_cpu.json"
    if earlier.is_file():
        result["folders"] = json.loads(earlier.read_text())["folders"] | result["folders"]
    leave(result, "plan_cpu")
