"""What do the ideas of the gallery (`examples/ideas`) change, each against its own parent, at an equal budget?

    python studies/ideas.py [ideas=[lsgan,pacgan] seeds=[0,1,2] images=200000 root=data]

Protocol. Fashion-MNIST at 32 px, with classes or without as the idea's paper has it. Every idea and every parent sees
`images` real images in batches of 32, at the settings of the parent's recipe (`dcgan_fashion` or `biggan_fashion`) but
for those that the idea itself prescribes (`IDEAS`); the learning rate falls to 0 over the run. Measured at the end, on
`n` samples of the averaged generator and as many held-out images: Fréchet distance in the features of effnet-lite0
(FD-effnet-lite0), and coverage (k=5). Images per second are those of the whole run, with alarms; they compare only
between runs on a machine that did nothing else, so the load is written beside them. Alarms are those that rang
(`warn`: training goes on). A run whose loss became infinite has no numbers, and says after how many images it ended.

Rows are written as they come; those that are there are not computed again.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rows import RESULTS, Rows, train_fully

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.runs.measuring import evaluate

ROOT = Path(__file__).resolve().parent.parent
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": {"every": 1_000_000_000, "keep": 1}, "Alarms": {}}


@dataclass(frozen=True)
class Variant:
    """A model of the study.

    Args:
        parent: name of the parent; empty for a parent.
        recipe: recipe, by name or path.
        model: settings of the model, beside those of the recipe.
    """

    parent: str
    recipe: str
    model: dict[str, Any] = field(default_factory=dict)


def of_dcgan(path: str, classes: bool, **model: Any) -> Variant:
    """A variant of DCGAN, with or without classes."""
    parent = "dcgan" if classes else "dcgan_without_classes"
    settings = {} if classes else {"num_classes": 0}
    return Variant(parent, "dcgan_fashion", {"class": f"examples.ideas.{path}", **settings, **model})


def of_biggan(path: str, **model: Any) -> Variant:
    """A variant of BigGAN, with classes."""
    return Variant("biggan", "biggan_fashion", {"class": f"examples.ideas.{path}", **model})


PARENTS = {
    "dcgan": Variant("", "dcgan_fashion"),
    "dcgan_without_classes": Variant("", "dcgan_fashion", {"num_classes": 0}),
    "biggan": Variant("", "biggan_fashion"),
}
IDEAS = {
    "lsgan": of_dcgan("lsgan.LSGAN", False),
    "sngan": of_dcgan("sngan.SNGAN", False, r1=0.0),
    "sagan": of_biggan(
        "sagan.SAGAN",
        attention=16,
        shared_dim=0,
        skip_latents=False,
        orthogonal=0.0,
        generator_lr=1e-4,
        betas=[0.0, 0.9],
    ),
    "acgan": of_dcgan("acgan.ACGAN", True),
    "reacgan": of_biggan("reacgan.ReACGAN"),
    "lecam": of_dcgan("lecam.LeCamGAN", True),
    "cr": of_dcgan("consistency.ConsistentGAN", True),
    "bcr": of_dcgan("consistency.ConsistentGAN", True, fake_consistency=10.0),
    "top_k": of_dcgan("top_k.TopKGAN", False),
    "pacgan": of_dcgan("pacgan.PacDCGAN", False),
    "infogan": of_dcgan("infogan.InfoGAN", False),
    "unrolled": of_dcgan("unrolled.UnrolledGAN", False),
    "logan": of_dcgan("logan.LOGAN", True),
    "projected": of_dcgan("projected.ProjectedGAN", False, r1=0.0),
    "fastgan": Variant("dcgan_without_classes", str(ROOT / "examples/ideas/fastgan_fashion.yaml")),
    "diffusion_gan": of_dcgan("diffusion_gan.DiffusionGAN", False),
}


def row(name: str, variant: Variant, seed: int, images: int, root: str, n: int) -> dict[str, Any]:
    """One run, measured."""
    about = {"idea": name, "parent": variant.parent, "seed": seed, "images": images}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        try:
            run = train_fully(
                variant.recipe,
                out=folder,
                seed=seed,
                images=images,
                model=variant.model,
                data={"root": root},
                callbacks=QUIET,
            )
        except zoo.NonFiniteLossError as error:
            return {**about, "ended": str(error)[:200], "alarms": alarms_of(folder)}
        measured = evaluate(
            str(folder),
            metrics=["fid", "prdc"],
            extractor="effnet-lite0",
            n=n,
            repeats=0,
            out=f"{scratch}/numbers.json",
        )
        numbers = {number.key: number.value for number in measured.rows[0]["numbers"]}
        return {
            **about,
            "fd": round(numbers["fid"], 2),
            "coverage": round(numbers["coverage"], 4),
            "images_per_second": round(images / run.seconds, 1),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "alarms": alarms_of(run.folder),
        }


def alarms_of(folder: Path) -> list[str]:
    """The alarms that rang in a run, in order."""
    path = folder / "alarms" / "events.jsonl"
    return [json.loads(line)["alarm"] for line in path.read_text().splitlines()] if path.exists() else []


def mean_and_deviation(rows: list[dict[str, Any]], key: str) -> str:
    """A column over the seeds, as text."""
    values = [one[key] for one in rows if key in one]
    deviation = f" ± {statistics.stdev(values):.3g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{deviation}" if values else "none"


def study(
    ideas: list[str] = [*PARENTS, *IDEAS],
    seeds: list[int] = [0, 1, 2],
    images: int = 200_000,
    root: str = "data",
    n: int = 10_000,
) -> None:
    """Compute the rows that are missing, and print all."""
    sys.path.insert(0, str(ROOT))  # the examples are no part of the package
    variants = PARENTS | IDEAS
    rows = Rows(RESULTS / "ideas.json", __doc__)
    for seed in seeds:
        for name in ideas:
            if not rows.has(idea=name, seed=seed, images=images):
                rows.leave([row(name, variants[name], seed, images, root, n)])
    for name, variant in variants.items():
        found = [one for one in rows if one["idea"] == name and one["images"] == images]
        if found:
            columns = {key: mean_and_deviation(found, key) for key in ("fd", "coverage", "images_per_second")}
            rang = sorted({alarm for one in found for alarm in one["alarms"]})
            print(f"{name} (of {variant.parent or 'itself'}), {len(found)} seeds: {columns}, alarms {rang or 'none'}")


def main(**words: Any) -> None:
    """Compare ideas with their parents: ideas=[lsgan,pacgan] seeds=[0,1,2] images=200000 root=data."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.ideas", main)
