"""Several programs take turns in one run, so that other work on the machine hits all of them alike."""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

import zoo

Play = Callable[[int], tuple[float, float] | None]
"""Plays so many rounds; returns the seconds of the clock and of the processor if another process played them."""

RESULTS = Path(__file__).parent / "results"
SMALL_RECIPES: dict[str, dict[str, Any]] = {
    "dcgan_digits": {},
    "wgan_gp_digits": {},
    "biggan_digits": {},
    "progan_digits at 4 px": {},
    "progan_digits at 32 px": {"hold_images": 100, "fade_images": 0},
}
"""Settings of the model by the name of a case, whose first word is the recipe."""
ENDLESS = 10**9
"""Images that no benchmark reaches."""


class Loader:
    """An endless row of prepared batches: float images in [-1, 1], or pairs of such and labels."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Any:
        while True:
            yield from self.batches


class Turns(Callback):
    """Gives the opponents their turns between those of the zoo, and keeps the times.

    Args:
        rounds: in a turn; a multiple of the model's `critic_steps`.
        turns: counted ones; one more comes before, to warm up.
        opponents: by name.
        device: `cpu` or `cuda`.
    """

    def __init__(self, rounds: int, turns: int, opponents: dict[str, Play], device: str) -> None:
        self.rounds, self.turns, self.opponents, self.device = rounds, turns, opponents, device
        self.seconds: list[dict[str, float]] = []
        self.processor_seconds: list[dict[str, float]] = []

    def now(self) -> tuple[float, float]:
        """Seconds of the clock and of the processor, over all threads, after all work so far is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def since(self, began: tuple[float, float]) -> tuple[float, float]:
        """Seconds of both clocks since a moment."""
        wall, processor = self.now()
        return wall - began[0], processor - began[1]

    def on_train_start(self, *args: Any) -> None:
        """Start the zoo's first turn."""
        self.began = self.now()

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """After the zoo's turn, let the others play theirs."""
        if model.rounds % self.rounds:
            return
        taken = {"zoo": self.since(self.began)}
        for name, play in self.opponents.items():
            began = self.now()
            taken[name] = play(self.rounds) or self.since(began)
        self.seconds.append({name: wall for name, (wall, _) in taken.items()})
        self.processor_seconds.append({name: processor for name, (_, processor) in taken.items()})
        trainer.should_stop = len(self.seconds) > self.turns  # the first turn warms up
        self.began = self.now()

    def report(self) -> dict[str, Any]:
        """Milliseconds of a round, and how many times faster the zoo is: medians over turns and their range."""
        counted = self.seconds[1:]
        names = list(self.opponents)

        def ratios(turns: list[dict[str, float]], name: str) -> list[float]:
            return [turn[name] / turn["zoo"] for turn in turns]

        result: dict[str, Any] = {
            "milliseconds_per_round": {
                name: round(1000 * statistics.median(turn[name] for turn in counted) / self.rounds, 2)
                for name in counted[0]
            },
            "speed_of_the_zoo_relative_to": {
                name: round(statistics.median(ratios(counted, name)), 3) for name in names
            },
            "range_over_turns": {name: [round(f(ratios(counted, name)), 3) for f in (min, max)] for name in names},
        }
        if self.device == "cpu":
            result["in_processor_seconds"] = {
                name: round(statistics.median(ratios(self.processor_seconds[1:], name)), 3) for name in names
            }
        return result


def batches_for(model: zoo.GAN, count: int, batch_size: int, resolution: int = 0) -> list[Any]:
    """Random images in the zoo's memory format and, if the model has classes, labels; else None.

    Args:
        model: that is to be trained on them.
        count: of batches.
        batch_size: of each.
        resolution: of the images; 0 for the model's.
    """
    generator = torch.Generator().manual_seed(1)
    size = resolution or model.resolution
    shape = (batch_size, model.channels, size, size)
    device, rows = model.device, []
    for _ in range(count):
        images = (torch.rand(shape, generator=generator) * 2 - 1).to(device, memory_format=torch.channels_last)
        labels = torch.randint(model.num_classes or 1, (batch_size,), generator=generator).to(device)
        rows.append((images, labels if model.num_classes else None))
    return rows


def fit(model: zoo.GAN, batches: Sequence[Any], precision: str, accelerator: str, *callbacks: Callback) -> None:
    """Train with a plain Lightning Trainer until a callback says stop."""
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            accelerator=accelerator,
            devices=1,
            precision=precision,
            max_epochs=-1,
            logger=False,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        ).fit(model, Loader(batches))


def fit_recipe(case: str, callback: Callback, model: dict[str, Any], **sections: dict[str, Any]) -> str:
    """Train by a recipe and its callbacks until a further callback says stop; return the precision.

    Args:
        case: text whose first word is the recipe.
        callback: the callback that measures, which comes before the recipe's.
        model: settings of the model in place of the recipe's.
        sections: further sections of the recipe with settings, such as `trainer` and `callbacks`.
    """
    import zoo.runs.planning  # not at the top: an older version beside which the zoo is measured has no such module

    with tempfile.TemporaryDirectory() as folder:
        overrides = {"images": ENDLESS, "model": model, **sections}
        plan = zoo.runs.planning.plan_run(case.split(" ")[0], out=folder, overrides=overrides)
        trainer = plan._trainer([callback, *(part.build() for part in plan.recipe.callbacks.values())], 0)
        torch.manual_seed(plan.recipe.seed)
        data, network = plan.recipe.data.build(), plan.recipe.model.build()
        trainer.fit(network, datamodule=data)
    return str(plan.recipe.trainer["precision"])


def leave(result: dict[str, Any], name: str) -> None:
    """Print a result without its protocol, and write all of it to `results/NAME.json`."""
    print(json.dumps({key: value for key, value in result.items() if key != "protocol"}, indent=2))
    write(result, name)


def write(result: dict[str, Any], name: str) -> None:
    """Write a result to `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def device_of(accelerator: str) -> str:
    """Name of torch's device."""
    return "cuda" if accelerator in ("gpu", "cuda") else "cpu"


def bf16_unit() -> str:
    """What computes bf16 on this processor; `ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16` leaves the tiles out."""
    has, limit = torch.cpu.get_capabilities(), os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    if has.get("amx_bf16") and (not limit or "AMX" in limit):
        return "AMX tiles"
    return "AVX-512" if has.get("avx512_bf16") else "emulation"


def machine(device: str) -> dict[str, Any]:
    """What the times depend on."""
    host = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, bf16 by {bf16_unit()}"
    return {
        "machine": host if device == "cpu" else torch.cuda.get_device_name(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "torch": torch.__version__,
    }
