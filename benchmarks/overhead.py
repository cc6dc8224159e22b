"""Share of a run's time that is not spent on its networks: loading, augmentation, logging, callbacks, Lightning's loop.

    python benchmarks/overhead.py [recipes=[dcgan_digits] rounds=500 accelerator=cpu]

Protocol: each small recipe trains by itself for `rounds` rounds after 20 warm-up rounds, one thread, with all its
callbacks and loggers, at intervals so long that none of them draws, measures or saves meanwhile; what those cost is a
choice of the recipe. `Alarms` reads as in a long run if `rounds` is a multiple of 250. The model's rounds are timed,
and so are, within them, the augmentation and the logging of terms; all else between the first and the last counted
round is loading, moving to the device, callbacks and Lightning's loop. Parts and whole are measured in the same run, so
other work on the machine affects both alike. Shares are of processor time. ProGAN is measured at 4 px and grown.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback
from turns import ENDLESS, SMALL_RECIPES, device_of, fit_recipe, leave, machine

import zoo
from zoo.config.command_line import checked_arguments, run_command

WARM_UP = 20
SETTINGS = {
    **SMALL_RECIPES,
    "dcgan_digits with augmentation": {"augment": ["color", "translation", "cutout"]},
}


class Parts(Callback):
    """Callback that measures the processor time of parts of a run.

    Args:
        rounds: number of counted rounds.
        device: `cpu` or `cuda`.
    """

    def __init__(self, rounds: int, device: str) -> None:
        self.rounds, self.device = rounds, device
        self.seconds: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        """Return the processor time in seconds, on a GPU the wall time after it has finished its work."""
        if self.device == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is added to that of a part."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            began = self.now()
            result = function(*args, **kwargs)
            self.seconds[part] += self.now() - began
            return result

        return wrapped

    def on_train_start(self, trainer: Any, model: Any) -> None:
        """Time the rounds, augmentation and logging, and the alarms."""
        model.training_step = self.timed("rounds", model.training_step)
        model.shown = self.timed("augmentation", model.shown)
        model.log_terms = self.timed("logging", model.log_terms)
        for callback in trainer.callbacks:
            if isinstance(callback, zoo.callbacks.Alarms):
                for name in ("on_before_optimizer_step", "on_train_batch_end"):
                    setattr(callback, name, self.timed("alarms", getattr(callback, name)))

    def on_train_batch_end(self, trainer: Any, model: Any, *args: Any) -> None:
        """Start and stop counting."""
        if model.rounds == WARM_UP:
            self.seconds.clear()
            self.began = self.now()
        if model.rounds == WARM_UP + self.rounds:
            self.seconds["all"] = self.now() - self.began
            trainer.should_stop = True


def shares(name: str, rounds: int, accelerator: str) -> dict[str, Any]:
    """Measure the shares of one recipe.

    Args:
        name: key of `SETTINGS`; its first word is the recipe.
        rounds: number of counted rounds.
        accelerator: `cpu` or `gpu`.
    """
    parts = Parts(rounds, device_of(accelerator))
    torch.set_num_threads(1)
    trainer = {"accelerator": accelerator, "threads": 1}
    intervals = {name: {"every": ENDLESS} for name in ("SampleGrid", "SampleMetrics", "SaveEvery")}
    fit_recipe(name, parts, SETTINGS[name], trainer=trainer, callbacks=intervals)
    whole, seconds = parts.seconds["all"], parts.seconds
    alarms = seconds["alarms"]
    # The first of the alarms' two hooks runs within a round, so it is in both sums; it is short.
    rest = whole - seconds["rounds"] - alarms
    found = {
        "augmentation": seconds["augmentation"],
        "logging": seconds["logging"],
        "alarms": alarms,
        "loading, callbacks and loop": rest,
    }
    return {
        "milliseconds_per_round": round(1000 * whole / rounds, 2),
        **{part: round(time / whole, 4) for part, time in found.items()},
        "together": round(sum(found.values()) / whole, 4),
        "together_without_alarms": round((sum(found.values()) - alarms) / whole, 4),
    }


def benchmark(recipes: list[str] = list(SETTINGS), rounds: int = 500, accelerator: str = "cpu") -> dict[str, Any]:
    """Measure the shares of every recipe."""
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"rounds": rounds, "warm_up": WARM_UP},
        **machine(device_of(accelerator)),
        "shares": {name: shares(name, rounds, accelerator) for name in recipes},
    }


def main(**arguments: Any) -> None:
    """Measure what a run spends outside its networks: recipes=[dcgan_digits] rounds=500 accelerator=cpu."""
    checked = checked_arguments(benchmark, arguments)
    leave(benchmark(**checked), f"overhead_{device_of(checked['accelerator'])}")


if __name__ == "__main__":
    run_command("benchmarks.overhead", main)
