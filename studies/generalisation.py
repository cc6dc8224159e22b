"""Does a discriminator generalise or memorise, and what does the number of training images change?

    python studies/generalisation.py root=FOLDER [seeds=[0,1,2] models=[dcgan,biggan] few=[250,1000,4000,16000,60000]]

Protocol. Fashion-MNIST at 32 px, without classes; `few` training images chosen at random by the seed, the publisher's
10,000 test images held out. DCGAN (width 24, 4x4 kernels, non-saturating loss, Adam at 2e-4) and BigGAN (width 8, no
attention, hinge loss, 4e-4 and 2e-4), batches of 64, one thread, `images` images shown whatever `few` is; with no
penalty (`none`) and with R1 and R2 of weight `gamma` each on the discriminator (`r1r2`). FOLDER has the data set in
torchvision's layout.

Measured at nine moments of the run (`course`), on 1,024 training, held-out and generated images each, which are scored
as in training, in training mode, in batches of 64 of one kind:

- `accuracy`: share of the training, held-out and generated images on the right side of zero;
- `auc`: probability that a training image scores higher than a held-out one; 0.5 if the discriminator cannot tell them
  apart;
- `r_v`: the way that the mean score of held-out images lies from that of training images towards that of generated
  ones; `r_t`: mean sign of the scores of training images (Karras et al. 2020);
- `histograms`: shares of the scores in 40 bins between the 0.5 and 99.5 % quantiles of all, for the three.

Measured at the end, on 2,000 samples of the averaged generator:

- `fd`, `coverage`: Fréchet distance (features of effnet-lite0) and coverage (k = 5) against 2,000 held-out images, with
  those of as many training images beside them;
- `copying`: what the audit finds in pixels: the train-set win rate in excess of chance, and the share of samples closer
  to a real image than all but 1 % of the held-out images are, beside that of held-out images, and its verdict;
- `alarms`: the alarms that the run raised.

Rows are written as they come; those that are there are not computed again. A grid of each run lies beside them.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from measured import features, images_of, likeness, scores
from pytorch_lightning import Trainer
from rows import RESULTS, Rows, train_fully
from torch import Tensor

import zoo
from zoo.audit.statistics.significance import auc
from zoo.callbacks.every import Every
from zoo.config.command_line import checked_arguments, run_command
from zoo.data.pool import Pool
from zoo.rendering import pictures

NAME = "generalisation"
SCORED, SAMPLES, BINS = 1_024, 2_000, 40
MOMENTS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "dcgan": (
        "dcgan_fashion",
        {"width": 24, "kernel_size": 4, "generator_lr": 2e-4, "discriminator_lr": 2e-4, "lr_schedule": "constant"},
    ),
    "biggan": ("biggan_fashion", {}),
}
REGULARISERS = ("none", "r1r2")
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": {}}


class FewFashionImages(zoo.data.Images):
    """Fashion-MNIST with a part of its training images, without classes.

    Args:
        root: folder of the data set in torchvision's layout.
        few: number of training images, chosen at random by `split_seed`.
        download: whether to download missing files.
        images: further settings, see `zoo.data.Images`.
    """

    def __init__(self, *, root: str, few: int, download: bool = False, **images: Any) -> None:
        super().__init__(**images)
        self.root, self.few, self.download = root, few, download

    def read(self) -> Pool:
        """Return the chosen training images, and the test images as the held-out part."""
        size = {"resolution": self.resolution, "channels": self.channels}
        pool = zoo.data.FashionMNIST(root=self.root, download=self.download, **size).read()
        assert pool.held_out is not None
        training = len(pool.images) - len(pool.held_out)
        chosen = torch.randperm(training, generator=torch.Generator().manual_seed(self.split_seed))[: self.few]
        kept = torch.cat([chosen.sort().values, torch.from_numpy(pool.held_out)]).numpy()
        return replace(
            pool,
            images=pool.images[kept],
            labels=None,
            digest=f"{pool.digest} {self.few} {self.split_seed}",
            held_out=torch.arange(self.few, len(kept)).numpy(),
            class_names=(),
            kept=None,
        )


class Course(Every):
    """A callback that measures the scores of the discriminator at the moments of the protocol.

    Args:
        images: length of the run.
        out: file to which a line of JSON is added at each moment.
    """

    def __init__(self, images: int, out: str) -> None:
        super().__init__(images)
        self.moments = [round(images * share) for share in MOMENTS]
        self.out = Path(out)

    def due(self, trainer: Trainer, model: zoo.GAN) -> bool:
        """Check whether the last round has passed a moment."""
        return any(model.images_before < moment <= model.images_seen for moment in self.moments)

    def act(self, trainer: Trainer, model: zoo.GAN) -> None:
        """Measure, with the random numbers of the run put back."""
        source: Any = trainer.datamodule  # type: ignore[attr-defined]
        with torch.random.fork_rng(devices=[]):
            train, held_out = images_of(source.train, SCORED), images_of(source.held_out, SCORED)
            train = train.repeat(SCORED // len(train) + 1, 1, 1, 1)[:SCORED]
            parts = (train, held_out, model.sample(SCORED, seed=1))
            line = {"images": model.images_seen, **score_statistics(*(scores(model, x, False).double() for x in parts))}
        with self.out.open("a") as file:
            print(json.dumps(line), file=file)


def score_statistics(train: Tensor, held_out: Tensor, generated: Tensor) -> dict[str, Any]:
    """Compute the statistics of the scores (N,) of the three kinds of images."""
    kinds = {"train": train, "held_out": held_out, "generated": generated}
    joined = torch.cat(list(kinds.values()))
    low, high = (float(joined.quantile(q)) for q in (0.005, 0.995))
    distance = float(train.mean() - generated.mean())
    return {
        "accuracy": {
            name: round(float((s < 0 if name == "generated" else s > 0).float().mean()), 4) for name, s in kinds.items()
        },
        "auc": [round(v, 4) for v in auc(train, held_out)],
        "r_t": round(float(train.sign().mean()), 4),
        "r_v": round(float(train.mean() - held_out.mean()) / distance, 4) if distance else None,
        "means": {name: round(float(s.mean()), 4) for name, s in kinds.items()},
        "histograms": {
            "from": round(low, 4),
            "to": round(high, 4),
            **{
                name: [round(float(v) / len(s), 4) for v in s.clamp(low, high).histc(BINS, low, high)]
                for name, s in kinds.items()
            },
        },
    }


def copying(model: zoo.GAN, source: Any) -> dict[str, Any]:
    """What the audit says of copies in pixels."""
    report = zoo.audit.audit(
        model, source.train, source.held_out, budget="quick", only=["copying"], features="pixels", name=NAME
    )
    (finding,) = report.findings
    wanted = {"excess": "excess train-set win rate in pixels", "rate": "copying rate at 1.0 % in pixels"}
    named = {s.name: s for s in finding.statistics}
    found = {key: named[name] for key, name in wanted.items() if name in named}
    return {
        "verdict": report.verdict,
        **{key: {"value": s.value, "low": s.low, "high": s.high, "null": s.null} for key, s in found.items()},
    }


def row(setting: dict[str, Any], root: str, grid: Path) -> dict[str, Any]:
    """One run, measured."""
    began = time.monotonic()
    recipe, settings = MODELS[setting["model"]]
    weight = setting["gamma"] if setting["regulariser"] == "r1r2" else 0.0
    data = {
        "class": f"{NAME}.{FewFashionImages.__name__}",
        "root": root,
        "few": setting["few"],
        "split_seed": setting["seed"],
        "batch_size": 64,
        "download": False,
    }
    source = FewFashionImages(
        root=root, few=setting["few"], split_seed=setting["seed"], resolution=32, channels=1, batch_size=64
    )
    source.setup()
    train, held_out = images_of(source.train, SAMPLES), images_of(source.held_out, SAMPLES)

    with tempfile.TemporaryDirectory() as folder:
        run = train_fully(
            recipe,
            out=f"{folder}/run",
            seed=setting["seed"],
            images=setting["images"],
            model={**settings, "num_classes": 0, "r1": weight, "r2": weight, "average_halflife": 10_000},
            data=data,
            callbacks={**QUIET, f"{NAME}.Course": {"images": setting["images"], "out": f"{folder}/course.jsonl"}},
            trainer={"accelerator": "cpu", "threads": 1, "precision": "32-true"},
        )
        course = [json.loads(line) for line in Path(folder, "course.jsonl").read_text().splitlines()]
        events = run.folder / "alarms" / "events.jsonl"
        lines = [json.loads(line) for line in events.read_text().splitlines()] if events.is_file() else []
        alarms = [[event["images_seen"], event["alarm"]] for event in lines if "alarm" in event]
    trained = time.monotonic() - began
    model = run.model.eval()
    samples = model.sample(SAMPLES, seed=2)
    grid.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(samples[:64], 8), grid)
    real, of_training, generated = (features(part) for part in (held_out, train, samples))
    return {
        **setting,
        **likeness(real, generated),
        "of_training_images": likeness(real, of_training),
        "copying": copying(model, source),
        "alarms": alarms,
        "course": course,
        "seconds": [round(trained), round(time.monotonic() - began)],
    }


def study(
    root: str,
    seeds: list[int] = [0, 1, 2],
    models: list[str] = list(MODELS),
    regularisers: list[str] = list(REGULARISERS),
    few: list[int] = [250, 1000, 4000, 16000, 60000],
    images: int = 160_000,
    gamma: float = 0.5,
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print all."""
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    for seed in seeds:
        for model in models:
            for count in few:
                for regulariser in regularisers:
                    setting = {"model": model, "few": count, "regulariser": regulariser, "seed": seed}
                    setting |= {"images": images, "gamma": gamma}
                    if not rows.has(**setting):
                        grid = Path(out) / f"{NAME}_{model}_{count}_{regulariser}_{seed}.png"
                        rows.leave([row(setting, root, grid)])
                        show(rows[-1])
    for line in sorted(rows, key=lambda r: json.dumps([r["model"], r["regulariser"], f"{r['few']:9}", r["seed"]])):
        show(line)


def show(r: dict[str, Any]) -> None:
    """Print a row."""
    last = r["course"][-1]
    right = ", ".join(f"{name} {100 * share:.0f} %" for name, share in last["accuracy"].items())
    copies = r["copying"]
    rate = f"{copies['rate']['value']:.1f} %" if "rate" in copies else "unknown"
    texts = [
        f"{r['model']} {r['regulariser']} {r['few']:,} images, seed {r['seed']}: right on {right}",
        f"auc {last['auc'][0]:.3f}, r_v {last['r_v']}, r_t {last['r_t']}",
        f"fd {r['fd']} ({r['of_training_images']['fd']}), coverage {r['coverage']:.3f}",
        f"copying rate {rate}, {copies['verdict']}",
        f"alarms {len(r['alarms'])}; {r['seconds']} s",
    ]
    print("; ".join(texts), flush=True)


def main(**words: Any) -> None:
    """Measure scores and copies against the number of training images: root=FOLDER seeds= models= few= images=."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
