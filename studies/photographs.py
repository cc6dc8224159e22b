"""How good is `recipe=photos` after a few hours on one CPU core, against the settings of `dcgan_celeba`?

    python studies/photographs.py photos=FOLDER [hours=3 kinds=[photos,dcgan_celeba] seeds=[0]]

Protocol. FOLDER has 15,000 photographs of 64 px, a third of which are trained on; the others are held out. Both kinds
train for the same hours, on one thread of the same machine, which should have a core free for each; `hours` becomes a
number of images by a measurement at the start. `photos` plans the rest from the images and the machine; `dcgan_celeba`
is that recipe on this folder. A checkpoint is saved every `minutes`. Afterwards, outside the hours, each checkpoint is
measured by its averaged generator: Fréchet distance in the features of effnet-lite0 and coverage (k = 5) of `SAMPLES`
samples against as many held-out images, beside those of as many training images.

A run that was stopped goes on when the study is called again. Rows are written as they come; those that are there are
not computed again. A grid of the last samples of each run lies beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from measured import features, images_of, likeness
from rows import RESULTS, Rows

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.io.files import read_jsonl
from zoo.io.run_folder import checkpoints_in
from zoo.rendering import pictures
from zoo.runs.recipes import load_recipe

NAME, SAMPLES = "photographs", 5_000
KINDS = ("photos", "dcgan_celeba")


def trained(kind: str, photos: str, hours: float, seed: int, minutes: float, folder: Path) -> Path:
    """Return the folder of a run that has reached its length, which is started, continued or only read."""
    if checkpoints_in(folder):
        run = zoo.fit(resume=folder)
    else:
        run = zoo.fit(
            kind,
            out=folder,
            hours=hours,
            seed=seed,
            model={"resolution": 64},
            data={"class": "Folder", "root": photos, "held_out": 2 / 3, "flip": True},
            trainer={"accelerator": "cpu", "threads": 1},
            callbacks={"SampleMetrics": None, "SaveEvery": {"every": 10**9, "keep": 1_000, "minutes": minutes}},
        )
    if run.stopped_by:
        raise UserError(f"the run {folder} was stopped before its end. Call the study again to go on")
    return folder


@torch.no_grad()
def measured(folder: Path, grid: Path) -> dict[str, Any]:
    """Return what the checkpoints of a run reach, the last one last, and draw the last samples."""
    source = load_recipe(folder / "recipe.yaml").data.build()
    source.setup()
    count = min(SAMPLES, len(source.train), len(source.held_out))
    real, of_training = (features(images_of(part, count)) for part in (source.held_out, source.train))
    course = []
    for checkpoint in reversed(checkpoints_in(folder)):
        model = zoo.load_run(checkpoint).eval()
        samples = torch.cat([model.sample(500, seed=1_000 + i) for i in range(-(-count // 500))])[:count]
        course.append({"images": model.images_seen, **likeness(real, features(samples))})
    pictures.save(pictures.grid(samples[:100], 10), grid)
    return {"of_training_images": likeness(real, of_training), "samples": count, "course": course, **course[-1]}


def row(kind: str, photos: str, hours: float, seed: int, minutes: float, runs: Path, out: Path) -> dict[str, Any]:
    """Train and measure once."""
    folder = trained(kind, photos, hours, seed, minutes, runs / f"{kind}-{hours:g}h-seed{seed}")
    spent = sum(line["seconds"] for line in read_jsonl(folder / "ends.jsonl"))
    model = yaml.safe_load((folder / "recipe.yaml").read_text())["model"]
    found = {"kind": kind, "hours": hours, "seed": seed, "trained_hours": round(spent / 3600, 3), "model": model}
    return found | measured(folder, out / f"{NAME}_{kind}_{hours:g}h_{seed}.png")


def study(
    photos: str,
    kinds: list[str] = list(KINDS),
    hours: float = 3.0,
    seeds: list[int] = [0],
    minutes: float = 20.0,
    runs: str = "runs/photographs",
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print all.

    Args:
        photos: folder of the photographs.
        kinds: recipes.
        hours: length of a run.
        seeds: training seeds.
        minutes: time between two checkpoints.
        runs: folder of the run folders, which are kept.
        out: folder of the results.
    """
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    for seed in seeds:
        for kind in kinds:
            if not rows.has(kind=kind, hours=hours, seed=seed):
                rows.leave([row(kind, photos, hours, seed, minutes, Path(runs), Path(out))])
    for r in rows:
        course = ", ".join(f"{c['images']:,}: {c['fd']:g}" for c in r["course"])
        print(f"{r['kind']} {r['hours']:g} h, seed {r['seed']}: FD {r['fd']}, coverage {r['coverage']:.3f} ({course})")


def main(**words: Any) -> None:
    """Compare recipe=photos and dcgan_celeba: photos=FOLDER hours=3 kinds=[photos] seeds=[0] runs=FOLDER out=FOLDER."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.photographs", main)
