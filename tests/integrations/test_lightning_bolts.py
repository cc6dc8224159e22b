"""Tests of the adapter for lightning-bolts: its data modules and two callbacks, in a recipe by class path."""

from __future__ import annotations

import gzip
import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import zoo
from tests.helpers import processes
from tests.helpers.training import equal, tiny_biggan, weights
from zoo.config.class_names import class_path, find_class
from zoo.errors import RecipeError, UserError
from zoo.integrations import lightning_bolts as bolts
from zoo.runs.recipes import load_recipe

installed = pytest.mark.skipif(
    importlib.util.find_spec("pl_bolts") is None, reason="pip install --no-deps lightning-bolts==0.7.0"
)
SAMPLER, WALK = "pl_bolts.callbacks.TensorboardGenerativeModelImageSampler", "pl_bolts.callbacks.LatentDimInterpolator"
FASHION = "pl_bolts.datamodules.FashionMNISTDataModule"


def idx_files(root: Path, name: str, n: int = 40) -> None:
    """Write files in the layout of torchvision's MNIST; each image has a constant grey level."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = np.repeat(np.arange(n, dtype=np.uint8) * 6, 784).reshape(n, 28, 28)
        content = {
            f"{part}-images-idx3-ubyte": struct.pack(">IIII", 2051, n, 28, 28) + images.tobytes(),
            f"{part}-labels-idx1-ubyte": struct.pack(">II", 2049, n) + bytes(i % 10 for i in range(n)),
        }
        for file, data in content.items():
            (raw / file).write_bytes(data)
            (raw / f"{file}.gz").write_bytes(gzip.compress(data))


def test_nothing_is_touched_until_a_class_of_it_is_asked_for() -> None:
    code = (
        "import zoo, sys; from zoo.config.class_names import find_class; "
        "find_class('DCGAN'); find_class('zoo.training.clock.Schedule'); "
        "print(*(name in sys.modules for name in ('pl_bolts', 'pytorch_lightning.utilities.apply_func')))"
    )
    done = processes.run(["-c", code])
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_without_it_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps lightning-bolts==0.7.0"):
        find_class(SAMPLER)


@installed
def test_its_gans_are_refused_with_what_to_use_instead() -> None:
    for name, instead in (
        ("DCGAN", "use DCGAN of the zoo; zoo.hub.convert"),
        ("GAN", "use VanillaGAN of the zoo"),
        ("Pix2Pix", "the zoo has nothing like it"),
    ):
        with pytest.raises(UserError, match=f"{name} of pl_bolts does not train under Lightning 2.*{instead}"):
            find_class(f"pl_bolts.models.gans.{name}")


@installed
def test_settings_are_checked_like_those_of_our_own_classes() -> None:
    changes = {
        "callbacks": {"bolts": {"class": SAMPLER, "num_sample": 3}, "walk": {"class": WALK, "every": 5, "steps": "x"}}
    }
    with pytest.raises(RecipeError) as caught:
        load_recipe("dcgan_digits", changes)
    assert set(caught.value.faults) == {
        "callbacks.bolts.num_sample: TensorboardGenerativeModelImageSampler has no setting of that name. "
        "Did you mean num_samples?",
        "callbacks.bolts.every: missing; TensorboardGenerativeModelImageSampler needs it (an integer)",
        "callbacks.walk.steps: 'x' is not an integer",
    }
    assert class_path(find_class(WALK)).endswith("LatentDimInterpolator")


@installed
def test_its_data_module_gives_what_our_models_want(tmp_path: Path) -> None:
    idx_files(tmp_path, "FashionMNIST")
    for normalize in (False, True):
        data = find_class(FASHION)(
            data_dir=str(tmp_path), normalize=normalize, resolution=16, batch_size=8, shuffle=False
        )
        data.setup("fit")
        batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
        assert batch.images.shape == (8, 1, 16, 16)
        greys = {round(float(value), 3) for value in batch.images.unique()}
        expected = {round(level * 6 / 127.5 - 1, 3) for level in range(40)}
        assert all(min(abs(grey - one) for one in expected) < 2e-3 for grey in greys)
        assert batch.labels is not None
        levels = ((batch.images.mean((1, 2, 3)) + 1) * 127.5 / 6).round().long()
        assert torch.equal(levels % 10, batch.labels)


@installed
def test_data_and_callbacks_work_in_a_recipe(tmp_path: Path) -> None:
    idx_files(tmp_path / "data", "FashionMNIST")
    changes: dict[str, Any] = {
        "images": 96,
        "trainer": {"accelerator": "cpu"},
        "model": {"width": 4, "latent_dim": 6, "num_classes": 10},
        "data": {
            "class": FASHION,
            "data_dir": str(tmp_path / "data"),
            "batch_size": 16,
            "resolution": 16,
            "pin_memory": False,
            "drop_last": True,
        },
        "callbacks": {
            "SampleMetrics": None,
            "SampleGrid": None,
            "pictures": {"class": SAMPLER, "every": 48, "num_samples": 5, "normalize": True, "norm_range": [-1, 1]},
            "walk": {"class": WALK, "every": 96, "steps": 3},
        },
    }
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", **changes)
    assert run.model.images_seen == 96
    log = EventAccumulator(str(tmp_path / "run/tensorboard"), size_guidance={"images": 0}).Reload()
    assert [event.step for event in log.Images("DCGAN_images")] == [48, 96]
    assert [event.step for event in log.Images("DCGAN_latent_space")] == [96]
    (walk,) = log.Images("DCGAN_latent_space")
    assert (walk.width, walk.height) == (3 * 18 + 2, 3 * 18 + 2)
    assert "class: pl_bolts" in (tmp_path / "run/recipe.yaml").read_text()
    assert equal(weights(zoo.load_run(tmp_path / "run")), weights(run.model))  # its recipe finds the classes again


@installed
def test_a_callback_of_it_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    find_class(WALK)
    model = tiny_biggan().train()
    before, state = weights(model), torch.random.get_rng_state()
    seen = bolts._Sampler(model)
    seen.eval()
    images = seen(torch.randn(5, seen.hparams.latent_dim, generator=torch.Generator().manual_seed(0)))
    seen.train()
    assert images.shape == (5, 1, 16, 16)
    assert type(seen).__name__ == "BigGAN"
    assert equal(before, weights(model))
    assert torch.equal(state, torch.random.get_rng_state())
    assert model.generator.training
