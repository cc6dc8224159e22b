"""Callbacks of Lightning in the two-player loop: row M8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
)

import zoo
from tests.helpers.training import tiny_mlp, train
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("callback", "remedy"),
    [
        (EMAWeightAveraging(), "an average of the average. Set model.average_halflife"),
        (StochasticWeightAveraging(1e-2), "serves one optimizer.*set model.average_halflife"),
        (GradientAccumulationScheduler({0: 2}), "Set model.micro_batches"),
    ],
)
def test_callbacks_that_assume_one_network_are_refused(callback: Callback, remedy: str, tmp_path: Path) -> None:
    """Row M8: the first was accepted and saved an average of an average, the second ended in a traceback."""
    with pytest.raises(UserError, match=rf"callback {type(callback).__name__} is refused: .*{remedy}"):
        train(tiny_mlp(), 2, tmp_path, callbacks=[callback])
    mixture = zoo.MixGAN({"class": "VanillaGAN", "resolution": 4, "width": 4, "discriminator_width": 4}, components=2)
    with pytest.raises(UserError, match=remedy):
        train(mixture, 2, tmp_path, callbacks=[callback])


class Terms(Callback):
    """Callback that records the discriminator's loss of every round as the loop computed it, and what monitors see."""

    def __init__(self) -> None:
        self.sums: list[float] = []
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        total, count = pl_module._running._sums["d/adversarial"]
        self.sums.append(float(total) / count)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.seen.append(float(trainer.callback_metrics["d/adversarial"]))


def test_terms_can_be_monitored_at_the_end_of_any_epoch(tmp_path: Path) -> None:
    """Row M8: epochs of 7 rounds, where terms are logged every 50th; the best epoch is that of the smallest mean."""
    terms = Terms()
    best = ModelCheckpoint(tmp_path, monitor="d/adversarial", filename="{epoch}")
    train(tiny_mlp(), 7, tmp_path, callbacks=[terms, best], enable_checkpointing=True, max_epochs=4)
    ends = terms.sums[6::7]  # means since the start, at the end of each epoch
    assert terms.seen == pytest.approx(ends)
    assert Path(best.best_model_path).name == f"epoch={ends.index(min(ends))}.ckpt"
    assert float(best.best_model_score) == pytest.approx(min(ends))


def test_early_stopping_monitors_a_term(tmp_path: Path) -> None:
    """Row M8: no epoch is better by 10 than the one before, so patience ends after the second."""
    stopping = EarlyStopping("g/adversarial", patience=1, min_delta=10.0)
    assert train(tiny_mlp(), 7, tmp_path, callbacks=[stopping], max_epochs=5).current_epoch == 2
    with pytest.raises(RuntimeError, match=r"`d/nonsense` which is not available.*`d/adversarial`"):
        train(tiny_mlp(), 7, tmp_path, callbacks=[EarlyStopping("d/nonsense")], max_epochs=5)


def test_monitoring_leaves_training_bit_identical(tmp_path: Path) -> None:
    """Row M8: also when rounds are logged."""
    plain, monitored = tiny_mlp(), tiny_mlp()
    train(plain, 12, tmp_path, log_every_n_steps=5)
    train(monitored, 12, tmp_path, log_every_n_steps=5, callbacks=[EarlyStopping("d/adversarial", patience=9)])
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, monitored.state_dict()[name])
