"""Why train a discriminator on the generator's output at all? A generator trained against one that only sees blends.

    python studies/blended_fakes.py [recipe=dcgan_digits seeds=[0,1,2] kinds=[...] images=120000]
    python studies/blended_fakes.py recipe=dcgan_fashion root=FOLDER images=160000

Protocol. The recipe without classes and alarms, float32, one thread. The discriminator's negative examples are, in
place of the generator's images (`gan`):

- `rising`: real images x t + noise x (1 - t), uniform noise in [-1, 1], t rising linearly from 0 to 1 over the run, so
  that the examples come ever closer to real images;
- `falling`: the same with t from 1 to 0;
- `uniform`: the same with t drawn for each image, uniformly;
- `patches`: real images of which the 16 squares are shuffled;
- `blurred`: real images after a Gaussian blur, of a standard deviation that falls from a quarter of the side to 0;
- `both`: one half of the batch as in `rising`, the other half the generator's images.

The generator's loss is the usual one everywhere. Measured at ten moments:

- `fd`, `coverage` (k = 5): Fréchet distance of 1,000 samples of the averaged generator to as many held-out images, or
  as there are, in the features of effnet-lite0 or, for digits, of their classifier;
- `score`: mean score of the generator's images, beside those of held-out images and of the negative examples;
- `gradient`: mean norm of the discriminator's gradient by the pixels at the generator's images, per pixel;
- `pull`: cosine between that gradient and the way from each generated image to the nearest of the held-out ones: above
  0 if it leads towards real images.

A grid of each run lies beside the results. Rows are written as they come; those that are there are not computed again.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from measured import images_of, likeness
from pytorch_lightning import Trainer
from rows import RESULTS, Rows, train_fully
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

import zoo
from zoo.callbacks.every import Every
from zoo.config.command_line import checked_arguments, run_command
from zoo.evaluation.reference import default_extractor
from zoo.features import Extractor, extractor
from zoo.rendering import pictures

NAME = "blended_fakes"
KINDS = ("gan", "rising", "falling", "uniform", "patches", "blurred", "both")
MOMENTS, MEASURED = 10, 1_000
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": None}


class BlendedDCGAN(zoo.DCGAN):
    """DCGAN whose discriminator is shown other negative examples than the generator's images.

    Args:
        kind: one of KINDS.
        horizon: length of the run in images.
        model: settings of `DCGAN`.
    """

    def __init__(self, kind: str = "gan", horizon: int = 120_000, **model: Any) -> None:
        super().__init__(**model)
        self.kind, self.horizon = kind, horizon

    def negatives(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the negative examples (B, C, H, W) for a batch."""
        share = min(1.0, self.progress / self.horizon)
        if self.kind == "gan":
            return fake
        if self.kind == "both":
            half = len(fake) // 2
            return torch.cat([_blend(real[:half], torch.full((half,), share)), fake[half:]])
        if self.kind == "patches":
            return _shuffled(real)
        if self.kind == "blurred":
            deviation = (1 - share) * real.shape[-1] / 4
            size = real.shape[-1] - 1 + real.shape[-1] % 2
            return gaussian_blur(real, [size, size], [max(deviation, 1e-3)] * 2)
        if self.kind == "uniform":
            return _blend(real, torch.rand(len(real)))
        return _blend(real, torch.full((len(real),), share if self.kind == "rising" else 1 - share))

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> dict[str, Tensor]:
        """Return the usual loss, with the other negative examples."""
        shown = zoo.Batch(self.negatives(real.images, fake.images).detach(), fake.labels)
        return super().discriminator_loss(real, shown)


def _blend(real: Tensor, shares: Tensor) -> Tensor:
    t = shares.to(real).view(-1, 1, 1, 1)
    return t * real + (1 - t) * (2 * torch.rand_like(real) - 1)


