"""Ways of breaking a run in a known round, and an independent measurement of the onset of the damage.

The measurement shares nothing with the alarms: it uses other latents, other images, a trained classifier's features
instead of pixels, and every round instead of every tenth.
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
"""Factor on a player's learning rate."""
FEW = 4
"""Number of different latents of a frozen generator."""
APPLY = {
    "generator_rate": ("DCGAN", "WGANGP", "ProGAN", "BigGAN"),
    "discriminator_rate": ("DCGAN", "WGANGP", "ProGAN", "BigGAN"),
    "penalty_off": ("WGANGP", "ProGAN"),
    "spectral_norm_off": ("BigGAN",),
    "frozen": ("DCGAN", "WGANGP", "ProGAN", "BigGAN"),
}
"""Variants that each way of breaking applies to."""


def break_model(model: Any, kind: str) -> None:
    """Break a model, in place, for the rest of its training.

    `generator_rate` and `discriminator_rate` multiply one player's learning rate by 30. `penalty_off` sets the weight
    of the gradient penalty to 0, and `spectral_norm_off` removes the normalisation from every layer of the
    discriminator; both also multiply both learning rates by 10. `frozen` replaces each latent by one of four.

    Args:
        model: the model.
        kind: way of breaking it, a key of `APPLY`.
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
    """Callback that breaks a run after a round, and measures the damage in every round.

    Args:
        kind: way of breaking, a key of `APPLY`; empty for none.
        after: last healthy round.
        path: file of the measurements, one line for each round; empty for none.
        measure_from: first round that is measured.
        until: last broken round, after which the learning rates are restored (only for `generator_rate` and
            `discriminator_rate`); 0 for none.
    """

    def __init__(self, kind: str, after: int, path: str = "", measure_from: int = 0, until: int = 0) -> None:
        self.kind, self.after, self.path, self.measure_from, self.until = kind, after, path, measure_from, until
        self._images: Tensor | None = None
        self._played = 0  # rounds of this process: unlike the model's, they never go back

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load the classifier and record the learning rates."""
        self._classifier = DigitClassifier()
        self._data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._rates = pl_module.generator_lr, pl_module.discriminator_lr
        self._broken = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the damage, and break the model after its last healthy round."""
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
        """Measure diversity in a classifier's features, and the discriminator's scores, on n new images per side."""
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
        features, reals = (self._classifier(x.images.float().clamp(-1, 1).nan_to_num()) for x in (fake, real))
        nearest = torch.cdist(features, features).fill_diagonal_(torch.inf).amin(1)
        finite = bool(scores.isfinite().all()) and bool(fake.images.isfinite().all())
        margin = scores[:n, None] - scores[None, n:]  # of every real image over every generated one
        return {
            "distance": torch.pdist(features).mean().item(),
            "nearest": nearest.median().item(),
            "to_real": torch.cdist(features, reals).amin(1).median().item(),
            "told_apart": (margin > 0).float().mean().item() + (margin == 0).float().mean().item() / 2,
            "scale": scores.std().item() if finite else float("inf"),
            "finite": finite,
        }


def onset(rows: list[dict[str, Any]], after: int) -> tuple[int | None, str]:
    """Find the first round after `after` in which the damage is measurable, and the sign of the damage.

    Signs, compared with the mean over the rounds up to `after`:

    - not finite: a value is not finite;
    - samples alike: the mean distance of two samples, in the classifier's features, falls below 0.6 times the mean;
    - duplicates: the median distance to the nearest other sample falls below a quarter;
    - samples far off: the median distance to the nearest real image rises above 1.5 times;
    - scores grow: the spread of the scores rises above four times;
    - discriminator lost: the probability that a real image scores higher than a generated one, less one half, falls
      below a quarter.

    Args:
        rows: measurements of all rounds.
        after: last healthy round.

    Returns:
        The round, or None, and the sign, or an empty text.
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
        present = [name for name, is_present in signs.items() if is_present]
        if present:
            return row["round"], present[0]
    return None, ""


def read(path: str | Path) -> list[dict[str, Any]]:
    """Read a JSON-lines file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
