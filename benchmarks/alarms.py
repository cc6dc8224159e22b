"""Benchmark of the cost of `Alarms`: its time divided by the time of the training around it, in one run.

    python benchmarks/alarms.py [recipes=[dcgan_digits] rounds=500 accelerator=cpu]

Protocol: each small recipe trains for `rounds` rounds after 20 warm-up rounds, with `Alarms` at its defaults and no
other callback of the recipe. Every call of its hooks is timed (on a GPU with the device synchronised before and after).
Alarms and training therefore alternate hundreds of times in one run, and other work on the machine affects both alike.
`rounds` is a multiple of 250, so that quick and full readings are as frequent as in a long run. Reported is the time of
the alarms divided by the rest, in wall time and in CPU time. ProGAN is measured at its last resolution (`progan_digits
at 32 px`) and at its first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback
from turns import SMALL_RECIPES, device_of, fit_recipe, leave, machine

from zoo.callbacks import Alarms
from zoo.config.command_line import checked_arguments, run_command

WARM_UP = 20


class Clocked(Callback):
    """Callback that times the hooks of `Alarms`, and everything between the first and the last counted round."""

    def __init__(self, rounds: int, device: str) -> None:
        self.rounds, self.device = rounds, device
        self.calls: list[tuple[float, float]] = []
        self.seconds = (0.0, 0.0)

    def now(self) -> tuple[float, float]:
        """Return wall time and CPU time in seconds, after the device has finished its work."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def wrap(self, hook: Callable[..., None]) -> Callable[..., None]:
        """Return a hook that also records its time."""

        def timed(*args: Any, **kwargs: Any) -> None:
            began = self.now()
            hook(*args, **kwargs)
            ended = self.now()
            self.calls.append((ended[0] - began[0], ended[1] - began[1]))

        return timed

    def on_train_start(self, trainer: Any, model: Any) -> None:
        """Replace the hooks of the alarms by timed ones."""
        for callback in trainer.callbacks:
            if isinstance(callback, Alarms):
                for name in ("on_before_optimizer_step", "on_train_batch_end"):
                    setattr(callback, name, self.wrap(getattr(callback, name)))

    def on_train_batch_end(self, trainer: Any, model: Any, *args: Any) -> None:
        """Start and stop counting."""
        if model.rounds == WARM_UP:
            self.calls.clear()
            self.began = self.now()
        if model.rounds == WARM_UP + self.rounds:
            ended = self.now()
            self.seconds = ended[0] - self.began[0], ended[1] - self.began[1]
            trainer.should_stop = True


def cost(name: str, rounds: int, accelerator: str) -> dict[str, Any]:
    """Measure the cost of the alarms for one recipe.

    Args:
        name: key of `SMALL_RECIPES`; its first word is the recipe.
        rounds: number of counted rounds.
        accelerator: `cpu` or `gpu`.
    """
    clocked = Clocked(rounds, device_of(accelerator))
    callbacks = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": {}}
    precision = fit_recipe(
        name, clocked, SMALL_RECIPES[name], trainer={"accelerator": accelerator}, callbacks=callbacks
    )
    alarms = [sum(call[i] for call in clocked.calls) for i in (0, 1)]
    readings = sorted(call[0] for call in clocked.calls)[-rounds // 10 :]
    return {
        "precision": precision,
        "milliseconds_per_round_without": round(1000 * (clocked.seconds[0] - alarms[0]) / rounds, 2),
        "milliseconds_per_reading": round(1000 * statistics.median(readings), 2),
        "share": round(alarms[0] / (clocked.seconds[0] - alarms[0]), 4),
        "share_in_processor_seconds": round(alarms[1] / (clocked.seconds[1] - alarms[1]), 4),
    }


def benchmark(recipes: list[str] = list(SMALL_RECIPES), rounds: int = 500, accelerator: str = "cpu") -> dict[str, Any]:
    """Measure the cost of the alarms for every recipe."""
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"rounds": rounds, "warm_up": WARM_UP},
        **machine(device_of(accelerator)),
        "cost": {name: cost(name, rounds, accelerator) for name in recipes},
    }


def main(**arguments: Any) -> None:
    """Measure the cost of the alarms: recipes=[dcgan_digits] rounds=500 accelerator=cpu."""
    checked = checked_arguments(benchmark, arguments)
    leave(benchmark(**checked), f"alarms_{device_of(checked['accelerator'])}")


if __name__ == "__main__":
    run_command("benchmarks.alarms", main)
