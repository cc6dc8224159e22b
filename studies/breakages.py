"""Ways of breaking a run at a known round, and an outside measure of when the damage shows.

The measure shares nothing with the alarms: other latents, other images, a trained classifier's features instead of
pixels, every round instead of every eighth.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

import zoo
from zoo.features.digits import DigitClassifier
from zoo.layers.spectral import Spectral
from zoo.training.seeding import seeded

RATE = 30.0
"""What a player's learning rate is multiplied by."""
FEW = 4
"""Latents that are left of a frozen generator."""
APPLY = {
    "generator_rate": ("DCGAN", "WGANGP", "ProGAN", "BigGAN"),
    "discriminator_rate": ("DCGAN", "WGANGP", "ProGAN", "BigGAN"),
    "penalty_off": ("WGANGP", "ProGAN"),
    "spectral_norm_off": ("BigGAN",),
    "frozen": ("DCGAN", "WGANGP", "ProGAN", "BigGAN"),
}
"""Which way of breaking suits which variant."""


def break_model(model: Any, kind: str) -> None:
    """Break a model in training from now on.

    `generator_rate` and `discriminator_rate` multiply one player's rate by 30; `penalty_off` sets the weight of the
    gradient penalty to 0 and `spectral_norm_off` makes every layer of the discriminator use its weight as it is, both
    with both rates at 10 times; `frozen` replaces each latent by one of four.
    """
    if kind in ("generator_rate", "discriminator_rate"):
        setattr(model, kind.replace("rate", "lr"), getattr(model, kind.replace("rate", "lr")) * RATE)
    elif kind == "penalty_off":
        model.objective.penalty = model.penalty = 0.0
    elif kind == "spectral_norm_off":
        for module in model.discriminator.modules():
            if isinstance(module, Spectral):
                module.normalised_weight = lambda module=module: module.weight  # type: ignore[method-assign]
    elif kind == "frozen":
        with seeded(7, model.device):
            table = model.sample_latent(FEW)
        generate = model.generate
        model.generate = lambda network, z, labels: generate(
            network, table[(z[:, 0] * 1e4).long().remainder(FEW)], labels
        )
    if kind in ("penalty_off", "spectral_norm_off"):
        model.generator_lr, model.discriminator_lr = 10 * model.generator_lr, 10 * model.discriminator_lr


class Breaks(Callback):
    """Breaks a run after a round, and writes down every round what an outsider sees.

    Args:
        kind: way of breaking; empty for none.
        after: the last healthy round.
        path: of the lines written, one for each round; empty for none.
        measure_from: first round that is measured.
        until: if positive, the last broken round: rates go back (only for `generator_rate`, `discriminator_rate`).
    """

    def __init__(self, kind: str, after: int, path: str = "", measure_from: int = 0, until: int = 0) -> None:
        self.kind, self.after, self.path, self.measure_from, self.until = kind, after, path, measure_from, until
        self._images: Tensor | None = None
        self._played = 0  # rounds of this process: unlike the model's, they never go back

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose real images that no alarm looks at, and load the classifier."""
        self._judge = DigitClassifier()
        self._data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._rates = pl_module.generator_lr, pl_module.discriminator_lr
        self._broken = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure, then break."""
        assert isinstance(pl_module, zoo.GAN)
        if self.path and pl_module.rounds >= self.measure_from:
            with open(self.path, "a") as file:
                file.write(json.dumps({"round": pl_module.rounds, **self.measure(trainer, pl_module)}) + "\n")
        if self.kind and not self._broken and pl_module.rounds >= self.after:
            break_model(pl_module, self.kind)
            self._broken = True
        elif self._broken and self.until and pl_module.rounds >= self.until:
            pl_module.generator_lr, pl_module.discriminator_lr = self._rates

    @torch.no_grad()
    def measure(self, trainer: Trainer, model: zoo.GAN, n: int = 128) -> dict[str, float]:
        """Diversity in a classifier's features and the spread of the discriminator's scores, on fresh inputs."""
        buffers = [(b, b.clone()) for b in (*model.generator.buffers(), *model.discriminator.buffers())]
        with seeded(1_000_000 + model.rounds, model.device):
            chosen = torch.randint(len(self._data.train), (n,))
            raw = self._data.train.batch(chosen, model.data_resolution(model.progress))
            images = raw.images.float() / 127.5 - 1
            real = model.prepare(zoo.Batch(images, raw.labels if model.num_classes else None))
            fake = zoo.Batch(model.generate(model.generator, model.sample_latent(n), real.labels), real.labels)
            scores = torch.cat(model.scores(real, fake)).float()
        for buffer, value in buffers:
            buffer.copy_(value)
        features, reals = (self._judge(x.images.float().clamp(-1, 1).nan_to_num()) for x in (fake, real))
        nearest = torch.cdist(features, features).fill_diagonal_(torch.inf).amin(1)
        finite = bool(scores.isfinite().all()) and bool(fake.images.isfinite().all())
        better = scores[:n, None] - scores[None, n:]  # every real image against every generated one
        return {
            "distance": torch.pdist(features).mean().item(),
            "nearest": nearest.median().item(),
            "to_real": torch.cdist(features, reals).amin(1).median().item(),
            "told_apart": (better > 0).float().mean().item() + (better == 0).float().mean().item() / 2,
            "scale": scores.std().item() if finite else float("inf"),
            "finite": finite,
        }


def onset(rows: list[dict[str, Any]], after: int) -> tuple[int | None, str]:
    """The first round after `after` in which the damage can be measured, and what shows it.

    Compared with the mean over the rounds up to `after`:

    - a value is not finite;
    - samples alike: the mean distance of two samples, in the classifier's features, falls below 0.6;
    - duplicates: the median distance to the nearest other sample falls below a quarter;
    - samples far off: the median distance to the nearest real image grows by half;
    - scores grow: their spread grows fourfold;
    - discriminator lost: the chance that a real image scores higher than a generated one keeps less than a quarter of
      what it was beyond a half.
    """
    before = [row for row in rows if row["round"] <= after]
    usual = {key: sum(row[key] for row in before) / len(before) for key in before[0] if key != "round"}
    for row in rows:
        if row["round"] <= after:
            continue
        signs = {
            "not finite": not row["finite"],
            "samples alike": row["distance"] < 0.6 * usual["distance"],
            "duplicates": row["nearest"] < 0.25 * usual["nearest"],
            "samples far off": row["to_real"] > 1.5 * usual["to_real"],
            "scores grow": row["scale"] > 4 * usual["scale"],
            "discriminator lost": row["told_apart"] - 0.5 < 0.25 * (usual["told_apart"] - 0.5),
        }
        shown = [name for name, is_so in signs.items() if is_so]
        if shown:
            return row["round"], shown[0]
    return None, ""


def read(path: str | Path) -> list[dict[str, Any]]:
    """Lines of a JSON-lines file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
