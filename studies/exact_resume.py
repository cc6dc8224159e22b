"""Does a run that was killed with SIGKILL at a random point and resumed end with the bits of one that never stopped?

    python studies/exact_resume.py kills=6 seed=0
    python studies/exact_resume.py kills=6 seed=0 minutes=0.02

Protocol: `dcgan_digits` at width 8 for 25,600 images, a checkpoint every 1,280, in real processes. One run is left
alone. For every kill another run is started, killed with SIGKILL a random time after its first checkpoint, and resumed
from its folder; then both networks, the average, both optimizers' states and the clock of the last checkpoints are
compared bit by bit. Half of the kills are made at each precision.

With `minutes`, checkpoints and sample grids are written by time alone: at least so often. They then lie after other
rounds in each of the runs, and the last states are still to be the same. The rows go to `exact_resume_by_time.json`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rows import RESULTS

from zoo.config.command_line import checked_arguments, run_command
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import checkpoints_in

WORDS = (
    "recipe=dcgan_digits",
    "images=25600",
    "model.width=8",
    "callbacks.SaveEvery.keep=100",
    "trainer.accelerator=cpu",
)
BY_IMAGES = ("callbacks.SampleGrid=null", "callbacks.SaveEvery.every=1280")


def start(*words: str) -> subprocess.Popen[bytes]:
    """One training process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, "-m", "zoo.fit", *words], env=environment, stdout=subprocess.DEVNULL)


def identical(a: Any, b: Any) -> bool:
    """Whether two nested states hold the same bits."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b))
    return bool(a == b)


def final_state(folder: Path) -> dict[str, Any]:
    """What decides how training goes on, from the newest checkpoint."""
    state = read_checkpoint(checkpoints_in(folder)[0])
    return {key: state[key] for key in ("state_dict", "optimizer_states", "zoo")}


def by_time(minutes: float) -> tuple[str, ...]:
    """The settings that write checkpoints and grids at least every so many minutes, and none by images."""
    names = ("SaveEvery", "SampleGrid")
    limits = (f"callbacks.{name}.{key}" for name in names for key in (f"minutes={minutes}", "every=1000000"))
    return tuple(limits)


def study(kills: int = 6, seed: int = 0, minutes: float = 0.0) -> None:
    """Kill, resume, compare; write a row for each kill.

    Args:
        kills: number of kills, half of them at each precision.
        seed: seed of the moments of the kills.
        minutes: longest time between two checkpoints and two grids; 0 for checkpoints by images and no grids.
    """
    chance = random.Random(seed)
    intervals = by_time(minutes) if minutes else BY_IMAGES
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for precision in ("32-true", "bf16-mixed"):
            words = (*WORDS, *intervals, f"trainer.precision={precision}")
            whole = Path(place) / precision
            began = time.monotonic()
            assert start(*words, f"out={whole}").wait() == 0
            length = time.monotonic() - began
            for number in range(kills // 2):
                folder = Path(place) / f"{precision}-{number}"
                process = start(*words, f"out={folder}")
                while not checkpoints_in(folder):
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, length / 4))
                process.send_signal(signal.SIGKILL)
                process.wait()
                at = int(checkpoints_in(folder)[0].stem)
                assert start(f"resume={folder}").wait() == 0
                row = {
                    "precision": precision,
                    "resumed_from_images": at,
                    "checkpoints": [len(checkpoints_in(each)) for each in (whole, folder)],
                    "bit_identical": identical(final_state(folder), final_state(whole)),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    record = {"protocol": (__doc__ or "").strip(), "torch": torch.__version__, "rows": rows}
    name = "exact_resume_by_time" if minutes else "exact_resume"
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")


def main(**words: Any) -> None:
    """Kill and resume; see the module's text."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.exact_resume", main)
