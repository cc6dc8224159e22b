"""When does a mixture help on images? MIX+DCGAN on Fashion-MNIST at equal images, equal time and equal parameters.

    python studies/mix_fashion.py root=FOLDER [seeds=[0,1,2] variants=[one,two,three,five,wide,longer] images=160000]

Variants:

- `one`: the base, a DCGAN;
- `two`, `three`, `five`: `zoo.MixGAN` of as many generators and discriminators, `payoff=shared`, which sees the same
  real images as `one`, and of whose generated images each generator makes its part;
- `wide`: one DCGAN with about the parameters of `three`;
- `longer`: `one` for as much of the processor's time as `three` took with the same seed, at more images.

Protocol. Fashion-MNIST at 32 px, without classes, all 60,000 training images; the publisher's 10,000 test images held
out. The base has width 24 and 4x4 kernels, non-saturating loss, R1 of weight 0.2 on the discriminator, Adam at 2e-4,
batches of 60, one thread, the device's own precision. FOLDER has the data set in torchvision's layout.

Measured on 5,000 samples of the averaged generator, for a mixture drawn by weight: `fd`, `coverage` (k = 5): Fréchet
distance and coverage in the features of effnet-lite0 against 5,000 test images; `floor` has those of as many training
images. `members`: the same for each member of a mixture alone, with its weight.

Rows are written as they come; those that are there are not computed again. A grid of each run lies beside them.
"""

from __future__ import annotations

import logging
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch
from generalisation import MODELS
from measured import features, images_of, likeness
from rows import RESULTS, Rows, train_fully
from torch import Tensor

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.rendering import pictures

NAME = "mix_fashion"
SAMPLES = 5_000
BATCH = 60
COMPONENTS = {"two": 2, "three": 3, "five": 5}
VARIANTS = ("one", *COMPONENTS, "wide", "longer")
BASE: dict[str, Any] = {
    **MODELS["dcgan"][1],
    "num_classes": 0,
    "r1": 0.2,
    "average_halflife": 10_000,
}
"""Where the base differs from the recipes `dcgan_fashion` and `mix_dcgan_fashion`."""
WIDE = 47
"""Width of one DCGAN with about the parameters of three."""
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "MixtureReport": None, "Alarms": {}}


def settings_of(variant: str) -> tuple[str, dict[str, Any]]:
    """Return the recipe of a variant, and the settings of its model."""
    if variant in COMPONENTS:
        return "mix_dcgan_fashion", {"components": COMPONENTS[variant], "base": BASE}
    return "dcgan_fashion", {**BASE, "width": WIDE} if variant == "wide" else BASE


def measured(real: Tensor, model: zoo.GAN, seed: int, grid: Path) -> dict[str, Any]:
    """Measure the samples of a model, and of each member of a mixture, and leave a grid."""
    samples = model.sample(SAMPLES, seed=seed)
    grid.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(samples[:64], 8), grid)
    found: dict[str, Any] = likeness(real, features(samples))
    if isinstance(model, zoo.MixGAN):
        weights = model.generator_weights.tolist()
        alone = [features(model.sample(SAMPLES, seed=seed, component=i)) for i in range(len(weights))]
        found["members"] = [{"weight": round(w, 4), **likeness(real, part)} for w, part in zip(weights, alone)]
    return found


@cache
def real_features(root: str) -> tuple[Tensor, Tensor]:
    """Return the features of held-out and of training images."""
    source = zoo.data.FashionMNIST(root=root, download=False, resolution=32, channels=1, batch_size=BATCH)
    source.setup()
    held_out, trained = (features(images_of(split, SAMPLES)) for split in (source.held_out, source.train))
    return held_out, trained


def row(setting: dict[str, Any], root: str, length: int, grid: Path) -> dict[str, Any]:
    """Train one variant, and measure it.

    Args:
        setting: variant, seed and images of the row.
        root: folder of the data set.
        length: images shown to this variant.
        grid: file of the grid.
    """
    recipe, model_settings = settings_of(setting["variant"])
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.monotonic(), time.process_time()
        run = train_fully(
            recipe,
            out=f"{folder}/run",
            seed=setting["seed"],
            images=length,
            model=model_settings,
            data={"root": root, "download": False, "batch_size": BATCH},
            trainer={"accelerator": "cpu", "threads": 1},
            callbacks=QUIET,
        )
        taken = time.process_time() - used
        model = run.model.eval()
    real, trained = real_features(root)
    return {
        **setting,
        "shown": length,
        "parameters": sum(p.numel() for part in (model.generator, model.discriminator) for p in part.parameters()),
        **measured(real, model, setting["seed"] + 100, grid),
        "floor": likeness(real, trained),
        "cpu_seconds": round(taken, 1),
        "seconds": round(time.monotonic() - began),
    }


def study(
    root: str,
    seeds: list[int] = [0, 1, 2],
    variants: list[str] = list(VARIANTS),
    images: int = 160_000,
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print all."""
    torch.set_num_threads(1)
    rows = Rows(Path(out) / f"{NAME}.json", __doc__, base=BASE, batch_size=BATCH)
    for seed in seeds:
        for variant in variants:
            setting = {"variant": variant, "seed": seed, "images": images}
            if not rows.has(**setting):
                length = longer(rows, seed, images) if variant == "longer" else images
                rows.leave([row(setting, root, length, Path(out) / f"{NAME}_{variant}_{seed}.png")])
                show(rows[-1])
    for line in sorted(rows, key=lambda r: (VARIANTS.index(r["variant"]), r["seed"])):
        show(line)


def longer(rows: list[dict[str, Any]], seed: int, images: int) -> int:
    """Return the number of images that `one` sees in the time of `three` with the same seed.

    Raises:
        ValueError: if these two rows are not there yet.
    """
    own = {r["variant"]: r["cpu_seconds"] for r in rows if (r["seed"], r["images"]) == (seed, images)}
    if not {"one", "three"} <= own.keys():
        raise ValueError(f"longer, seed {seed}: run the variants one and three before it, whose times it needs")
    return round(images * own["three"] / own["one"])


def show(r: dict[str, Any]) -> None:
    """Print a row."""
    members = [f"{m['weight']:.2f}: {m['fd']:.0f}" for m in r.get("members", ())]
    print(
        f"{r['variant']}, seed {r['seed']}: fd {r['fd']} ({r['floor']['fd']}), coverage {r['coverage']:.3f}, "
        f"{r['shown']:,} images, {r['parameters']:,} parameters, {r['cpu_seconds']:.0f} CPU s"
        + (f"; members {', '.join(members)}" if members else ""),
        flush=True,
    )


def main(**words: Any) -> None:
    """Compare mixtures with one GAN on Fashion-MNIST: root=FOLDER seeds= variants= images=."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
