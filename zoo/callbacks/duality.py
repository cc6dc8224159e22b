"""Callback that estimates the duality gap during training."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from zoo.callbacks.every import Every
from zoo.data import Images
from zoo.errors import DataError
from zoo.evaluation.duality import duality_gap
from zoo.gan import GAN


class DualityGapEvery(Every):
    """Callback that estimates the duality gap at regular intervals and logs it as `duality/gap`, with both gains and V.

    Each estimate trains `2 * repeats` new networks on `images` real images each; see `zoo.duality_gap`. The training of
    the model is not affected.

    Args:
        every: interval in images seen.
        images: number of real images that each best response is trained on.
        repeats: number of best responses per side.
        seed: seed of all random draws.
    """

    def __init__(self, every: int, images: int = 20_000, repeats: int = 1, seed: int = 0) -> None:
        super().__init__(every)
        self.images, self.repeats, self.seed = images, repeats, seed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that there is a data module of zoo.data, whose held-out images are needed.

        Raises:
            DataError: if there is none.
        """
        if not isinstance(self._data(trainer), Images):
            raise DataError("DualityGapEvery needs held-out images: train with a data module of zoo.data")
        super().on_train_start(trainer, pl_module)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Estimate the duality gap and log it, on rank 0."""
        if not trainer.is_global_zero:
            return
        estimate = duality_gap(
            model,
            self._data(trainer),
            images=self.images,
            measure_every=max(1, self.images // 4),
            repeats=self.repeats,
            seed=self.seed,
        )
        numbers = {
            "duality/gap": estimate.gap,
            "duality/discriminator_gain": estimate.discriminator_gain,
            "duality/generator_gain": estimate.generator_gain,
            "duality/value": estimate.value,
        }
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=model.images_seen)

    @staticmethod
    def _data(trainer: Trainer) -> Any:
        return getattr(trainer, "datamodule", None)