def _shuffled(real: Tensor) -> Tensor:
    """Images with their 4 x 4 squares in another order, for each image."""
    b, c, h, w = real.shape
    squares = real.view(b, c, 4, h // 4, 4, w // 4).permute(0, 2, 4, 1, 3, 5).reshape(b, 16, c, h // 4, w // 4)
    order = torch.rand(b, 16).argsort(1)
    squares = squares[torch.arange(b)[:, None], order].view(b, 4, 4, c, h // 4, w // 4)
    return squares.permute(0, 3, 1, 4, 2, 5).reshape(b, c, h, w)


class Course(Every):
    """A callback that measures samples and the discriminator's gradients.

    Args:
        every: interval in images.
        out: file to which a line of JSON is added each time.
    """

    def __init__(self, every: int, out: str) -> None:
        super().__init__(every, at_end=False)
        self.out = Path(out)
        self.judge: Extractor | None = None

    def act(self, trainer: Trainer, model: zoo.GAN) -> None:
        """Measure, with the random numbers of the run put back."""
        source: Any = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(model, BlendedDCGAN)
        self.judge = self.judge or extractor(default_extractor(source))
        with torch.random.fork_rng(devices=[]):
            held_out = images_of(source.held_out, MEASURED)
            line = {"images": model.images_seen, **measures(model, held_out, self.judge)}
        with self.out.open("a") as file:
            print(json.dumps(line), file=file)


def measures(model: BlendedDCGAN, held_out: Tensor, judge: Extractor) -> dict[str, Any]:
    """Measure a model at one moment; its buffers are put back."""
    samples = model.sample(MEASURED, seed=1)
    real, made = judge(held_out), judge(samples)
    kept = {name: buffer.clone() for name, buffer in model.discriminator.named_buffers()}
    fakes = model.fakes(model.sample_latent(256), None).images.detach()
    negatives = model.negatives(held_out[:256], fakes)
    with torch.enable_grad():
        fakes.requires_grad_(True)
        scores = model.score(zoo.Batch(fakes, None))
        (gradient,) = torch.autograd.grad(scores.sum(), fakes)
    others = {"held_out": held_out[:256], "negatives": negatives}
    means = {"generated": float(scores.detach().mean())}
    with torch.no_grad():
        means |= {name: float(model.score(zoo.Batch(x, None)).mean()) for name, x in others.items()}
    flat, pixels = fakes.detach().flatten(1), held_out.flatten(1)
    way = pixels[torch.cdist(flat, pixels).argmin(1)] - flat
    pull = torch.cosine_similarity(gradient.flatten(1), way, dim=1)
    for name, buffer in model.discriminator.named_buffers():
        buffer.copy_(kept[name])
    return {
        **likeness(real, made),
        "score": {"generated": round(float(scores.detach().mean()), 4)}
        | {name: round(v, 4) for name, v in means.items()},
        "gradient": round(float(gradient.flatten(1).norm(dim=1).mean()) / gradient[0].numel() ** 0.5, 6),
        "pull": round(float(pull.mean()), 4),
    }


def row(setting: dict[str, Any], root: str, grid: Path) -> dict[str, Any]:
    """One run, measured."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/course.jsonl"
        run = train_fully(
            setting["recipe"],
            out=f"{folder}/run",
            seed=setting["seed"],
            images=setting["images"],
            model={
                "class": f"{NAME}.BlendedDCGAN",
                "kind": setting["kind"],
                "horizon": setting["images"],
                "num_classes": 0,
            },
            data={"root": root, "download": False} if root else {},
            callbacks={**QUIET, f"{NAME}.Course": {"every": setting["images"] // MOMENTS, "out": out}},
            trainer={"accelerator": "cpu", "threads": 1, "precision": "32-true"},
        )
        course = [json.loads(line) for line in Path(out).read_text().splitlines()]
    grid.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(run.model.eval().sample(64, seed=2), 8), grid)
    return {**setting, "course": course, "seconds": round(time.monotonic() - began)}


def study(
    recipe: str = "dcgan_digits",
    root: str = "",
    seeds: list[int] = [0, 1, 2],
    kinds: list[str] = list(KINDS),
    images: int = 120_000,
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print all."""
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    for seed in seeds:
        for kind in kinds:
            setting = {"recipe": recipe, "kind": kind, "seed": seed, "images": images}
            if not rows.has(**setting):
                rows.leave([row(setting, root, Path(out) / f"{NAME}_{recipe}_{kind}_{seed}.png")])
                show(rows[-1])
    for line in sorted(rows, key=lambda r: (r["recipe"], KINDS.index(r["kind"]), r["seed"])):
        show(line)


def show(r: dict[str, Any]) -> None:
    """Print a row: its distances over time, and the last values."""
    last = r["course"][-1]
    distances = ", ".join(f"{line['fd']:g}" for line in r["course"])
    print(
        f"{r['recipe']} {r['kind']} seed {r['seed']}: fd {distances}; coverage {last['coverage']:.3f}; "
        f"gradient {last['gradient']:g}, pull {last['pull']:g}; {r['seconds']} s",
        flush=True,
    )


def main(**words: Any) -> None:
    """Train generators against discriminators that see blends: recipe= root= seeds= kinds= images=."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
