"""Rounds whose convolutions of small maps are products of matrices, against rounds by torch's convolutions alone.

    python benchmarks/small_maps.py [rows=dcgan_64,progan_4x4 rounds=12]

Protocol: a model trains on random images in bf16-mixed, one thread. The functions `by_patches_is_faster` and
`product_of_one_position` of `zoo.layers.convolution` are as they are in every second round and say no in the others, so
both ways share weights, memory and whatever else the machine does. The first round of each way warms up. Written: the
median processor time of a round, and the ratio of the medians; above 1 the products of matrices are faster.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from turns import batches_for, fit, leave, machine

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.layers import convolution

GROWN, SMALLEST = {"hold_images": 1}, {"hold_images": 10**9}
PROGAN: dict[str, Any] = {"resolution": 32, "latent_dim": 128, "width": 128, "fade_images": 0}
ROWS: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "dcgan_64": ("DCGAN", {"resolution": 64, "width": 64}, 64, 64),
    "dcgan_32": ("DCGAN", {"resolution": 32, "width": 64}, 64, 32),
    "biggan_32": ("BigGAN", {"resolution": 32, "width": 64, "num_classes": 10, "critic_steps": 1}, 8, 32),
    "progan_32": ("ProGAN", {**PROGAN, **GROWN}, 16, 32),
    "progan_4x4": ("ProGAN", {**PROGAN, **SMALLEST}, 16, 4),
}
"""Class, settings, batch size and resolution of each row."""
WAYS = ("torch", "products")


class Alternating(Callback):
    """Switches the way of every second round, and measures the processor time of each round.

    Args:
        rounds: rounds to measure each way, after the first.
    """

    def __init__(self, rounds: int) -> None:
        self.rounds, self.own = rounds, (convolution.by_patches_is_faster, convolution.product_of_one_position)
        self.times: dict[str, list[float]] = {way: [] for way in WAYS}

    def on_train_batch_start(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Set the way of this round."""
        self.set_functions(*(self.own if model.rounds % 2 else (lambda *_: False, lambda *_: None)))
        self.began = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Keep the time of this round; end after the last."""
        self.times[WAYS[1 - model.rounds % 2]].append(time.process_time() - self.began)
        trainer.should_stop = len(self.times[WAYS[1]]) > self.rounds

    def on_train_end(self, *args: Any) -> None:
        """Leave the module as it was."""
        self.set_functions(*self.own)

    def set_functions(self, by_patches: Any, of_one_position: Any) -> None:
        """Replace the two functions of the library that choose a product of matrices."""
        convolution.by_patches_is_faster, convolution.product_of_one_position = by_patches, of_one_position


def measure(name: str, rounds: int) -> dict[str, float]:
    """Train a row's model, and return milliseconds of a round each way and their ratio."""
    kind, settings, batch_size, resolution = ROWS[name]
    torch.manual_seed(0)
    model = getattr(zoo, kind)(**settings)
    if kind == "ProGAN":
        model.set_clock(10**6)
    batches = batches_for(model, 4, batch_size, resolution)
    alternating = Alternating(rounds)
    fit(model, [b if b[1] is not None else b[0] for b in batches], "bf16-mixed", "cpu", alternating)
    found = {way: 1000 * statistics.median(times[1:]) for way, times in alternating.times.items()}
    return {
        **{way: round(value, 1) for way, value in found.items()},
        "ratio": round(found["torch"] / found["products"], 3),
    }


def benchmark(rows: str = "all", rounds: int = 12) -> dict[str, Any]:
    """Measure rows, and print them.

    Args:
        rows: names of `ROWS`, joined by commas, or `all`.
        rounds: rounds that are measured each way.
    """
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in list(ROWS) if rows == "all" else rows.split(","):
        found[name] = measure(name, rounds)
        print(name, found[name], flush=True)
    return {"protocol": (__doc__ or "").strip(), "settings": {"rounds": rounds}, **machine("cpu"), "rows": found}


def main(**words: Any) -> None:
    """Compare products of matrices with torch's convolutions of small maps: rows=dcgan_64,progan_4x4 rounds=12."""
    leave(benchmark(**checked_arguments(benchmark, words)), "small_maps_cpu")


if __name__ == "__main__":
    run_command("benchmarks.small_maps", main)
