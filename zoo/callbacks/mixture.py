"""What the members of a mixture do: who beats whom, and whether they can be told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from zoo.callbacks.every import Every
from zoo.data import Images
from zoo.gan import GAN
from zoo.metrics import PrecisionRecall
from zoo.models.mix.mixgan import MixGAN
from zoo.rendering import pictures
from zoo.training.batch import Batch


class MixtureReport(Every):
    """For a `MixGAN`: the payoff matrix as a picture, samples of each member, and how separable the generators are.

    Every so many images it writes `mixture/IMAGES_payoffs.png` and `mixture/IMAGES_members.png` (a row for each
    generator, the same latents in each column) into the run folder, and logs `mixture/separability`. The weights
    themselves are logged by the model, with its terms. With a data module of the zoo each generator's precision and
    recall on pixels are logged, too; `python -m zoo.evaluate component=all` measures each in any features.

    Args:
        every: in images seen.
        samples: images of each generator by which they are told apart.
        seed: of the latents.
    """

    def __init__(self, every: int, samples: int = 400, seed: int = 0) -> None:
        super().__init__(every)
        if samples < 20:
            raise ValueError(f"samples must be at least 20, half of them to learn from; got {samples}")
        self.samples, self.seed = samples, seed
        self._batch: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse models without members."""
        if not isinstance(pl_module, MixGAN):
            raise ValueError(f"MixtureReport is for a MixGAN; got a {type(pl_module).__name__}")
        super().on_train_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Act when it is time, on the images of the round."""
        self._batch = batch
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Draw, measure, save and log."""
        if not trainer.is_global_zero or self._batch is None:
            return
        assert isinstance(model, MixGAN)
        folder = Path(trainer.default_root_dir) / "mixture"
        stem = f"{model.images_seen:012d}"
        real = Batch.of(self._batch)
        payoffs = model.payoffs(real if model.num_classes else Batch(real.images), seed=self.seed)
        rows = [f"G{i} {w:.2f}" for i, w in enumerate(model.generator_weights.tolist())]
        columns = [f"D{j} {w:.2f}" for j, w in enumerate(model.discriminator_weights.tolist())]
        pictures.save(pictures.matrix(payoffs.cpu().numpy(), rows, columns), folder / f"{stem}_payoffs.png")
        k = len(model.generator)
        labels = torch.arange(10) % model.num_classes if model.num_classes else None
        members = torch.cat([model.sample(10, component=i, seed=self.seed, labels=labels) for i in range(k)])
        pictures.save(pictures.grid(members, 10), folder / f"{stem}_members.png")
        found = {"mixture/separability": separability(model, self.samples, self.seed)}
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, Images):
            real_images = data.train.tensor(limit=self.samples)
            for i, scores in enumerate(precision_and_recall(model, real_images, self.seed)):
                found |= {f"mixture/{name}_{i}": value for name, value in scores.items()}
        for logger in trainer.loggers:
            logger.log_metrics(found, step=model.images_seen)


@torch.no_grad()
def precision_and_recall(
    model: MixGAN, real: Tensor, seed: int = 0, features: Callable[[Tensor], Tensor] | None = None
) -> list[dict[str, float]]:
    """Precision and recall (Kynkäänniemi et al. 2019) of each averaged generator by itself, both in [0, 1].

    What a specialist leaves out lowers its own recall and not necessarily the mixture's.

    Args:
        model: a mixture.
        real: images (N, C, H, W) in [-1, 1]; each generator draws as many.
        seed: of the latents; each generator draws its own.
        features: from images to (N, D), such as an extractor; None takes all pixels as they are.
    """
    describe = features or (lambda images: images.flatten(1))
    found = []
    for i in range(len(model.generator)):
        metric = PrecisionRecall()
        metric.update(describe(real), real=True)
        metric.update(describe(model.sample(len(real), component=i, seed=seed + i).cpu()), real=False)
        found.append({name: float(value) for name, value in metric.compute().items()})
    return found


def separability(model: MixGAN, samples: int = 400, seed: int = 0) -> float:
    """Share, in [0, 1], of images for which a classifier names the generator that drew them; 1/k is chance.

    15 nearest neighbours among half of the images, on the first 32 principal components of the pixels, judge the other
    half. Each generator draws latents of its own.

    Args:
        model: a mixture.
        samples: images of each averaged generator.
        seed: of the latents.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier

    k = len(model.generator)
    images = [model.sample(samples, component=i, seed=seed + i).flatten(1).cpu().numpy() for i in range(k)]
    half = samples // 2
    learn, judge = np.concatenate([x[:half] for x in images]), np.concatenate([x[half:] for x in images])
    answers = [np.repeat(np.arange(k), len(images[0][part])) for part in (slice(None, half), slice(half, None))]
    reduce = PCA(min(32, *learn.shape), random_state=0).fit(learn)
    nearest = KNeighborsClassifier(min(15, len(learn))).fit(reduce.transform(learn), answers[0])
    return float(nearest.score(reduce.transform(judge), answers[1]))
