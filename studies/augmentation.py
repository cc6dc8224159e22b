"""Does differentiable augmentation keep a discriminator from learning few images by heart, and does it help?

    python studies/augmentation.py seeds=[0,1,2] [kinds=['',translation] recipe=dcgan_digits held_out=0.8]
    python studies/augmentation.py seeds=[0] recipe=progan_emoji held_out=0.1 resolution=32 images=80000

Protocol. The recipe on a fifth of scikit-learn's digits (360 training images, 1,437 held out), with `model.augment`
empty, with translation only and with all three kinds; or another recipe and share, and smaller images. Measured at the
end, on images as they are: Fréchet distance of 2,000 samples of the averaged generator to the held-out images in the
features of the extractor that suits the data (the same of the training images beside it); r_v, the way in percent
that the mean score of held-out images lies from that of training images towards that of generated ones: 0 for a
discriminator that has learnt what the data are, 100 for one that knows its images by heart. It scores images as it saw
them in training: in batches of 64, in training mode, augmented.

Rows are written as they come; those that are there are not computed again.
"""

from __future__ import annotations

import json
import tempfile
import time
from typing import Any

import torch
from rows import RESULTS, Rows, train_fully

import zoo
import zoo.data.pool
from zoo.config.command_line import checked_arguments, run_command
from zoo.evaluation.reference import default_extractor
from zoo.features import Extractor, extractor

QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": {}}


@torch.no_grad()
def mean_score(model: zoo.GAN, batch: zoo.Batch) -> float:
    """Mean score of images in batches of 64, buffers put back."""
    kept = {name: buffer.clone() for name, buffer in model.discriminator.named_buffers()}
    model.discriminator.train()
    torch.manual_seed(0)
    batch = model.shown(batch)
    whole = range(0, len(batch) - 63, 64)
    labels = batch.labels
    scores = torch.cat(
        [
            model.score(zoo.Batch(batch.images[i : i + 64], None if labels is None else labels[i : i + 64]))
            for i in whole
        ]
    )
    for name, buffer in model.discriminator.named_buffers():
        buffer.copy_(kept[name])
    return float(scores.mean())


def of(split: Any) -> zoo.Batch:
    """A split as one batch, in random order: classes may lie in a row."""
    batch = split.batch(torch.randperm(len(split), generator=torch.Generator().manual_seed(0)))
    return zoo.Batch(zoo.data.pool.to_float(batch.images), batch.labels)


def distance(judge: Extractor, real: torch.Tensor, other: torch.Tensor) -> float:
    """Fréchet distance in the extractor's features."""
    metric = zoo.metrics.FID(width=judge.width)
    for images, is_real in ((real, True), (other, False)):
        for part in images.split(judge.batch_size):
            metric.update(judge(part), real=is_real)
    return float(metric.compute()["fid"])


def row(recipe: str, seed: int, kinds: list[str], held_out: float, images: int, resolution: int) -> dict[str, Any]:
    """One run, measured."""
    began = time.monotonic()
    model_settings: dict[str, Any] = {"augment": kinds, **({"resolution": resolution} if resolution else {})}
    with tempfile.TemporaryDirectory() as folder:
        run = train_fully(
            recipe,
            out=folder,
            seed=seed,
            images=images,
            model=model_settings,
            data={"held_out": held_out},
            callbacks=QUIET,
        )
        path = run.folder / "alarms" / "events.jsonl"
        rang = [json.loads(line)["alarm"] for line in path.read_text().splitlines()] if path.exists() else []
    data = run.recipe.data.build()
    data.setup()
    model, judge = run.model.eval(), extractor(default_extractor(data))
    labels = torch.randint(10, (2_000,), generator=torch.Generator().manual_seed(0)) if model.num_classes else None
    batches = {
        "train": of(data.train),
        "held_out": of(data.held_out),
        "generated": zoo.Batch(model.sample(2_000, seed=1, labels=labels), labels),
    }
    scores = {name: mean_score(model, batch) for name, batch in batches.items()}
    train, held, samples = (batch.images for batch in batches.values())
    return {
        "recipe": recipe,
        "seed": seed,
        "augment": kinds,
        "share_held_out": held_out,
        "images": images,
        "train": len(train),
        "held_out": len(held),
        "distance": round(distance(judge, held, samples), 4),
        "distance_of_training_images": round(distance(judge, held, train), 4),
        "scores": {name: round(value, 4) for name, value in scores.items()},
        "r_v": round((scores["train"] - scores["held_out"]) / (scores["train"] - scores["generated"]), 4),
        "alarms": rang,
        "seconds": round(time.monotonic() - began),
    }


def study(
    seeds: list[int] = [0, 1, 2],
    kinds: list[str] = ["", "translation", "color,translation,cutout"],
    recipe: str = "dcgan_digits",
    held_out: float = 0.8,
    images: int = 120_000,
    resolution: int = 0,
) -> None:
    """Compute the rows that are missing, and print all; `resolution` is the recipe's own where it is 0."""
    rows = Rows(RESULTS / "augmentation.json", __doc__)
    for seed in seeds:
        for chosen in (text.split(",") if text else [] for text in kinds):
            wanted = {"recipe": recipe, "seed": seed, "augment": chosen, "share_held_out": held_out, "images": images}
            wanted |= {"resolution": resolution} if resolution else {}
            if not rows.has(**wanted):
                rows.leave([{**row(recipe, seed, chosen, held_out, images, resolution), **wanted}])
    for r in rows:
        print(
            f"{r['recipe']} seed {r['seed']} {'+'.join(r['augment']) or 'plain'}: distance {r['distance']}, "
            f"r_v {r['r_v']:.0%}, alarms {r['alarms']}"
        )


def main(**words: Any) -> None:
    """Compare with and without augmentation: seeds=[0,1,2] kinds=['',translation] recipe=dcgan_digits held_out=0.8."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.augmentation", main)
