"""Training on cores that other work uses too: `zoo.fit recipe=dcgan_digits` with its default settings.

    python benchmarks/busy.py [baseline=CHECKOUT images=120000 turns=2 company=quiet,training,loops]

Each training is a fresh process on a machine with nothing else to do (`quiet`), beside another training of the same
recipe with two threads (`training`), and beside two processes that only count (`loops`). Compared are the default,
which chooses the number of threads by a trial, one thread (`trainer.threads=1`), and with `baseline` another version of
this repository, which is given a sixth of the images, since it may need many times as long. All take turns. Images per
second are those of the record of the run: reading the data and building the networks is left out, the trial is not.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from turns import leave, machine

from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError

HERE = Path(__file__).parents[1]
NO_EXTRAS = ("callbacks.SampleMetrics=null", "callbacks.Alarms=null")
"""Work beside the rounds, which differs between versions."""
LOOP = "while True: pass"


def command(out: Path, images: int, *words: str) -> list[str]:
    """Return the command of a training."""
    start = [sys.executable, "-m", "zoo.fit", "recipe=dcgan_digits", f"images={images}", f"out={out}"]
    return [*start, *NO_EXTRAS, *words]


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which `zoo` is that of a checkout, and torch's number of threads its own default."""
    own = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    return {**own, "PYTHONPATH": str(checkout)}


@contextmanager
def other_work(kind: str, folder: Path) -> Iterator[None]:
    """Keep the other work going while a block runs.

    Args:
        kind: `quiet`, `training` or `loops`.
        folder: folder for the run of the other training.
    """
    commands: list[list[str]] = []
    if kind == "training":
        commands = [command(folder / "other", 10**9, "trainer.threads=2")]
    elif kind == "loops":
        commands = [[sys.executable, "-c", LOOP] for _ in range(2)]
    others = [
        subprocess.Popen(words, cwd=HERE, env=environment(HERE), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for words in commands
    ]
    try:
        while kind == "training" and not (folder / "other" / "environment.jsonl").exists():  # written when it trains
            if others[0].poll() is not None:
                raise RuntimeError("the other training ended at once")
            time.sleep(0.5)
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def images_per_second(
    checkout: Path, out: Path, images: int, words: Sequence[str], limit: float = 900
) -> dict[str, Any]:
    """Train once, and return images per second and the number of threads."""
    subprocess.run(
        command(out, images, *words),
        cwd=checkout,  # comes before PYTHONPATH
        env=environment(checkout),
        check=True,
        timeout=limit,
        stdout=subprocess.DEVNULL,
    )
    end = json.loads((out / "ends.jsonl").read_text().splitlines()[-1])
    start = json.loads((out / "environment.jsonl").read_text().splitlines()[-1])
    return {"images_per_second": round(end["images_seen"] / end["seconds"], 1), "threads": start.get("threads")}


def benchmark(
    baseline: str = "", images: int = 120_000, turns: int = 2, company: str | list[str] = "quiet,training,loops"
) -> dict[str, Any]:
    """Let the programs take turns in each company.

    Args:
        baseline: folder of another version of this repository; empty for none.
        images: images of a training.
        turns: trainings of each program in each company.
        company: what else goes on, some of `quiet`, `training` and `loops`, joined by commas.
    """
    kinds = company.split(",") if isinstance(company, str) else company
    if unknown := set(kinds) - {"quiet", "training", "loops"}:
        raise UserError(f"company: some of quiet, training, loops; got {', '.join(sorted(unknown))}")
    if baseline and not (Path(baseline) / "zoo" / "fit.py").is_file():
        raise UserError(f"baseline: a folder with a checkout of this repository; {baseline} has no zoo/fit.py")
    programs: dict[str, tuple[Path, int, list[str]]] = {
        "default": (HERE, images, []),
        "one thread": (HERE, images, ["trainer.threads=1"]),
    }
    if baseline:
        programs["baseline"] = (Path(baseline).resolve(), images // 6, [])
    found: dict[str, Any] = {}
    for kind in kinds:
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
        with tempfile.TemporaryDirectory() as folder, other_work(kind, Path(folder)):
            for turn in range(turns):
                for name, (checkout, length, words) in programs.items():
                    out = Path(folder) / f"{name.replace(' ', '_')}_{turn}"
                    rows[name].append(images_per_second(checkout, out, length, words))
        found[kind] = {name: {"turns": trained, "median": median_of(trained)} for name, trained in rows.items()}
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"images": images, "turns": turns},
        **found,
        **ratios(found),
    }


def median_of(trained: Sequence[dict[str, Any]]) -> float:
    """Return the median of the images per second."""
    return round(statistics.median(row["images_per_second"] for row in trained), 1)


def ratios(found: dict[str, Any]) -> dict[str, Any]:
    """Return the speed of the default relative to one thread and the baseline there, and to a quiet machine."""
    relative: dict[str, Any] = {}
    for kind, rows in found.items():
        own = rows["default"]["median"]
        relative[kind] = {
            f"over {name}": round(own / row["median"], 2) for name, row in rows.items() if name != "default"
        }
        if "quiet" in found:
            relative[kind]["of a quiet machine"] = round(own / found["quiet"]["default"]["median"], 2)
    return {"default": relative}


def main(**words: Any) -> None:
    """Train beside other work: baseline=CHECKOUT images=120000 turns=2."""
    leave({**benchmark(**checked_arguments(benchmark, words)), **machine("cpu")}, "busy_cpu")


if __name__ == "__main__":
    run_command("benchmarks.busy", main)
