"""Does a mixture reach more modes? MIX+GAN against one GAN, one GAN of five times the size, and five GANs apart.

    python studies/mix_modes.py data=grid seeds=[1,2,3,4,5,6,7,8,9,10]
    python studies/mix_modes.py data=stacked_digits seeds=[1,2,3]
    python studies/mix_modes.py data=grid seeds=[3] variants=[mix] minutes=5      # a piece; what is there is kept

Variants, each of which sees the same number of real images in the same batches:

- `one`: the base.
- `wide`: the base, widened until generator and discriminator have about five times the parameters.
- `five`: five bases with seeds of their own, each trained alone on all the images; samples are drawn from them in equal
  parts.
- `mix`: `zoo.MixGAN` of five and five, `payoff=shared`; samples are drawn by weight. It sees each batch once, and each
  of its generators makes a fifth of the generated images; `five` therefore trains on five times as many.

Protocols. *grid*: 25 Gaussians with PacGAN's spacing and deviation (Lin et al. 2018, arXiv:1712.04086), 90,000 training
points, 2,500 samples; a sample is of high quality within 3 deviations of a centre, and a mode counts with one such
sample. Networks are smaller than PacGAN's, batches larger and the run shorter, see `BASES`: numbers compare within this
table only.
*stacked_digits*: three of scikit-learn's digits as channels, 16 px, 1,000 modes; 25,600 samples; the mode is read by a
classifier of single digits (accuracy on held-out digits in the results), KL is of the samples' modes from uniform.

Rows go to `results/mix_modes_DATA.json` as they are done, samples of seed 1 to `mix_modes_DATA_VARIANT.png` beside it.
Settings were chosen on one GAN with seed 0, which is therefore in no table.
"""

from __future__ import annotations

import functools
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from readable_digits import judge
from rows import RESULTS, Rows
from tables import markdown, mean_and_deviation
from torch import Tensor, nn

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.data import Grid, Images, StackedDigits
from zoo.metrics import ModeCount
from zoo.rendering import pictures

VARIANTS = ("one", "five", "wide", "mix")
BASES: dict[str, dict[str, Any]] = {
    "grid": {
        "class": "VanillaGAN",
        "resolution": 1,
        "channels": 2,
        "latent_dim": 2,
        "layers": 3,
        "width": 128,
        "discriminator_layers": 3,
        "discriminator_width": 96,
        "pieces": 3,
        "dropout": 0.0,
        "generator_lr": 1e-3,
        "discriminator_lr": 2e-3,
        "betas": (0.5, 0.99),
        "average_halflife": 15_000,
    },
    "stacked_digits": {
        "class": "DCGAN",
        "resolution": 16,
        "channels": 3,
        "latent_dim": 64,
        "width": 16,
        "average_halflife": 5_000,
    },
}
WIDE: dict[str, dict[str, Any]] = {
    "grid": {"width": 290, "discriminator_width": 216},
    "stacked_digits": {"width": 49},
}
IMAGES = {"grid": 400_000, "stacked_digits": 240_000}
BATCH = {"grid": 250, "stacked_digits": 160}
SAMPLES = {"grid": 2_500, "stacked_digits": 25_600}


def source(name: str, seed: int) -> Images:
    """The data, in an order of their own for each seed."""
    settings = {"batch_size": BATCH[name], "seed": seed, "held_out": 0.1}
    if name == "grid":
        return Grid(samples=100_000, **settings)
    return StackedDigits(resolution=16, triples=50_000, **settings)


def build(name: str, variant: str, seed: int) -> zoo.GAN:
    """An untrained model of one variant; `five` is trained as five times `one`."""
    torch.manual_seed(seed)
    settings = dict(BASES[name])
    if variant == "mix":
        return zoo.MixGAN(settings, 5, seed=seed)
    if variant == "wide":
        settings.update(WIDE[name])
    model: zoo.GAN = getattr(zoo, settings.pop("class"))(**settings, seed=seed)
    return model


@functools.lru_cache(1)  # the first of the five is `one`, trained a moment before
def trained(name: str, variant: str, seed: int, images: int) -> tuple[zoo.GAN, float]:
    """Train one model with the zoo's loop; also the processor's seconds it took."""
    began = time.process_time()
    model = build(name, variant, seed)
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(
        accelerator="cpu", max_epochs=-1, log_every_n_steps=1_000, callbacks=[zoo.callbacks.StopAt(images)], **quiet
    )
    trainer.fit(model, datamodule=source(name, seed))
    return model.eval(), time.process_time() - began


