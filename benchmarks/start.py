"""What a command costs before it has something to do: help, lists, faults of a recipe, and imports.

    python benchmarks/start.py [turns=5]

Protocol: every case in a fresh process, one thread, all cases in turns after one turn that warms up; seconds by the
clock and of the processor, medians over turns, and for each case the median over turns of its processor seconds
divided by those of `import pytorch_lightning` in the same turn. Meant for a quiet machine: the result names its load,
and processor seconds depend on it less than those of the clock.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from turns import leave, machine

from zoo.config.command_line import checked_arguments, run_command

ROOT = Path(__file__).resolve().parent.parent
OWN_CLASS = "import zoo\n\n\nclass Mine(zoo.DCGAN):\n    pass\n"
REFERENCE = "import pytorch_lightning"
FIT = "-m zoo.fit recipe=dcgan_digits"
IMPORTS = ("pass", REFERENCE, "import zoo", "import zoo.metrics", "from zoo import DCGAN")
COMMANDS = {
    "list": ["-m zoo", "-m zoo.hub"],
    "help": [f"-m zoo.{name} --help" for name in ("fit", "sample", "evaluate", "compare", "watch", "audit", "hub")],
    "fault in the text of a recipe": [
        "-m zoo.fit recipe=dcgan_digts",
        f"{FIT} model.widht=8",
        f"{FIT} model.width=wide",
        f"{FIT} model.class=DCGN",
        f"{FIT} seeds=0,1 model.width=8,16.5",
        f"{FIT} callbacks.SampleGird.every=8",
        f"{FIT} trainer.acelerator=cpu",
        "-m zoo.fit recipe=progan_digits model.variant=author",
    ],
    "fault of another command line": ["-m zoo.sample checkpoint=dcgan_digts", "-m zoo.evaluate checkpoint=x n=many"],
    "recipe without a fault": [f"{FIT} check=true"],
    "fault that needs the classes": [f"{FIT} model.class=my_ideas.Mine model.widht=8", f"{FIT} model.objective=hnge"],
}


def cases() -> dict[str, tuple[str, list[str], int]]:
    """Return kind, arguments of Python and expected exit code of each case, by its name."""
    found = {code: ("import", ["-c", code], 0) for code in IMPORTS}
    for kind, lines in COMMANDS.items():
        found |= {line: (kind, line.split(), 2 if kind.startswith("fault") else 0) for line in lines}
    return found


def spent(arguments: list[str], folder: Path, expected: int) -> tuple[float, float]:
    """Return seconds of the clock and of the processor that a fresh process takes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != expected:
        raise RuntimeError(f"{arguments} ended with code {done.returncode}, not {expected}:\n{done.stderr}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def benchmark(turns: int = 5) -> dict[str, Any]:
    """Measure every case in turns.

    Args:
        turns: turns that count; one more comes before, to warm up.
    """
    protocol = {"turns": turns, **machine("cpu")}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases()}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "my_ideas.py").write_text(OWN_CLASS)
        for _ in range(turns + 1):
            for name, (_, arguments, expected) in cases().items():
                taken[name].append(spent(arguments, Path(folder), expected))
    rows = [row(name, kind, taken[name][1:], taken[REFERENCE][1:]) for name, (kind, _, _) in cases().items()]
    return {
        "protocol": {**protocol, "load_average_at_the_end": [round(load, 2) for load in os.getloadavg()]},
        "cases": rows,
    }


def row(name: str, kind: str, taken: list[tuple[float, float]], reference: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the numbers of one case."""
    ratios = [mine[1] / theirs[1] for mine, theirs in zip(taken, reference)]
    return {
        "case": name,
        "kind": kind,
        "seconds": round(statistics.median(clock for clock, _ in taken), 3),
        "processor_seconds": round(statistics.median(processor for _, processor in taken), 3),
        "relative_to_importing_lightning": round(statistics.median(ratios), 3),
        "range_over_turns": [round(min(ratios), 3), round(max(ratios), 3)],
    }


def main(**words: Any) -> None:
    """Measure what a command costs before it has something to do, and write `results/start.json`."""
    leave(benchmark(**checked_arguments(benchmark, words)), "start")


if __name__ == "__main__":
    run_command("benchmarks.start", main)
