"""Rounds with the memory allocator as a run sets it, against the C library's own settings.

    python benchmarks/freed_memory.py [rows=r3gan,biggan cycles=5]

Protocol: the models of `peers.py` (see `ROWS` there) train on random images at the default precision of this processor,
one thread, each in a process of its own that first calls `zoo.training.malloc.keep_freed_memory`, and in another that
does not. A cycle is all steps of the discriminator and one of the generator; two cycles warm up. Written: milliseconds
of the processor and minor page faults of a cycle, and the process's peak of resident memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import peers
import torch
from pytorch_lightning import Callback, Trainer
from turns import batches_for, fit, leave, machine

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.training.hardware import choose_precision
from zoo.training.malloc import keep_freed_memory

WARM_UP = 2


class Faults(Callback):
    """Measures cycles after those that warm up.

    Args:
        cycles: cycles to measure.
    """

    def __init__(self, cycles: int) -> None:
        self.cycles, self.result = cycles, {}

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Begin or end the measurement at the end of a cycle."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        if model.rounds == WARM_UP * model.critic_steps:
            self.began = time.process_time(), usage.ru_minflt
        elif model.rounds == (WARM_UP + self.cycles) * model.critic_steps:
            self.result = {
                "milliseconds_per_cycle": round(1000 * (time.process_time() - self.began[0]) / self.cycles, 1),
                "page_faults_per_cycle": (usage.ru_minflt - self.began[1]) // self.cycles,
                "peak_megabytes": usage.ru_maxrss // 1024,
            }
            trainer.should_stop = True


def measure(name: str, cycles: int, kept: bool) -> None:
    """Train a row's model in this process, and print what was measured."""
    torch.set_num_threads(1)
    if kept:
        assert keep_freed_memory()
    row = peers.ROWS[name]
    torch.manual_seed(0)
    model = getattr(zoo, row.model)(**row.settings)
    model.set_clock(row.images_seen)
    batches = batches_for(model, 4, row.batch_size, row.resolution)
    faults = Faults(cycles)
    precision = choose_precision({"accelerator": "cpu"})
    fit(model, [b if b[1] is not None else b[0] for b in batches], precision, "cpu", faults)
    print(json.dumps(faults.result))


def benchmark(rows: str = "all", cycles: int = 5) -> dict[str, Any]:
    """Measure rows with and without the setting.

    Args:
        rows: names of `peers.ROWS`, joined by commas, or `all`.
        cycles: cycles that are measured.
    """
    found: dict[str, Any] = {}
    for name in list(peers.ROWS) if rows == "all" else rows.split(","):
        for kept in (True, False):
            words = [sys.executable, __file__, f"measured={name}", f"cycles={cycles}", f"kept={str(kept).lower()}"]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found.setdefault(name, {})["kept" if kept else "as usual"] = json.loads(done.stdout.splitlines()[-1])
        own, usual = (found[name][way]["milliseconds_per_cycle"] for way in ("kept", "as usual"))
        found[name]["ratio"] = round(usual / own, 3)
    return {"protocol": (__doc__ or "").strip(), "settings": {"cycles": cycles}, **machine("cpu"), "rows": found}


def run(rows: str = "all", cycles: int = 5, measured: str = "", kept: bool = False) -> None:
    """Measure all rows, or one in this process, for which the script starts itself."""
    if measured:
        measure(measured, cycles, kept)
    else:
        leave(benchmark(rows, cycles), "freed_memory_cpu")


def main(**words: Any) -> None:
    """Measure page faults of training: rows=all cycles=5."""
    run(**checked_arguments(run, words))


if __name__ == "__main__":
    run_command("benchmarks.freed_memory", main)
