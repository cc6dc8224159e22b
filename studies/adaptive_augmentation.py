"""What does adaptive augmentation (ADA) do for a GAN that has 500 images? Against none, and a fixed one.

    python studies/adaptive_augmentation.py emoji=PNG_FOLDER faces=JPEG_FOLDER [seeds=[0,1,2] images=160000]
    python studies/adaptive_augmentation.py             # the table alone

Protocol. DCGAN at 32 px in colour (width 16, 4x4 kernels, non-saturating loss, Adam at 2e-4, batches of 64) on 500
training images of two kinds, each shown 320 times:

- *emoji*: Noto emoji (the folder png/128 of the fonts) without skin tones and joined sequences, 35 % of them;
- *faces*: a thirtieth of 15,000 faces of 64 px, mirrored at random; the others are held out.

`augment` is empty, `color,translation,cutout` (DiffAugment, on every image), or `adaptive` with `ada_speed=50000`,
since the run is short: the authors' 500,000 are a fiftieth of theirs. Measured at the end, the generator by its moving
average:

- `gap`: AUC of the discriminator's scores of training images over held-out ones, 0.5 for a discriminator that knows no
  image by heart and 1 for one that knows them all. Images are scored as in training: augmented, in training mode, in
  batches of 64 of one kind; `gap_plain`: without augmentation;
- `fd`, `coverage`: Fréchet distance (features of effnet-lite0) and coverage (k = 5) of 2,000 samples against up to
  2,000 held-out images, with those of the training images beside them;
- `p`, `r_t`: the course of the adaptive strength.

Rows are written as they come; those that are there are not computed again. A grid of each run lies beside them; the
table of the committed results is written into `README.md`.
"""

from __future__ import annotations

import csv
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from measured import features, images_of, likeness, scores
from rows import RESULTS, Rows, train_fully
from tables import markdown, mean_and_deviation, mean_and_range

from zoo.audit.statistics.significance import auc
from zoo.config.command_line import checked_arguments, run_command
from zoo.rendering import pictures

NAME = "adaptive_augmentation"
PAGE = RESULTS.parent / "README.md"
BEGIN, END = f"<!-- augmentation begin: python studies/{NAME}.py -->", "<!-- augmentation end -->"
KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "fixed": ("color", "translation", "cutout"),
    "adaptive": ("adaptive",),
}
SAMPLES = 2_000
MODEL: dict[str, Any] = {
    "class": "DCGAN",
    "resolution": 32,
    "channels": 3,
    "latent_dim": 64,
    "width": 16,
    "kernel_size": 4,
    "num_classes": 0,
    "ada_speed": 50_000,
}
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": None}


def source(name: str, root: str) -> dict[str, Any]:
    """Settings of the data."""
    without_variants = {"match": "^(?!.*(1f3f[b-f]|200d))"} if name == "emoji" else {}
    share = {"emoji": 0.65, "faces": 29 / 30}[name]
    return {"class": "Folder", "root": root, "held_out": share, "flip": name == "faces", **without_variants}


def row(data: str, root: str, kind: str, seed: int, images: int, grid: Path) -> dict[str, Any]:
    """One run, measured."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = train_fully(
            "dcgan_digits",
            out=folder,
            seed=seed,
            images=images,
            model={**MODEL, "augment": list(KINDS[kind])},
            data=source(data, root),
            callbacks=QUIET,
            trainer={"accelerator": "cpu", "threads": 1},
        )
        with open(run.folder / "metrics.csv") as file:
            course = [{k: float(v) for k, v in line.items() if v} for line in csv.DictReader(file)]
    trained = time.monotonic() - began
    source_of = run.recipe.data.build()
    source_of.setup()
    model = run.model.eval()
    train, held_out = images_of(source_of.train, SAMPLES), images_of(source_of.held_out, SAMPLES)
    samples = model.sample(SAMPLES, seed=1)
    grid.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(samples[:64], 8), grid)
    found = {part: scores(model, images, True) for part, images in {"train": train, "held_out": held_out}.items()}
    plain = {part: scores(model, images, False) for part, images in {"train": train, "held_out": held_out}.items()}
    real, of_training, generated = (features(part) for part in (held_out, train, samples))
    keys = ("images_seen", "augment/p", "augment/r_t")
    strengths = [[round(c[key], 4) for key in keys] for c in course[::6]] if kind == "adaptive" else []
    return {
        "data": data,
        "kind": kind,
        "seed": seed,
        "images": images,
        "train": len(source_of.train),
        "held_out": len(source_of.held_out),
        "gap": round(float(auc(found["train"], found["held_out"])[0]), 4),
        "gap_plain": round(float(auc(plain["train"], plain["held_out"])[0]), 4),
        **likeness(real, generated),
        "of_training_images": likeness(real, of_training),
        "course": strengths,
        "seconds": [round(trained), round(time.monotonic() - began)],
    }


def study(
    emoji: str = "",
    faces: str = "",
    seeds: list[int] = [0, 1, 2],
    kinds: list[str] = list(KINDS),
    images: int = 160_000,
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print all; a folder that is not given is left out."""
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    roots = {name: root for name, root in {"emoji": emoji, "faces": faces}.items() if root}
    for seed in seeds:
        for data, root in roots.items():
            for kind in kinds:
                if not rows.has(data=data, kind=kind, seed=seed, images=images):
                    grid = Path(out) / f"{NAME}_{data}_{kind}_{seed}.png"
                    rows.leave([row(data, root, kind, seed, images, grid)])
                    show(rows[-1])
    rows.show(table(rows), PAGE, BEGIN, END)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a table, mean and deviation over seeds, with those of the training images themselves."""
    heads = ["training images", "augmentation", "seeds", "AUC, training over held-out", "without augmenting them"]
    heads += ["FD-effnet-lite0", "coverage", "p and r_t at the end"]
    columns = (("gap", "{:.2f}"), ("gap_plain", "{:.2f}"), ("fd", "{:,.0f}"), ("coverage", "{:.3f}"))
    lines = []
    for data in dict.fromkeys(r["data"] for r in rows):
        for kind in KINDS:
            own = [r for r in rows if (r["data"], r["kind"]) == (data, kind)]
            ends = [r["course"][-1][1:] for r in own if r["course"]]
            strength = ", ".join(mean_and_deviation(values, "{:.2f}") for values in zip(*ends))
            cells = [mean_and_deviation([r[key] for r in own], form) for key, form in columns]
            if own:
                name = ", ".join(KINDS[kind]) or "none"
                lines.append([f"{own[0]['train']:,} {data}", name, str(len(own)), *cells, strength])
        themselves = [r["of_training_images"] for r in rows if r["data"] == data]
        cells = [mean_and_range([r[key] for r in themselves], form) for key, form in columns[2:]]
        lines.append([data, "the training images themselves", "", "", "", *cells, ""])
    return markdown(heads, lines)


def show(r: dict[str, Any]) -> None:
    """Print a row."""
    p = f", p {r['course'][-1][1]}, r_t {r['course'][-1][2]}" if r["course"] else ""
    fd = f"fd {r['fd']} (training images {r['of_training_images']['fd']}), coverage {r['coverage']:.3f}"
    gap = f"gap {r['gap']:.3f} (plain {r['gap_plain']:.3f})"
    print(f"{r['data']} {r['kind']} seed {r['seed']}: {gap}, {fd}{p}, {r['seconds']} s", flush=True)


def main(**words: Any) -> None:
    """Compare none, fixed and adaptive augmentation: emoji=PNG_FOLDER faces=JPEG_FOLDER seeds=[0,1,2] images=160000."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
