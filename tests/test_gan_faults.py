"""Faults that a GAN names: losses, first batches, labels, precisions, settings and arguments of `sample`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import Breaks, Noise, tiny_dcgan, tiny_mlp, train
from zoo.errors import RecipeError
from zoo.runs.recipes import load_recipe
from zoo.training.precision import precision_fault


class Endless:
    """Loader that yields the same batch without end."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self.batch


def test_a_loss_that_is_not_finite_stops_training_at_the_next_log(tmp_path: Path) -> None:
    model = tiny_mlp()
    with pytest.raises(zoo.NonFiniteLossError, match=r"d/adversarial = nan.*smaller learning rate"):
        train(model, 100, tmp_path, callbacks=[Breaks("weights", 12)], log_every_n_steps=10)
    assert model.rounds == 20
    with pytest.raises(zoo.NonFiniteLossError, match="not finite"):
        model.assert_finite()


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (torch.zeros(8, 3, 4, 4), r"\(3, 4, 4\) \(C, H, W\), the model was built for \(1, 4, 4\)"),
        ({"images": torch.randint(0, 255, (8, 1, 4, 4)).float()}, r"must be float in \[-1, 1\]; the first batch is"),
        ("text", "the loader yielded a str"),
    ],
)
def test_a_first_batch_that_does_not_fit_is_named(batch: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        train(tiny_mlp(), 1, tmp_path, loader=Endless(batch))


def test_labels_are_missed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"conditional \(num_classes=3\) but the data have no labels"):
        train(tiny_dcgan(num_classes=3), 1, tmp_path, loader=Noise((1, 16, 16)))


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (torch.tensor([0, 1, 2, 3]), r"\(4,\) torch.int64 from 0 to 3"),
        (torch.tensor([0, -1, 2, 1]), r"\(4,\) torch.int64 from -1 to 2"),
        (torch.tensor([0.0, 1, 2, 1]), r"\(4,\) torch.float32 from 0 to 2"),
        (torch.eye(3, dtype=torch.long)[[0, 1, 2, 0]], r"\(4, 3\) torch.int64 from 0 to 1"),
    ],
)
def test_labels_that_are_no_class_indices_are_named_before_an_embedding_fails(
    labels: torch.Tensor, found: str, tmp_path: Path
) -> None:
    batch = (torch.rand(4, 1, 16, 16) * 2 - 1, labels)
    with pytest.raises(ValueError, match=r"whole numbers from 0 to num_classes - 1 = 2; the first batch has " + found):
        train(tiny_dcgan(num_classes=3), 1, tmp_path, loader=Endless(batch))


def test_images_in_0_to_1_are_noticed(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"values from 0\S* to 0.9\S*: it looks like images in \[0, 1\].*2 \* images - 1"
    ):
        train(tiny_mlp(), 1, tmp_path, loader=Endless(torch.linspace(0, 0.99, 128).reshape(8, 1, 4, 4)))


def test_float16_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one loss scaler cannot serve two players"):
        train(tiny_mlp(), 1, tmp_path, precision="16-true")


class Forgetful(zoo.GAN):
    def __init__(self) -> None:
        mlp = tiny_mlp()
        super().__init__(mlp.generator, mlp.discriminator, mlp.objective, resolution=4, channels=1, latent_dim=3)


def test_a_variant_that_forgot_to_record_its_arguments_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Forgetful.*save_hyperparameters\(logger=False\)"):
        train(Forgetful(), 1, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("critic_steps", 0), ("micro_batches", 0), ("clip_norm", -1.0)])
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least .; got {value}"):
        tiny_mlp(**{name: value})


@pytest.mark.parametrize(
    ("precision", "reason"),
    [
        ("16-true", "one loss scaler cannot serve two players"),
        ("bf16-true", "lose small steps of Adam"),
        ("64-true", "latents and images are float32"),
    ],
)
def test_a_refused_precision_gives_the_same_reason_in_a_recipe_and_in_python(
    precision: str, reason: str, tmp_path: Path
) -> None:
    """Row W9."""
    with pytest.raises(ValueError, match=f"precision: {precision} is refused: .*{reason}.*bf16-mixed"):
        train(tiny_mlp(), 1, tmp_path, precision=precision)
    with pytest.raises(RecipeError, match=rf"trainer\.precision: {precision} is refused: .*{reason}"):
        load_recipe("dcgan_digits", {"trainer": {"precision": precision}})


def test_bf16_true_is_not_refused_with_the_reason_of_float16() -> None:
    """Row W9."""
    assert "loss scaler" not in str(precision_fault("bf16-true"))
    assert [precision_fault(name) for name in ("bf16-mixed", "32-true")] == [None, None]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"n": "4"}, "n is a whole number of at least 0; got '4'"),
        ({"n": 2.5}, "n is a whole number of at least 0; got 2.5"),
        ({"n": -1}, "n is a whole number of at least 0; got -1"),
        ({"n": 2, "truncation": [0.5]}, r"truncation is a positive number, or None for none; got \[0.5\]"),
        ({"n": 2, "truncation": "0.5"}, "truncation is a positive number"),
        ({"n": 2, "truncation": True}, "truncation is a positive number"),
        ({"n": 2, "labels": [3.7, 1.2]}, r"labels are whole numbers, the numbers of classes; got \[3.7, 1.2\]"),
        ({"n": 2, "labels": [True, False]}, "labels are whole numbers"),
        ({"n": 2, "labels": [None, 1]}, "labels are classes by number or name"),
        ({"n": 2, "labels": torch.tensor([0.5, 1.5])}, "labels are whole numbers"),
    ],
)
def test_arguments_of_sample_of_another_kind_are_refused(options: dict[str, Any], fault: str) -> None:
    """Row W7: 3.7 was class 3, and texts and lists ended in errors of torch."""
    model = zoo.DCGAN(resolution=16, channels=1, width=4, latent_dim=4, num_classes=5)
    with pytest.raises(ValueError, match=fault):
        model.sample(**options)
