"""What do the ideas of the gallery (`examples/ideas`) change, each against its own parent, at an equal budget?

    python studies/ideas.py root=FOLDER [ideas=[lsgan,pacgan] seeds=[0,1,2] images=60000]
    python studies/ideas.py train=false         # the table alone

Protocol. Fashion-MNIST at 32 px, with classes or without as the idea's paper has it. Every idea and every parent sees
`images` real images in batches of 32, at the settings of the parent's recipe (`dcgan_fashion` or `biggan_fashion`) but
for those that the idea itself prescribes (`IDEAS`); DCGAN's learning rate falls to 0 over the run. `relativistic` has
no file: it is DCGAN with the relativistic loss, R1 and R2 of the library. Measured at the end, on `n` samples of
the averaged generator and as many held-out images: Fréchet distance in the features of effnet-lite0 (FD-effnet-lite0),
and coverage (k=5). Alarms are those that rang (`warn`: training goes on). What an image costs beside the parent's is
measured by `idea_costs.py`; the images per second of the rows compare only between runs on an idle machine.
A run whose loss became infinite has no numbers, and says after how many images it ended.

Rows are written as they come; those that are there are not computed again. The first samples of seed 0 lie beside them;
the table of the committed results, and the samples, are written into `examples/README.md`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rows import RESULTS, Rows, train_fully
from tables import markdown, mean_and_deviation

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.rendering import pictures
from zoo.runs.measuring import evaluate

ROOT = Path(__file__).resolve().parent.parent
NAME = "ideas"
PAGE = ROOT / "examples" / "README.md"
COSTS = RESULTS / "idea_costs.json"
BEGIN, END = "<!-- ideas begin: python studies/ideas.py train=false -->", "<!-- ideas end -->"
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


def of_sngan(path: str, **model: Any) -> Variant:
    """A variant of SNGAN, itself an idea, without classes."""
    return replace(of_dcgan(path, False, r1=0.0, **model), parent="sngan")


def of_biggan(path: str, **model: Any) -> Variant:
    """A variant of BigGAN, with classes."""
    return Variant("biggan", "biggan_fashion", {"class": f"examples.ideas.{path}", **model})


FASTGAN = str(ROOT / "examples/ideas/fastgan_fashion.yaml")
RELATIVISTIC: dict[str, Any] = {"objective": "relativistic", "r1": 0.2, "r2": 0.2}
PARENTS = {
    "dcgan": Variant("", "dcgan_fashion"),
    "dcgan_without_classes": Variant("", "dcgan_fashion", {"num_classes": 0}),
    "biggan": Variant("", "biggan_fashion"),
}
IDEAS = {
    "relativistic": Variant("dcgan", "dcgan_fashion", RELATIVISTIC),
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
    "cr": of_sngan("consistency.ConsistentGAN"),
    "bcr": of_sngan("consistency.ConsistentGAN", fake_consistency=10.0),
    "top_k": of_dcgan("top_k.TopKGAN", False, epoch=430),  # so that the share falls to a half within the run
    "pacgan": of_dcgan("pacgan.PacDCGAN", False),
    "infogan": of_dcgan("infogan.InfoGAN", False),
    "unrolled": of_dcgan("unrolled.UnrolledGAN", False),
    "logan": of_dcgan("logan.LOGAN", True),
    "fastgan": Variant("dcgan_without_classes", FASTGAN),
    "projected": Variant(
        "fastgan",
        FASTGAN,
        {
            "class": "examples.ideas.projected.ProjectedGAN",
            "generator_lr": 2e-4,
            "discriminator_lr": 2e-4,
            "betas": [0.0, 0.99],
            "augment": ["color", "translation", "cutout"],
        },
    ),
    "diffusion_gan": of_dcgan("diffusion_gan.DiffusionGAN", False),
}


def row(name: str, variant: Variant, seed: int, images: int, root: str, n: int, out: Path) -> dict[str, Any]:
    """Train once and measure; the picture of seed 0 goes beside the results."""
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
        if seed == 0:
            samples = run.model.eval().cpu().sample(40, seed=0)
            pictures.save(pictures.grid(samples, 20), out / f"{NAME}_{name}.png")
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


def table(rows: list[dict[str, Any]], images: int, costs: dict[str, Any]) -> list[str]:
    """Return the lines of a table: each parent above its ideas, which are compared with it seed by seed.

    Args:
        rows: rows of the study.
        images: images that a model of the table saw.
        costs: what an image costs in each idea, see `idea_costs.py`.
    """
    heads = ["model", "seeds", "FD-effnet-lite0", "less its parent's, same seed", "coverage", "cost", "alarms in"]
    lines = []
    for parent in dict.fromkeys((*PARENTS, *(variant.parent for variant in IDEAS.values()))):
        fd = {r["seed"]: r["fd"] for r in rows if (r["idea"], r["images"]) == (parent, images) and "fd" in r}
        ideas = [idea for idea, variant in IDEAS.items() if variant.parent == parent]
        if parent in IDEAS and not any(r["idea"] in ideas and r["images"] == images for r in rows):
            continue  # it stands below its own parent already
        for name in (parent, *ideas):
            own = [r for r in rows if (r["idea"], r["images"]) == (name, images)]
            ended = [r for r in own if "fd" in r]
            if not own:
                continue
            paired = [r["fd"] - fd[r["seed"]] for r in ended if r["seed"] in fd] if name != parent else []
            rang = Counter(alarm for r in own for alarm in set(r["alarms"]))
            alarms = [f"{alarm} in {count} of {len(own)}" for alarm, count in sorted(rang.items())]
            alarms += [f"not finite in {len(own) - len(ended)} of {len(own)}"] if len(ended) < len(own) else []
            cells = [
                mean_and_deviation([r["fd"] for r in ended], "{:.0f}"),
                mean_and_deviation(paired, "{:+.0f}").replace("± +", "± "),
                mean_and_deviation([r["coverage"] for r in ended], "{:.2f}"),
                f"{costs[name]['of_parent']:.2g}x" if name in costs and name != parent else "",
            ]
            shown = f"**`{name}`**" if name == parent else f"`{name}`"
            lines.append([shown, str(len(own)), *cells, ", ".join(alarms) or "none"])
    return markdown(heads, lines)


def grids(folder: Path) -> list[str]:
    """Return the lines of a table with the first samples of every model that has a picture in the results."""
    names = [name for name in (*PARENTS, *IDEAS) if (folder / f"{NAME}_{name}.png").exists()]
    cells = [(f"`{name}`", f"![samples of {name}](../studies/results/{NAME}_{name}.png)") for name in names]
    return markdown(["model", "samples"], cells)


def study(
    ideas: list[str] = [*PARENTS, *IDEAS],
    seeds: list[int] = [0, 1, 2],
    images: int = 60_000,
    root: str = "data",
    n: int = 5_000,
    out: str = str(RESULTS),
    train: bool = True,
    collect: list[str] = [],
) -> None:
    """Compute the rows that are missing, write and print the table.

    Args:
        ideas: names of ideas and parents.
        seeds: seeds of weights, latents and order.
        images: real images that each model sees.
        root: folder that contains Fashion-MNIST in torchvision's layout.
        n: number of samples, and of held-out images.
        out: folder of the results and pictures.
        train: whether to train; False only writes the table.
        collect: results files of other calls, whose rows are added first.
    """
    sys.path.insert(0, str(ROOT))  # the examples are no part of the package
    variants = PARENTS | IDEAS
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    rows.collect(collect, ("idea", "seed", "images"))
    for seed in seeds if train else ():
        for name in ideas:
            if not rows.has(idea=name, seed=seed, images=images):
                rows.leave([row(name, variants[name], seed, images, root, n, Path(out))])
                print(rows[-1], flush=True)
    costs = json.loads(COSTS.read_text())["costs"] if COSTS.exists() else {}
    samples = ["", "Samples of seed 0, by the average of the generator:", "", *grids(Path(out))]
    rows.show([*table(rows, images, costs), *samples], PAGE, BEGIN, END)


def main(**words: Any) -> None:
    """Compare ideas with their parents: ideas=[lsgan,pacgan] seeds=[0,1,2] images=60000 root=FOLDER out=FOLDER."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
