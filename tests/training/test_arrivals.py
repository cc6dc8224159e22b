"""Tests of what a loader gives in later rounds, and of what is never saved: row I6."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import zoo
from tests.helpers.training import Breaks, Noise, identical, tiny_biggan, tiny_mlp, train
from zoo.errors import DataError
from zoo.training.arrivals import Arrivals


def nan_at(round_number: int, image: int = 0) -> Iterator[zoo.Batch]:
    for i, batch in enumerate(Noise((1, 4, 4))):
        if i == round_number:
            batch.images[image, 0, 2, 1] = float("nan")
        yield batch


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("weights", "discriminator"),
        ("average", "average"),
        ("optimizer", "exp_avg_sq 0 of optimizer 0"),
    ],
)
def test_no_checkpoint_of_a_state_that_is_not_finite(what: str, named: str, tmp_path: Path) -> None:
    """Row I6: whoever asks for it, a state with NaN or infinity in it is never saved."""
    trainer = train(tiny_mlp(), 3, tmp_path, callbacks=[Breaks(what, 3)])
    with pytest.raises(zoo.NonFiniteLossError, match=rf"weights are not finite: .*{named}"):
        trainer.save_checkpoint(tmp_path / "broken.ckpt")
    assert not (tmp_path / "broken.ckpt").exists()


def test_a_buffer_that_is_infinite_by_design_can_be_saved(tmp_path: Path) -> None:
    model = tiny_mlp()
    model.discriminator.register_buffer("mask", torch.full((2,), float("-inf")))
    train(model, 2, tmp_path).save_checkpoint(tmp_path / "kept.ckpt")
    assert (tmp_path / "kept.ckpt").is_file()


def test_an_image_that_is_not_finite_is_named_at_the_next_log(tmp_path: Path) -> None:
    """Row I6: a NaN image names its batch, not the learning rate."""
    with pytest.raises(
        DataError, match=r"in the batch of round 13 \(after 96 images\) image 5 \(of 8, from 0\) has NaN or infinity"
    ):
        train(tiny_mlp(), 100, tmp_path, loader=nan_at(12, image=5), log_every_n_steps=10)


def test_a_checkpoint_is_refused_as_soon_as_an_image_was_not_finite(tmp_path: Path) -> None:
    """Row I6: nothing is saved after the round of a NaN image, though the next log is far."""

    class Saves(Callback):
        def on_train_batch_end(self, trainer: Any, model: Any, *_: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{model.rounds}.ckpt")

    with pytest.raises(DataError, match="in the batch of round 3 "):
        train(tiny_mlp(), 9, tmp_path, loader=nan_at(2), callbacks=[Saves()], log_every_n_steps=1000)
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["1.ckpt", "2.ckpt"]


def labelled(dtype: torch.dtype, bad_round: int | None = None, images: torch.dtype = torch.float32) -> Iterator[Any]:
    for i, batch in enumerate(Noise((1, 16, 16), classes=2)):
        assert batch.labels is not None
        labels = torch.where(torch.arange(8) == 3, 7, batch.labels) if i == bad_round else batch.labels
        yield batch.images.to(images), labels.to(dtype)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.int16])
def test_a_label_out_of_range_is_named_before_its_round(dtype: torch.dtype, tmp_path: Path) -> None:
    """Row I6: a label out of range after the first batch names its batch; no index error, and no round is played."""
    model = tiny_biggan(num_classes=2)
    with pytest.raises(
        DataError,
        match=r"from 0 to num_classes - 1 = 1; in the batch of round 4 \(after 24 images\) label 3 \(of 8, from 0\)",
    ):
        train(model, 9, tmp_path, loader=labelled(dtype, 3), log_every_n_steps=5)
    assert model.rounds == 3


def test_a_label_on_a_device_is_named_at_the_next_log() -> None:
    """Row I6: what only the device knows is checked when it is waited for anyway; until then the nearest class."""
    arrivals = Arrivals(3)
    labels = torch.tensor([0, 2, 5, -1])
    safe = arrivals.add(zoo.Batch(torch.zeros(4, 1, 2, 2), labels), 7, 24)
    assert safe.labels is not None
    assert safe.labels.tolist() == [0, 2, 2, 0]
    arrivals.check_on_host(labels.to("meta"), 7, 24)  # left to `check`
    with pytest.raises(DataError, match=r"of round 7 \(after 24 images\) labels 2, 3 \(of 4, from 0\) have another"):
        arrivals.check()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.bool])
def test_labels_of_any_integer_type_train_the_same_model(dtype: torch.dtype, tmp_path: Path) -> None:
    """Row I6: uint8, int16 and bool labels work as int64 ones do."""
    expected, model = tiny_biggan(num_classes=2), tiny_biggan(num_classes=2)
    train(expected, 2, tmp_path, loader=labelled(torch.int64))
    train(model, 2, tmp_path, loader=labelled(dtype))
    assert identical(model.state_dict(), expected.state_dict())


def test_float64_images_train_a_float32_model(tmp_path: Path) -> None:
    """Row I6: images of float64, as NumPy gives them, work as float32 ones do."""
    expected, model = tiny_biggan(num_classes=2), tiny_biggan(num_classes=2)
    train(expected, 2, tmp_path, loader=labelled(torch.int64))
    train(model, 2, tmp_path, loader=labelled(torch.int64, images=torch.float64))
    assert identical(model.state_dict(), expected.state_dict())


class Coarse(zoo.DCGAN):
    """Model of three superclasses, which it makes of the thirty classes of the data."""

    makes_labels = True

    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        assert real.labels is not None
        self.seen = real.labels
        return zoo.Batch(real.images, real.labels // 10)


def test_a_model_that_makes_its_labels_gets_those_of_the_data_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Coarse(resolution=16, channels=1, latent_dim=5, width=4, num_classes=3)
    batches = list(islice(Noise((1, 16, 16), classes=30), 2))
    train(model, 2, tmp_path, loader=iter(batches), log_every_n_steps=1)
    assert batches[-1].labels is not None
    assert int(model.seen.max()) > 2
    assert torch.equal(model.seen, batches[-1].labels)


class CountsLogs(zoo.VanillaGAN):
    """Model that counts how often the host waits for its losses."""

    logs = 0

    def log_terms(self) -> None:
        self.logs += 1
        super().log_terms()


def test_a_trainer_that_never_logs_does_not_wait_for_losses(tmp_path: Path) -> None:
    model = CountsLogs(resolution=4, width=8)
    train(model, 5, tmp_path, log_every_n_steps=0)
    assert model.logs == 1  # at the end


def test_what_is_remembered_of_batches_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("zoo.training.arrivals.MOST", 4)
    with pytest.raises(DataError, match=r"in the batch of round 3 \(after 16 images\) image 0"):
        train(tiny_mlp(), 4, tmp_path, loader=nan_at(2), log_every_n_steps=100)
