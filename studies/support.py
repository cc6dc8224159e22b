"""How many distinct images does a trained DCGAN make, and does that grow with its discriminator and with its data?

    python studies/support.py root=FOLDER [seeds=[0,1,2] channels=[4,8,16,32] few=[60000] images=160000]
    python studies/support.py root=FOLDER channels=[16] few=[1000,4000,16000]

Arora, Risteski and Zhang 2018 (ICLR, "Do GANs learn the distribution?") trained DCGANs on CelebA and looked for
duplicates in samples with their eyes: the number of distinct images they found was about proportional to the size of
the discriminator. Here the duplicates are found by the audit.

Protocol. Fashion-MNIST at 32 px, without classes; `few` training images chosen at random by the seed, the publisher's
10,000 test images held out. DCGAN with a generator of width 24 and a discriminator of width `channels`, 4x4 kernels,
non-saturating loss, R1 and R2 of weight 0.5 on the discriminator, Adam at 2e-4, batches of 64, one thread, `images`
images shown whatever `few` is; samples of the averaged generator. FOLDER has the data set in torchvision's layout.

Measured by the question `support` of the audit at its budget `standard`, in the features of effnet-lite0 and in pixels:
pairs of duplicates among the samples, with the threshold that few pairs of distinct test images pass; the support is
the number of equally likely distinct images that would give as many (birthday paradox), with a 95 % interval; null if
it has no bound, since there are no more duplicates than among real images. `planted` has the same estimate for samples
that are drawn from exactly 100, 1,000 and 10,000 training images. `fd` and `coverage` as in `generalisation.py`.

Rows are written as they come; those that are there are not computed again. A grid of each run lies beside them.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from generalisation import MODELS, FewFashionImages
from generalisation import NAME as FEW_IMAGES
from measured import features, images_of, likeness
from rows import RESULTS, Rows, train_fully

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.rendering import pictures

NAME = "support"
SAMPLES = 2_000
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": {}}


def support(model: zoo.GAN, source: Any, budget: str) -> dict[str, Any]:
    """Estimate the number of distinct images, with that of planted supports beside it."""
    report = zoo.audit.audit(model, source.train, source.held_out, budget=budget, only=["support"], name=NAME)
    (finding,) = report.findings
    found = {s.name: {k: finite(getattr(s, k)) for k in ("value", "low", "high")} for s in finding.statistics}
    planted = {str(s.null): found[s.name] for s in finding.statistics if s.name.startswith("support of")}
    return {
        "support": found["support"],
        "pairs": found["duplicate pairs"],
        "samples": next(s.n for s in finding.statistics if s.name == "support"),
        "planted": planted,
        "verdict": report.verdict,
    }


def finite(value: float | None) -> float | None:
    """Return a number that JSON has, or None."""
    return None if value is None or math.isinf(value) else value


def row(setting: dict[str, Any], root: str, budget: str, grid: Path) -> dict[str, Any]:
    """Train one model, and measure it."""
    began = time.monotonic()
    recipe, settings = MODELS["dcgan"]
    data: dict[str, Any] = {"root": root, "few": setting["few"], "split_seed": setting["seed"], "batch_size": 64}
    source = FewFashionImages(resolution=32, channels=1, **data)
    source.setup()
    with tempfile.TemporaryDirectory() as folder:
        run = train_fully(
            recipe,
            out=f"{folder}/run",
            seed=setting["seed"],
            images=setting["images"],
            model={
                **settings,
                **{"discriminator_channels": setting["channels"], "num_classes": 0},
                **{"r1": 0.5, "r2": 0.5, "average_halflife": 10_000},
            },
            data={"class": f"{FEW_IMAGES}.{FewFashionImages.__name__}", "download": False, **data},
            callbacks=QUIET,
            trainer={"accelerator": "cpu", "threads": 1},
        )
    trained = time.monotonic() - began
    model = run.model.eval()
    samples = model.sample(SAMPLES, seed=2)
    grid.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(samples[:64], 8), grid)
    real = features(images_of(source.held_out, SAMPLES))
    return {
        **setting,
        "parameters": sum(p.numel() for p in model.discriminator.parameters()),
        **likeness(real, features(samples)),
        **support(model, source, budget),
        "seconds": [round(trained), round(time.monotonic() - began)],
    }


def study(
    root: str,
    seeds: list[int] = [0, 1, 2],
    channels: list[int] = [4, 8, 16, 32],
    few: list[int] = [60_000],
    images: int = 160_000,
    budget: str = "standard",
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print all."""
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    for seed in seeds:
        for count in few:
            for width in channels:
                setting = {"channels": width, "few": count, "seed": seed, "images": images}
                if not rows.has(**setting):
                    grid = Path(out) / f"{NAME}_{width}_{count}_{seed}.png"
                    rows.leave([row(setting, root, budget, grid)])
                    show(rows[-1])
    for line in sorted(rows, key=lambda r: (r["few"], r["channels"], r["seed"])):
        show(line)


def show(r: dict[str, Any]) -> None:
    """Print a row."""
    size = {key: "any number" if v is None else f"{v:,.0f}" for key, v in r["support"].items()}
    print(
        f"D of width {r['channels']} ({r['parameters']:,} parameters), {r['few']:,} images, seed {r['seed']}: support "
        f"{size['value']} ({size['low']} to {size['high']}), {r['pairs']['value']:.0f} pairs among "
        f"{r['samples']:,} samples, fd {r['fd']}, coverage {r['coverage']:.3f}; {r['seconds']} s",
        flush=True,
    )


def main(**words: Any) -> None:
    """Measure the number of distinct images against the discriminator's width: root=FOLDER seeds= channels= few=."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
