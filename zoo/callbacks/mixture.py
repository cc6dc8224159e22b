"""Reports on the members of a mixture: payoffs, samples, and how separable the generators are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from zoo.callbacks.every import Every
from zoo.data import Images
from zoo.gan import GAN
from zoo.io.room import spared
from zoo.metrics import PrecisionRecall
from zoo.models.mix.mixgan import MixGAN
from zoo.rendering import pictures
from zoo.training.batch import Batch


class MixtureReport(Every):
    """Callback for a `MixGAN` that reports its payoff matrix, samples of each generator, and their separability.

    Every `every` images it writes `mixture/IMAGES_payoffs.png` and `mixture/IMAGES_members.png` (a row for each
    generator, the same latents in each column) into the run folder, and logs `mixture/separability`. The weights
    themselves are logged by the model, with its terms. With a data module of the zoo it also logs each generator's
    precision and recall on pixels; `python -m zoo.evaluate component=all` measures each in any features.

    Args:
        every: images seen from one report to the next.
        samples: images of each generator from which separability is measured, at least 20.
        seed: seed of the latents.
    """

    def __init__(self, every: int, samples: int = 400, seed: int = 0) -> None:
        super().__init__(every)
        if samples < 20:
            raise ValueError(f"samples must be at least 20, half of them to learn from; got {samples}")
        self.samples, self.seed = samples, seed
        self._batch: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse models that are not mixtures."""
        if not isinstance(pl_module, MixGAN):
            raise ValueError(f"MixtureReport is for a MixGAN; got a {type(pl_module).__name__}")
        super().on_train_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the images of the round, and report if it is due."""
        self._batch = batch
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Write the pictures and log the measures."""
        if not trainer.is_global_zero:
            return
        assert isinstance(model, MixGAN)
        folder = Path(trainer.default_root_dir) / "mixture"
        stem = f"{model.images_seen:012d}"
        self._save_payoffs(trainer, model, folder / f"{stem}_payoffs.png")
        k = len(model.generator)
        labels = torch.arange(10) % model.num_classes if model.num_classes else None
        samples = torch.cat([model.member(i).sample(10, seed=self.seed, labels=labels) for i in range(k)])
        with spared("pictures of the mixture", folder):
            pictures.save(pictures.grid(samples, 10), folder / f"{stem}_members.png")
        measures = {"mixture/separability": separability(model, self.samples, self.seed)}
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, Images):
            real_images = data.train.tensor(limit=self.samples)
            for i, scores in enumerate(precision_and_recall(model, real_images, self.seed)):
                measures |= {f"mixture/{name}_{i}": value for name, value in scores.items()}
        for logger in trainer.loggers:
            logger.log_metrics(measures, step=model.images_seen)

    def _save_payoffs(self, trainer: Trainer, model: MixGAN, path: Path) -> None:
        """Draw the payoff matrix, on the batch that comes next by the clock.

        So a run that was killed before its last report gets the same one when it is resumed. With a loader that has no
        clock it is the batch of the last round, if there was one since the start.
        """
        data = getattr(trainer, "datamodule", None)
        batch = data.next_batch().to(model.device) if isinstance(data, Images) else self._batch
        if batch is None:
            rank_zero_warn(f"no payoffs at {model.images_seen:,} images: no batch has come since the run was resumed")
            return
        real = Batch.of(batch)
        payoffs = model.payoffs(real if model.num_classes else Batch(real.images), seed=self.seed)
        rows = [f"G{i} {w:.2f}" for i, w in enumerate(model.generator_weights.tolist())]
        columns = [f"D{j} {w:.2f}" for j, w in enumerate(model.discriminator_weights.tolist())]
        with spared("pictures of the mixture", path.parent):
            pictures.save(pictures.matrix(payoffs.cpu().numpy(), rows, columns), path)


@torch.no_grad()
def precision_and_recall(
    model: MixGAN, real: Tensor, seed: int = 0, features: Callable[[Tensor], Tensor] | None = None
) -> list[dict[str, float]]:
    """Measure precision and recall (Kynkäänniemi et al. 2019) of each averaged generator separately, in [0, 1].

    Images that a specialised generator never draws lower its own recall and not necessarily the mixture's.

    Args:
        model: a mixture.
        real: real images (N, C, H, W) in [-1, 1]; each generator draws as many.
        seed: seed of the latents, which differ between generators.
        features: function from images to features (N, D), such as an extractor; None takes the pixels.
    """
    describe = features or (lambda images: images.flatten(1))
    scores = []
    for i in range(len(model.generator)):
        metric = PrecisionRecall()
        metric.update(describe(real), real=True)
        metric.update(describe(model.member(i).sample(len(real), seed=seed + i).cpu()), real=False)
        scores.append({name: float(value) for name, value in metric.compute().items()})
    return scores


def separability(model: MixGAN, samples: int = 400, seed: int = 0) -> float:
    """Measure the accuracy, in [0, 1], of a classifier that names the generator of an image; 1/k is chance.

    The 15 nearest neighbours among half of the images, on the first 32 principal components of the pixels, classify the
    other half.

    Args:
        model: a mixture.
        samples: number of images of each averaged generator.
        seed: seed of the latents, which differ between generators.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier

    k = len(model.generator)
    images = [model.member(i).sample(samples, seed=seed + i).flatten(1).cpu().numpy() for i in range(k)]
    half = samples // 2
    train, test = np.concatenate([x[:half] for x in images]), np.concatenate([x[half:] for x in images])
    generators = [np.repeat(np.arange(k), len(images[0][part])) for part in (slice(None, half), slice(half, None))]
    projection = PCA(min(32, *train.shape), random_state=0).fit(train)
    classifier = KNeighborsClassifier(min(15, len(train))).fit(projection.transform(train), generators[0])
    return float(classifier.score(projection.transform(test), generators[1]))
