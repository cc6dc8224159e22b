"""What watching costs: the time that `Alarms` takes, over the time of the training around it, in one run.

    python benchmarks/alarms.py [recipes=[dcgan_digits] rounds=500 accelerator=cpu]

Protocol: each small recipe trains for `rounds` rounds after 20 to warm up, with `Alarms` at its defaults and no other
callback of the recipe. Every call of one of its hooks is timed (on a GPU with the device drained before and after), so
alarms and training take turns hundreds of times in one run, and other work on the machine hits both alike. `rounds` is
a multiple of 250, so that quick and full readings occur as often as in a long run. Reported: the alarms' time over the
rest, by the clock and in seconds of the processor. ProGAN is measured at its last resolution (`ProGAN at 32 px`) and at
its first.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback
from turns import device_of, leave, machine

import zoo
from zoo.callbacks import Alarms
from zoo.config.command_line import checked_arguments, run_command

WARM_UP = 20
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan_digits": {},
    "wgan_gp_digits": {},
    "biggan_digits": {},
    "progan_digits at 4 px": {},
    "progan_digits at 32 px": {"hold_images": 100, "fade_images": 0},
}


class Clocked(Callback):
    """Times the hooks of every `Alarms`, and everything between the first and the last counted round."""

    def __init__(self, rounds: int, device: str) -> None:
        self.rounds, self.device = rounds, device
        self.calls: list[tuple[float, float]] = []
        self.seconds = (0.0, 0.0)

    def now(self) -> tuple[float, float]:
        """Seconds of the clock and of the processor, after all work so far is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def wrap(self, hook: Callable[..., None]) -> Callable[..., None]:
        """The same hook, timed."""

        def timed(*args: Any, **kwargs: Any) -> None:
            began = self.now()
            hook(*args, **kwargs)
            ended = self.now()
            self.calls.append((ended[0] - began[0], ended[1] - began[1]))

        return timed

    def on_train_start(self, trainer: Any, model: Any) -> None:
        """Find the alarms."""
        for callback in trainer.callbacks:
            if isinstance(callback, Alarms):
                for name in ("on_before_optimizer_step", "on_train_batch_end"):
                    setattr(callback, name, self.wrap(getattr(callback, name)))

    def on_train_batch_end(self, trainer: Any, model: Any, *args: Any) -> None:
        """Begin and end to count."""
        if model.rounds == WARM_UP:
            self.calls.clear()
            self.began = self.now()
        if model.rounds == WARM_UP + self.rounds:
            ended = self.now()
            self.seconds = ended[0] - self.began[0], ended[1] - self.began[1]
            trainer.should_stop = True


def cost(name: str, rounds: int, accelerator: str) -> dict[str, Any]:
    """The alarms' share of one recipe."""
    recipe, clocked = name.split(" ")[0], Clocked(rounds, device_of(accelerator))
    with tempfile.TemporaryDirectory() as folder:
        plan = zoo.runs.run.plan_run(
            recipe,
            out=folder,
            overrides={
                "images": 10**9,
                "model": SETTINGS[name],
                "trainer": {"accelerator": accelerator},
                "callbacks": {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": {}},
            },
        )
        trainer = plan._trainer([clocked, *(part.build() for part in plan.recipe.callbacks.values())], 0)
        torch.manual_seed(plan.recipe.seed)
        data, model = plan.recipe.data.build(), plan.recipe.model.build()
        trainer.fit(model, datamodule=data)
    alarms = [sum(call[i] for call in clocked.calls) for i in (0, 1)]
    readings = sorted(call[0] for call in clocked.calls)[-rounds // 10 :]
    return {
        "precision": plan.recipe.trainer["precision"],
        "milliseconds_per_round_without": round(1000 * (clocked.seconds[0] - alarms[0]) / rounds, 2),
        "milliseconds_per_reading": round(1000 * statistics.median(readings), 2),
        "share": round(alarms[0] / (clocked.seconds[0] - alarms[0]), 4),
        "share_in_processor_seconds": round(alarms[1] / (clocked.seconds[1] - alarms[1]), 4),
    }


def benchmark(recipes: list[str] = list(SETTINGS), rounds: int = 500, accelerator: str = "cpu") -> dict[str, Any]:
    """Measure every recipe."""
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"rounds": rounds, "warm_up": WARM_UP},
        **machine(device_of(accelerator)),
        "cost": {name: cost(name, rounds, accelerator) for name in recipes},
    }


def main(**words: Any) -> None:
    """Measure what alarms cost: recipes=[dcgan_digits] rounds=500 accelerator=cpu."""
    arguments = checked_arguments(benchmark, words)
    leave(benchmark(**arguments), f"alarms_{device_of(arguments['accelerator'])}")


if __name__ == "__main__":
    run_command("benchmarks.alarms", main)