@torch.no_grad()
def modes(name: str, images: Tensor, network: nn.Module | None) -> dict[str, float]:
    """Modes reached, share of high-quality samples or KL from uniform."""
    if name == "grid":
        count = ModeCount(centres=torch.tensor(Grid().centres), deviation=Grid.deviation)
        count.update(images, real=False)
    else:
        assert network is not None
        digits = [torch.cat([network(part[:, i : i + 1]).argmax(1) for part in images.split(2_000)]) for i in range(3)]
        count = ModeCount(modes=1_000)
        count.update(digits[0] + 10 * digits[1] + 100 * digits[2], real=False)
    return {key: float(value) for key, value in count.compute().items()}


def row(name: str, variant: str, seed: int, images: int, network: nn.Module | None, folder: Path) -> dict[str, Any]:
    """Train, sample and count once; the picture of seed 1 goes into the folder."""
    members = 5 if variant == "five" else 1
    # The first of the five is `one` with this seed; the others have seeds that no other run has.
    single = "one" if variant == "five" else variant
    runs = [trained(name, single, seed if i == 0 else 1_000 + 10 * seed + i, images) for i in range(members)]
    models, seconds = [model for model, _ in runs], sum(taken for _, taken in runs)
    samples = torch.cat([model.sample(SAMPLES[name] // members, seed=100 + seed) for model in models])
    parameters = {
        side: sum(p.numel() for model in models for p in getattr(model, side).parameters())
        for side in ("generator", "discriminator")
    }
    if seed == 1:
        shown = samples[torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))]
        picture = pictures.grid(shown if name == "grid" else shown[:100], 10)
        pictures.save(picture, folder / f"mix_modes_{name}_{variant}.png")
    found: dict[str, Any] = {"variant": variant, "seed": seed, **modes(name, samples, network)}
    found |= {"images": images, "cpu_seconds": round(seconds, 1), "parameters": parameters}
    if isinstance(models[0], zoo.MixGAN):
        each = [models[0].sample(SAMPLES[name] // 5, seed=100 + seed, component=i) for i in range(5)]
        found["weights"] = [round(w, 4) for w in models[0].generator_weights.tolist()]
        found["modes_of_members"] = [modes(name, x, network)["modes"] for x in each]
    return found


def table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Mean and standard deviation over seeds, one line for each variant."""
    lines = []
    for variant in VARIANTS:
        mine = [r for r in rows if r["variant"] == variant]
        if mine:
            cells = [mean_and_deviation([r[column] for r in mine]) for column in columns]
            lines.append([variant, str(len(mine)), *cells])
    return "\n".join(markdown(["variant", "seeds", *columns], lines))


def study(
    data: str = "grid",
    seeds: list[int] | None = None,
    variants: list[str] | None = None,
    images: int = 0,
    minutes: float = 0.0,
    out: str = "",
) -> None:
    """Run what is missing, save after every run, print the table.

    Args:
        data: `grid` or `stacked_digits`.
        seeds: of initial weights, latents and order.
        variants: which; None for all.
        images: real images of each training; 0 for the protocol's.
        minutes: after which no further run is begun; 0 for no bound.
        out: results file, with the pictures beside it; empty for the study's own.
    """
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    length = images or IMAGES[data]
    network, accuracy = judge() if data == "stacked_digits" else (None, None)
    rows = Rows(
        Path(out) if out else RESULTS / f"mix_modes_{data}.json",
        __doc__,
        base=BASES[data],
        wide=WIDE[data],
        batch_size=BATCH[data],
        samples=SAMPLES[data],
        classifier_accuracy=accuracy,
    )
    began = time.monotonic()
    for seed in seeds if seeds is not None else list(range(1, 11 if data == "grid" else 4)):
        for variant in variants or VARIANTS:
            if rows.has(variant=variant, seed=seed, images=length):
                continue
            if minutes and time.monotonic() - began > 60 * minutes:
                break
            rows.leave([row(data, variant, seed, length, network, rows.path.parent)])
            print(rows[-1], flush=True)
    columns = ["modes", "high_quality" if data == "grid" else "kl", "kl", "cpu_seconds"]
    print(table([r for r in rows if r["images"] == length], list(dict.fromkeys(columns))))


def main(**words: Any) -> None:
    """Run the study."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("mix_modes", main)
