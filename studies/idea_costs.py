"""What does an image cost in each idea of the gallery (`examples/ideas`), beside its parent?

    python studies/idea_costs.py [ideas=[lsgan,pacgan] turns=5]

Protocol. The models of `studies/ideas.py` train on random images in batches of 32, one thread, in the precision that a
run would have. Parent and idea play in turns of a few rounds, so that other work on the machine hits both alike; the
first turn of each warms up. Counted is processor time: the median over the turns, and its ratio to the parent's.

Written to `results/idea_costs.json`; the table of `studies/ideas.py` has the ratios.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from ideas import COSTS, IDEAS, PARENTS, ROOT, Variant
from pytorch_lightning import Callback, Trainer

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.io.files import atomic_write
from zoo.runs.recipes import load_recipe
from zoo.training.hardware import choose_precision

BATCH, ROUNDS = 32, 4
"""Images of a batch, and rounds of a turn, a multiple of the discriminator's steps of every model."""


class Turn(Callback):
    """Ends a fit after the rounds of a turn, and measures the processor time of all but the first few."""

    def __init__(self) -> None:
        self.played, self.seconds = 0, 0.0

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Count a round; the first turn's worth of rounds of a fit is not measured."""
        self.played += 1
        if self.played == ROUNDS:
            self.began = time.process_time()
        if self.played == 2 * ROUNDS:
            self.seconds = time.process_time() - self.began
            trainer.should_stop = True


class Model:
    """A model of the study that plays in turns.

    Args:
        variant: parent or idea.
    """

    def __init__(self, variant: Variant) -> None:
        recipe = load_recipe(variant.recipe, {"model": variant.model, "data": {"root": "data"}})
        torch.manual_seed(0)
        self.model: zoo.GAN = recipe.model.build()
        self.precision = choose_precision(recipe.trainer)
        self.milliseconds: list[float] = []

    def batches(self) -> Iterator[zoo.Batch]:
        """Yield random images (B, C, H, W), with classes where the model has them."""
        draw = torch.Generator().manual_seed(1)
        shape = (BATCH, self.model.channels, self.model.resolution, self.model.resolution)
        while True:
            images = (torch.rand(shape, generator=draw) * 2 - 1).contiguous(memory_format=torch.channels_last)
            classes = self.model.num_classes
            yield zoo.Batch(images, torch.randint(classes, (BATCH,), generator=draw) if classes else None)

    def play(self) -> None:
        """Play a turn, and keep the milliseconds of an image."""
        turn = Turn()
        options: dict[str, Any] = {
            "precision": self.precision,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        Trainer(accelerator="cpu", max_epochs=1, callbacks=[turn], **options).fit(self.model, Endless(self))
        self.milliseconds.append(1000 * turn.seconds / (ROUNDS * BATCH))


class Endless:
    """Loader without an end."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __iter__(self) -> Iterator[zoo.Batch]:
        return self.model.batches()


def study(ideas: list[str] = list(IDEAS), turns: int = 5) -> None:
    """Measure ideas beside their parents, write and print the costs.

    Args:
        ideas: names of ideas.
        turns: counted turns of each model.
    """
    sys.path.insert(0, str(ROOT))  # the examples are no part of the package
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(COSTS.read_text()) if COSTS.exists() else {}
    costs: dict[str, Any] = found.get("costs", {})
    for name in ideas:
        parent = IDEAS[name].parent
        models = [Model({**PARENTS, **IDEAS}[each]) for each in (parent, name)]
        for _ in range(turns + 1):
            for model in models:
                model.play()
        of_parent, own = (statistics.median(model.milliseconds[1:]) for model in models)
        costs[name] = {"parent": parent, "milliseconds": round(own, 2), "of_parent": round(own / of_parent, 2)}
        print(name, costs[name], flush=True)
        about = {"protocol": (__doc__ or "").strip(), "torch": torch.__version__, "load_average": os.getloadavg()}
        with atomic_write(COSTS) as path:
            path.write_text(json.dumps({**about, "costs": costs}, indent=1) + "\n")


def main(**words: Any) -> None:
    """Measure what ideas cost beside their parents: ideas=[lsgan,pacgan] turns=5."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.idea_costs", main)
