"""Is a gradient penalty in bf16 as good as one in float32? The same runs with both, to the end.

    python studies/penalty_precision.py [recipes=[wgan_gp_digits,progan_digits] seeds=[0,1,2] keep=FOLDER]
    python studies/penalty_precision.py recipes=[wgan_gp_fashion] seeds=[0] root=FOLDER

Protocol: each recipe is trained at its full length in bf16-mixed, with `model.penalty_precision` float32 and mixed, one
thread (`r3gan_digits` with weights of R1 and R2 of 1, falling to 0.1). Measured on the averaged generator at the end:

- `fid`, `density`, `coverage` and others with 95 % intervals over random halves of the samples: of digits against all
  1,618 training images (there are only 179 held-out ones) in the features of the digit classifier, of Fashion-MNIST
  against 5,000 held-out images in those of effnet-lite0; `floor` is the value of two sets of real images;
- `readable`, `rarest_class`, `class_asked_for` as in `readable_digits.py`, for digits;
- `alarms`: the alarms that the run raised; `seconds`: processor time of the training.

FOLDER of `root` has Fashion-MNIST in torchvision's layout. Rows are written as they come; those that are there are not
computed again. A grid of each run lies beside the results.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from readable_digits import judge, readability
from rows import RESULTS, Rows, train_fully

import zoo
from zoo.alarms.records import read_jsonl
from zoo.config.command_line import checked_arguments, run_command
from zoo.evaluate import evaluate
from zoo.evaluation.numbers import Number
from zoo.rendering import pictures
from zoo.runs.recipes import load_recipe

NAME = "penalty_precision"
PRECISIONS = ("float32", "mixed")
WEIGHTS = {"r3gan_digits": {"r1": 1.0, "r2": 1.0, "penalty_final": 0.1}}
"""Settings of a recipe before the study of their strength, with which its rows were trained."""
QUIET = {"SampleGrid": None, "SampleMetrics": None, "Alarms": {}}


def study(
    recipes: list[str] = ["wgan_gp_digits", "progan_digits"],
    seeds: list[int] = [0, 1, 2],
    root: str = "",
    images: int = 0,
    keep: str = "",
    out: str = "",
) -> None:
    """Train and measure what is not there yet.

    Args:
        recipes: recipes whose objective has a gradient penalty.
        seeds: training seeds.
        root: folder of Fashion-MNIST, for recipes on it.
        images: length of the runs; 0 for that of the recipe.
        keep: folder that keeps the runs; empty for none.
        out: folder of the results; empty for that of the studies.
    """
    place = Path(out or RESULTS)
    rows = Rows(place / f"{NAME}.json", __doc__)
    for seed in seeds:
        for recipe in recipes:
            for precision in PRECISIONS:
                if not rows.has(recipe=recipe, seed=seed, penalty_precision=precision):
                    row = trained(recipe, seed, precision, root, images, keep, place)
                    rows.leave([row])
                    print(json.dumps(row), flush=True)


def trained(recipe: str, seed: int, precision: str, root: str, images: int, keep: str, place: Path) -> dict[str, Any]:
    """Train one run and return its row; its grid is written into `place`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(keep or scratch) / f"{recipe}-{precision}-{seed}"
        settings: dict[str, Any] = {
            "seed": seed,
            "model": {"penalty_precision": precision, **WEIGHTS.get(recipe, {})},
            "trainer": {"precision": "bf16-mixed", "threads": 1},
            "callbacks": QUIET,
            **({"data": {"root": root, "download": False}} if root else {}),
            **({"images": images} if images else {}),
        }
        start = time.process_time()
        run = train_fully(recipe, out=folder, **settings)
        seconds = time.process_time() - start
        against: dict[str, Any] = {"split": "held_out", "n": 5_000} if root else {"split": "train"}
        measured = evaluate(checkpoint=str(folder), metrics="fid,prdc", out=f"{folder}.json", **against)
        alarms = [event["alarm"] for event in read_jsonl(folder / "alarms" / "events.jsonl")]
    pictures.save(pictures.grid(run.model.sample(64, seed=1), 8), place / f"{NAME}_{recipe}_{precision}_{seed}.png")
    return {
        "recipe": recipe,
        "seed": seed,
        "penalty_precision": precision,
        "images": run.model.images_seen,
        "seconds": round(seconds, 1),
        **{number.key: summary(number) for number in measured.rows[0]["numbers"]},
        **({} if root else readable(run.model, recipe)),
        "alarms": alarms,
    }


def summary(number: Number) -> dict[str, float | None]:
    """Return the value of a number, its 95 % interval, and that of training images."""
    found = {"value": number.value, "low": number.low, "high": number.high, "floor": number.floor}
    return {key: None if value is None else round(value, 4) for key, value in found.items()}


def readable(model: zoo.GAN, recipe: str) -> dict[str, float]:
    """Judge the digits of a model by a classifier of its size."""
    network, _ = judge(load_recipe(recipe).model.arguments["resolution"])
    return readability(model, network)


def main(**words: Any) -> None:
    """Compare penalties in float32 and in bf16: recipes=[wgan_gp_digits] seeds=[0,1,2] root=FOLDER keep=FOLDER."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.penalty_precision", main)
