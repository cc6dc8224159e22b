"""ProGAN in training: Adam's state, batches of a stage, and which weights move."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer
from torch import Tensor

import zoo
from tests.helpers.growing_progan import tiny
from tests.helpers.training import train, weights
from zoo.data import Images, Pool
from zoo.models.progan_growth import Stage


class Steps(Callback):
    """Callback that records, after each round, each optimizer's step count of a weight in use; 0 if it was reset."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []

    def on_train_batch_end(self, trainer: Trainer, model: Any, *_: Any) -> None:
        owned = (model.discriminator.last.weight, model.generator.first.weight)
        states = [optimizer.state for optimizer in trainer.optimizers]
        assert [len(state) == 0 for state in states] == [weight not in state for state, weight in zip(states, owned)]
        d, g = (int(state[weight]["step"]) if weight in state else 0 for state, weight in zip(states, owned))
        self.counts.append((d, g))


def test_adams_state_is_forgotten_where_fades_begin_and_end_and_nowhere_else(tmp_path: Path) -> None:
    """With batches of 8 the first batch past image 32 ends at 40, then 64; 96 + 8 and 128."""
    steps = Steps()
    train(tiny(), 20, tmp_path, callbacks=[steps])
    expected = [1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4]
    assert steps.counts == [(n, n) for n in expected]


class Pixels(Images):
    """Data set of random images."""

    def __init__(self, pixels: NDArray[np.uint8], **images: Any) -> None:
        super().__init__(resolution=pixels.shape[1], channels=pixels.shape[3], held_out=0, **images)
        self.pixels = pixels

    def read(self) -> Pool:
        return Pool(self.pixels, None, "digest")


class Shapes(Callback):
    """Callback that records the clock and the shapes of the images that arrive."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self.images: list[Tensor] = []

    def on_train_batch_start(self, trainer: Trainer, model: Any, batch: zoo.Batch, batch_idx: int) -> None:
        assert batch.images.shape[2] == batch.images.shape[3]
        self.seen.append((model.images_seen, len(batch), batch.images.shape[3]))
        self.images.append(batch.images)


def test_images_arrive_at_the_resolution_and_in_the_batches_of_the_stage(tmp_path: Path) -> None:
    shapes, pixels = Shapes(), np.random.default_rng(0).integers(0, 256, (40, 16, 16, 2), dtype=np.uint8)
    data = Pixels(pixels, batch_size={4: 16, 8: 8, 16: 4})
    model = tiny()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        max_epochs=-1,
        enable_model_summary=False,
        max_steps=2 * 20,
        default_root_dir=tmp_path,
        callbacks=[shapes],
    )
    trainer.fit(model, data)
    expected = [(0, 16, 4), (16, 16, 4), (32, 16, 4)]  # at image 32 exactly, nothing has been faded in yet
    expected += [(seen, 8, 8) for seen in (48, 56, 64, 72, 80, 88, 96)]
    expected += [(seen, 4, 16) for seen in range(104, 144, 4)]
    assert shapes.seen == expected
    assert model.images_seen == 144
    order = [int(i) for _, i in zip(range(16), data._stream().between(0, 16))]
    boxes = pixels[data.train.indices[order]].reshape(16, 4, 4, 4, 4, 2).astype(np.float64).mean((2, 4))
    arrived = (shapes.images[0].permute(0, 2, 3, 1).numpy() + 1) * 127.5
    np.testing.assert_allclose(arrived, np.rint(boxes), atol=1e-3)


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_thirty_rounds_through_all_stages_move_every_weight_and_stay_finite(
    precision: str, num_classes: int, tmp_path: Path
) -> None:
    model = tiny(num_classes=num_classes)
    before = weights(model)
    train(model, 30, tmp_path, precision=precision)
    assert model.images_seen == 240  # growth ends at 128
    assert model.stage == Stage(16)
    model.assert_finite()
    assert all(math.isfinite(value) for value in model.last_terms.values())
    after = weights(model)
    assert not [name for name in before if torch.equal(before[name], after[name])]
    assert model.sample(3, seed=0).isfinite().all()


def test_what_is_not_in_use_yet_does_not_move(tmp_path: Path) -> None:
    model = tiny(hold_images=1000)
    before = weights(model)
    train(model, 5, tmp_path)
    moved = {name for name, value in weights(model).items() if not torch.equal(value, before[name])}
    assert moved
    waiting = ("blocks.", "to_rgb.1", "to_rgb.2", "from_rgb.1", "from_rgb.2")
    assert not [name for name in moved if name.split(".", 1)[1].startswith(waiting)]
