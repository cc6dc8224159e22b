"""What growing gradually saves: images a second at each stage of ProGAN, reading the data included.

    python benchmarks/growth.py [recipe=progan_digits width=0 batch_size=0 turns=3 seconds=2.0 accelerator=cpu]

The recipe's model and data, trained as `zoo.fit` trains it, with the clock set to the beginning of a stage; a fade is
measured where the new block has half its weight. Stages take turns; in a turn each trains for so many seconds, after
two rounds that are not counted. Reported is the median over turns; the number of images in a batch is the recipe's at
that resolution, or `batch_size` at all of them. `width` replaces the recipe's and lifts the limit on wide resolutions
(`width_base`), so that all blocks have this many channels.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from turns import Turns, device_of, leave, machine

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.config.recipe import Recipe
from zoo.errors import UserError
from zoo.runs.recipes import load_recipe
from zoo.training.hardware import choose_precision


class Pace(Callback):
    """Stops after so many seconds; counts images shown from the third round on.

    Args:
        seconds: of training.
        device: `cpu` or `cuda`.
    """

    def __init__(self, seconds: float, device: str) -> None:
        self.seconds, self.now = seconds, Turns(1, 1, {}, device).now
        self.rounds, self.images_per_second = 0, 0.0

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Look at the clock."""
        self.rounds += 1
        if self.rounds == 2:
            self.began, self.first = self.now()[0], model.images_seen
        elif self.rounds > 2 and (passed := self.now()[0] - self.began) >= self.seconds:
            if model.growth.at(self.first).resolution != model.growth.at(model.images_seen).resolution:
                raise UserError(
                    f"a stage of {model.growth.hold:,} images is over in {self.seconds} s; give less seconds"
                )
            self.images_per_second = (model.images_seen - self.first) / passed
            trainer.should_stop = True


def stages(growth: Any) -> dict[str, int]:
    """Where the clock stands in each stage: at its beginning, or in the middle of a fade."""
    places, seen, resolution = {}, 0, 4
    while True:
        places[f"{resolution}x{resolution}"] = seen
        if resolution == growth.resolution:
            return places
        resolution *= 2
        if growth.fade:
            places[f"{resolution}x{resolution}, fading in"] = seen + growth.hold + growth.fade // 2
        seen += growth.hold + growth.fade


def pace(recipe: Recipe, images_seen: int, seconds: float, accelerator: str) -> float:
    """Images a second of the recipe from a place of the clock on."""
    model, data = recipe.model.build(), recipe.data.build()
    model.images_seen = images_seen
    watch = Pace(seconds, device_of(accelerator))
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            accelerator=accelerator,
            devices=1,
            precision=recipe.trainer["precision"],
            max_epochs=-1,
            logger=False,
            callbacks=[watch],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        ).fit(model, datamodule=data)
    return watch.images_per_second


def benchmark(
    recipe: str = "progan_digits",
    width: int = 0,
    batch_size: int = 0,
    turns: int = 3,
    seconds: float = 2.0,
    accelerator: str = "cpu",
    precision: str = "auto",
) -> dict[str, Any]:
    """Measure all stages in turn.

    Args:
        recipe: name or path of a ProGAN's.
        width: most channels of a block; 0 for the recipe's widths.
        batch_size: at every resolution; 0 for the recipe's sizes.
        turns: of each stage.
        seconds: of a turn.
        accelerator: `cpu` or `gpu`.
        precision: as in recipes.
    """
    chosen = choose_precision({"accelerator": accelerator, "precision": precision})
    changes: dict[str, Any] = {"trainer": {"accelerator": accelerator, "precision": chosen}}
    if width:
        changes["model"] = {"width": width, "width_base": 1024 * width}
    if batch_size:
        changes["data"] = {"batch_size": batch_size}
    plan = load_recipe(recipe, changes)
    if plan.model.target is not zoo.ProGAN:
        raise UserError(f"only a ProGAN grows; {recipe} is a recipe of another model")
    places = stages(plan.model.build().growth)
    measured: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(turns):
        for name, seen in places.items():
            measured[name].append(pace(plan, seen, seconds, accelerator))
    speeds = {name: round(statistics.median(values), 1) for name, values in measured.items()}
    first, *_, last = speeds
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {
            "recipe": recipe,
            "width": plan.model.arguments["width"],
            "width_base": plan.model.arguments["width_base"],
            "batch_size": plan.data.arguments["batch_size"],
            "precision": chosen,
            "turns": turns,
            "seconds": seconds,
        },
        **machine(device_of(accelerator)),
        "images_per_second": speeds,
        "first_stage_relative_to_last": round(speeds[first] / speeds[last], 1),
        "range_over_turns": [round(f(a / b for a, b in zip(measured[first], measured[last])), 1) for f in (min, max)],
    }


def main(**words: Any) -> None:
    """Measure the stages of a ProGAN: recipe=progan_digits width=0 batch_size=0 turns=3 seconds=2.0."""
    arguments = checked_arguments(benchmark, words)
    result = benchmark(**arguments)
    name = f"growth_{Path(arguments['recipe']).stem}_{arguments['accelerator']}"
    name += f"_width{arguments['width']}" if arguments["width"] else ""
    leave(result, name)


if __name__ == "__main__":
    run_command("benchmarks.growth", main)
