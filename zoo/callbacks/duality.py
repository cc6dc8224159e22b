"""The duality gap over time."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from zoo.callbacks.every import Every
from zoo.data import Images
from zoo.errors import DataError
from zoo.evaluation.duality import duality_gap
from zoo.gan import GAN


class DualityGapEvery(Every):
    """Estimates the duality gap every so many images and logs it as `duality/gap`, with both gains and V.

    Each time two fresh networks are trained, so this costs what `2 * repeats * images` images of one player's training
    do. Training itself is not touched.

    Args:
        every: in images seen.
        images: real images that each answer learns from.
        repeats: answers for each side.
        seed: of everything drawn.
    """

    def __init__(self, every: int, images: int = 20_000, repeats: int = 1, seed: int = 0) -> None:
        super().__init__(every)
        self.images, self.repeats, self.seed = images, repeats, seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask for the data module, whose held-out images judge."""
        if not isinstance(self._data(trainer), Images):
            raise DataError("DualityGapEvery judges on held-out images: train with a data module of zoo.data")
        super().on_train_start(trainer, pl_module)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Estimate and log."""
        if not trainer.is_global_zero:
            return
        found = duality_gap(
            model,
            self._data(trainer),
            images=self.images,
            measure_every=max(1, self.images // 4),
            repeats=self.repeats,
            seed=self.seed,
        )
        numbers = {
            "duality/gap": found.gap,
            "duality/discriminator_gain": found.discriminator_gain,
            "duality/generator_gain": found.generator_gain,
            "duality/value": found.value,
        }
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=model.images_seen)

    @staticmethod
    def _data(trainer: Trainer) -> Any:
        return getattr(trainer, "datamodule", None)
