"""Does starting from a trained model help where images are few?

    python studies/finetuning.py seeds=[0,1,2] [each=60 root=data images=120000]

Protocol. `dcgan_digits` on a folder of MNIST, `each` images of each class at 16 px, drawn with the seed: from random
weights, and from the weights of the release `dcgan_digits` (`pretrained=dcgan_digits`), which was trained on
scikit-learn's digits and never saw MNIST. Every 20,000 images: Fréchet distance of 10,000 samples of the averaged
generator, all classes alike, to MNIST's 10,000 test images in the features of the digit classifier; the same of the
training images beside it. MNIST must lie below `root` in torchvision's layout.

Rows are written as they come; those that are there are not computed again.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from augmentation import distance
from PIL import Image
from rows import RESULTS, Rows, train_fully

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.features.digits import DigitClassifier
from zoo.io.run_folder import checkpoints_in

SOURCE, RESOLUTION, EVERY = "dcgan_digits", 16, 20_000


def few(train: Any, each: int, seed: int, folder: Path) -> None:
    """Write `each` images of each class as PNGs, one subfolder a class."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    taken = dict.fromkeys(range(10), 0)
    for index in order.tolist():
        one = train.batch(torch.tensor([index]))
        label = int(one.labels)
        if taken[label] < each:
            taken[label] += 1
            path = folder / str(label) / f"{taken[label]:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one.images[0, 0].numpy()).save(path)
        if min(taken.values()) == each:
            return


def rows_of(seed: int, each: int, root: str, images: int) -> list[dict[str, Any]]:
    """Both runs of a seed, measured along the way."""
    mnist, judge = zoo.data.MNIST(root=root, resolution=RESOLUTION, channels=1), DigitClassifier()
    mnist.setup()
    test, labels = mnist.held_out.tensor(), torch.arange(10_000) % 10
    found = []
    for pretrained in ("", SOURCE):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            few(mnist.train, each, seed, Path(scratch, "images"))
            data = {"class": "Folder", "root": f"{scratch}/images", "labels": True, "channels": 1, "held_out": 0}
            callbacks = {"SampleGrid": None, "Alarms": None, "SaveEvery": {"every": EVERY, "keep": images // EVERY + 1}}
            run = train_fully(
                "dcgan_digits",
                out=f"{scratch}/run",
                seed=seed,
                images=images,
                pretrained=pretrained,
                data=data,
                model={"num_classes": 10},
                callbacks=callbacks,
            )
            distances = {}
            for path in checkpoints_in(run.folder)[::-1]:
                model = zoo.load_run(path)
                distances[model.images_seen] = distance(judge, test, model.sample(10_000, seed=1, labels=labels))
            shown = run.recipe.data.build()
            shown.setup()
        found.append(
            {
                "seed": seed,
                "each": each,
                "images": images,
                "pretrained": pretrained,
                "distances": {str(seen): round(value, 4) for seen, value in distances.items()},
                "distance_of_training_images": round(distance(judge, test, shown.train.tensor()), 4),
                "seconds": round(time.monotonic() - began),
            }
        )
    return found


def study(seeds: list[int] = [0, 1, 2], each: int = 60, root: str = "data", images: int = 120_000) -> None:
    """Compute the rows that are missing, and print all."""
    rows = Rows(RESULTS / "finetuning.json", __doc__)
    for seed in seeds:
        if not rows.has(seed=seed, each=each, images=images):
            rows.leave(rows_of(seed, each, root, images))
    for r in rows:
        path = ", ".join(f"{value} after {int(seen):,}" for seen, value in r["distances"].items())
        print(
            f"seed {r['seed']}, {r['each']} images a class, {r['pretrained'] or 'random weights'}: {path} images; "
            f"training images {r['distance_of_training_images']}"
        )


def main(**words: Any) -> None:
    """Compare random and trained weights: seeds=[0,1,2] each=60 root=data images=120000."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.finetuning", main)
