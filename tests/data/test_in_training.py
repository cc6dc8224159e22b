"""Tests of data modules in a Lightning Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

import zoo
from zoo.callbacks import SaveEvery, StopAt
from zoo.data import Digits, Folder, Images, Pool
from zoo.data.pool import content_digest
from zoo.data.stream import Stream
from zoo.errors import DataError
from zoo.io.run_folder import checkpoints_in


class Planted(Images):
    """A source with given pixels (N, H, W, C) and labels."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64] | None = None, **images: Any) -> None:
        super().__init__(resolution=pixels.shape[1], channels=pixels.shape[3], **{"held_out": 0, **images})
        self.pixels, self.labels = pixels, labels

    def read(self) -> Pool:
        return Pool(self.pixels, self.labels, content_digest(self.pixels))


class Recorder(Callback):
    """A callback that keeps every batch as the model receives it."""

    def __init__(self) -> None:
        self.batches: list[zoo.Batch] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: zoo.Batch, batch_idx: int
    ) -> None:
        self.batches.append(batch)

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the images that were seen, in order."""
        return [n for batch in self.batches for n in ((batch.images[:, 0, 0, 0] + 1) * 127.5).round().long().tolist()]


def numbered(count: int, size: int = 2, channels: int = 1) -> NDArray[np.uint8]:
    """Return images with a constant grey level, which is the number of the image."""
    return np.repeat(np.arange(count, dtype=np.uint8), size * size * channels).reshape(count, size, size, channels)


def tiny(data: Images, **settings: Any) -> zoo.VanillaGAN:
    return zoo.VanillaGAN(
        resolution=data.resolution,
        channels=data.channels,
        latent_dim=32,
        layers=1,
        width=4,
        discriminator_layers=1,
        discriminator_width=4,
        pieces=2,
        **settings,
    )


def fit(model: zoo.GAN, data: Images, folder: Path, *callbacks: Callback, **settings: Any) -> Trainer:
    plain: dict[str, Any] = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    }
    resume = settings.pop("ckpt_path", None)
    trainer = Trainer(**{**plain, **settings}, callbacks=list(callbacks), default_root_dir=folder)
    trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
    return trainer


# --- epochs and the clock --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "batch_size"), [(20, 8), (24, 8), (7, 7), (9, 1)])
def test_two_epochs_are_twice_as_many_rounds_as_the_set_fills(count: int, batch_size: int, tmp_path: Path) -> None:
    data = Planted(numbered(count), batch_size=batch_size)
    model = tiny(data)
    fit(model, data, tmp_path, max_epochs=2)
    assert model.rounds == 2 * (count // batch_size)
    assert model.images_seen == model.rounds * batch_size


def test_an_epoch_leaves_out_the_held_out_images(tmp_path: Path) -> None:
    data, seen = Planted(numbered(100), batch_size=8, held_out=0.2), Recorder()
    model = tiny(data)
    fit(model, data, tmp_path, seen, max_epochs=3)
    assert model.rounds == 3 * 10
    assert set(seen.numbers) == set(data.train.indices.tolist())
    assert not set(seen.numbers) & set(data.held_out.indices.tolist())


def test_the_second_epoch_begins_with_the_image_after_the_first_epochs_last(tmp_path: Path) -> None:
    data, seen = Planted(numbered(20), batch_size=8, seed=6), Recorder()
    fit(tiny(data), data, tmp_path, seen, max_epochs=4)
    assert seen.numbers == Stream(20, 8, seed=6).between(0, 4 * 16).tolist()


def test_without_a_bound_on_epochs_the_loader_has_no_end(tmp_path: Path) -> None:
    data, seen = Planted(numbered(20), batch_size=8), Recorder()
    model = tiny(data)
    trainer = fit(model, data, tmp_path, seen, StopAt(100), max_epochs=-1)
    assert model.images_seen == 104  # 13 batches of 8: across five epochs
    assert seen.numbers == Stream(20, 8).between(0, 104).tolist()
    with pytest.raises(TypeError, match="no end"):
        len(trainer.train_dataloader)


def test_under_a_bound_on_epochs_the_loader_is_as_long_as_the_set_fills(tmp_path: Path) -> None:
    data = Planted(numbered(20), batch_size=8)
    assert len(fit(tiny(data), data, tmp_path, max_epochs=1).train_dataloader) == 2


@pytest.mark.parametrize("epochs", [-1, 5])
def test_a_resumed_run_goes_on_with_the_next_image(epochs: int, tmp_path: Path) -> None:
    unbroken, before, after = Recorder(), Recorder(), Recorder()
    make = lambda: Planted(numbered(26), batch_size=8, seed=2)  # noqa: E731  # 3 rounds in an epoch
    model = tiny(make())
    fit(model, make(), tmp_path, unbroken, StopAt(120), max_epochs=epochs)
    assert model.images_seen == 120
    first = tiny(make())
    fit(first, make(), tmp_path, before, StopAt(40), SaveEvery(40), max_epochs=epochs)  # in the middle of the second
    second, state = tiny(make()), checkpoints_in(tmp_path)[0]
    fit(second, make(), tmp_path, after, StopAt(120), max_epochs=epochs, ckpt_path=state)
    assert (first.images_seen, second.images_seen) == (40, 120)
    assert before.numbers + after.numbers == unbroken.numbers


def test_a_checkpoint_of_other_data_is_refused_by_the_trainer(tmp_path: Path) -> None:
    data = Planted(numbered(20), batch_size=8)
    fit(tiny(data), data, tmp_path).save_checkpoint(tmp_path / "state.ckpt")
    other, model = Planted(numbered(21), batch_size=8), tiny(data)
    with pytest.raises(DataError, match=r"trained on 20 images .* now gives 21"):
        fit(model, other, tmp_path, max_epochs=2, ckpt_path=tmp_path / "state.ckpt")
    assert model.rounds == 2  # those of the checkpoint and no more


def test_reader_processes_do_not_change_what_is_seen(tmp_path: Path) -> None:
    runs = [Recorder(), Recorder()]
    for workers, seen in enumerate(runs):
        data = Planted(numbered(20), batch_size=8, num_workers=workers)
        fit(tiny(data), data, tmp_path, seen, max_epochs=2)
    assert runs[0].numbers == runs[1].numbers
    assert len(runs[0].numbers) == 32


# --- what a batch is -------------------------------------------------------------------------------------------------


def test_batches_are_float_in_channels_last(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).choice(np.array([0, 255], dtype=np.uint8), size=(32, 4, 4, 3))
    data, seen = Planted(pixels, np.arange(32), batch_size=8), Recorder()
    fit(tiny(data), data, tmp_path, seen)
    assert len(seen.batches) == 4
    for batch in seen.batches:
        assert batch.images.dtype == torch.float32
        assert batch.images.shape == (8, 3, 4, 4)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert not batch.images.is_contiguous()
        assert batch.labels is not None
        assert torch.equal(batch.images, torch.from_numpy(pixels[batch.labels]).permute(0, 3, 1, 2) / 127.5 - 1)
        assert set(batch.images.unique().tolist()) == {-1.0, 1.0}


def lopsided(count: int) -> NDArray[np.uint8]:
    """Return images whose left column is their number (below 128) and whose right column is 255."""
    pixels = np.full((count, 2, 2, 3), 255, dtype=np.uint8)
    pixels[:, :, 0] = np.arange(count, dtype=np.uint8)[:, None, None] % 128
    return pixels


def mirrored(images: Tensor) -> Tensor:
    """Return for each image (B,) whether its white column is on the left."""
    return images[:, 0, 0, 0] == 1.0


def test_flip_mirrors_about_half_of_the_images_and_nothing_else(tmp_path: Path) -> None:
    pixels = lopsided(640)
    data, seen = Planted(pixels, np.arange(640), batch_size=64, flip=True), Recorder()
    fit(tiny(data), data, tmp_path, seen)
    shown = torch.cat([batch.images for batch in seen.batches])
    labels = torch.cat([batch.labels for batch in seen.batches if batch.labels is not None])
    assert sorted(labels.tolist()) == list(range(640))
    which = mirrored(shown)
    assert 0.42 < which.float().mean() < 0.58  # four deviations of 2 % each
    upright = torch.where(which[:, None, None, None], shown.flip(3), shown)
    assert torch.equal(((upright + 1) * 127.5).round().byte(), torch.from_numpy(pixels[labels]).permute(0, 3, 1, 2))
    assert len({tuple(mirrored(batch.images).tolist()) for batch in seen.batches}) == 10  # drawn again for every batch
    assert shown.is_contiguous(memory_format=torch.channels_last)


def test_without_flip_no_image_is_mirrored(tmp_path: Path) -> None:
    data, seen = Planted(lopsided(64), batch_size=64), Recorder()
    fit(tiny(data), data, tmp_path, seen)
    assert not mirrored(seen.batches[0].images).any()


def test_the_same_run_mirrors_the_same_images(tmp_path: Path) -> None:
    runs = [Recorder(), Recorder(), Recorder()]
    for seed, seen in zip((0, 0, 1), runs):
        data = Planted(lopsided(64), batch_size=32, flip=True, seed=seed)
        fit(tiny(data), data, tmp_path, seen)
    patterns = [torch.cat([mirrored(batch.images) for batch in seen.batches]).tolist() for seen in runs]
    assert patterns[0] == patterns[1]
    assert patterns[0] != patterns[2]


class Latents(zoo.VanillaGAN):
    """A `VanillaGAN` that keeps the first latents of every round."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.drawn: list[Tensor] = []

    def training_step(self, data: Any, batch_idx: int) -> None:
        self.kept = False
        super().training_step(data, batch_idx)

    def sample_latent(self, n: int) -> Tensor:
        z = super().sample_latent(n)
        if not self.kept:
            self.kept = True
            self.drawn.append(z.clone())
        return z


def test_mirroring_tells_nothing_about_the_latents(tmp_path: Path) -> None:
    """One seed serves data and model in every recipe; what each draws must still be unrelated."""
    data, seen = Planted(lopsided(640), batch_size=16, flip=True, seed=0), Recorder()
    model = Latents(
        resolution=2,
        channels=3,
        latent_dim=32,
        layers=1,
        width=4,
        discriminator_layers=1,
        discriminator_width=4,
        pieces=2,
        seed=0,
    )
    fit(model, data, tmp_path, seen, max_epochs=4)
    flips = torch.stack([mirrored(batch.images)[:8] for batch in seen.batches])  # (160 rounds, 8)
    # Box and Muller make two normals of one radius and one angle; torch's CPU kernel pairs positions 8 apart.
    radii = torch.stack([z[0, :8].square() + z[0, 8:16].square() for z in model.drawn])
    correlation = np.corrcoef(flips.flatten().numpy(), radii.flatten().numpy())[0, 1]
    assert abs(correlation) < 0.15  # 1,280 pairs: five deviations of unrelated draws


# --- the model's resolution ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize("cls", [zoo.DCGAN, zoo.ProGAN])
def test_data_of_another_resolution_than_the_models_are_refused_at_once(
    cls: type[zoo.GAN], size: int, tmp_path: Path
) -> None:
    """A model that grows would start at 4 px without complaint and fail when it has outgrown the data."""
    model = cls(resolution=16, channels=1, latent_dim=4, width=4)
    with pytest.raises(DataError, match=f"gives images of {size} px, the model was built for 16 px"):
        fit(model, Planted(numbered(8, size), batch_size=4), tmp_path)
    assert model.rounds == 0


# --- labels ----------------------------------------------------------------------------------------------------------


def conditional(classes: int, channels: int = 1) -> zoo.DCGAN:
    return zoo.DCGAN(resolution=16, channels=channels, latent_dim=4, width=4, num_classes=classes)


def grey_folder(root: Path, names: list[str]) -> None:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 10 * i).save(root / name)


def test_a_conditional_model_on_data_without_labels_is_refused_with_the_remedy(tmp_path: Path) -> None:
    grey_folder(tmp_path / "some", [f"{i}.png" for i in range(8)])
    data = Folder(str(tmp_path / "some"), resolution=16, channels=1, batch_size=4, held_out=0)
    model = conditional(10)
    with pytest.raises(DataError) as error:
        fit(model, data, tmp_path)
    for part in ("model.num_classes=10", "Folder has no labels", "model.num_classes=0", "data.labels=true"):
        assert part in str(error.value)
    assert model.rounds == 0


def test_more_classes_than_the_model_has_are_refused_with_the_right_number(tmp_path: Path) -> None:
    data, model = Digits(batch_size=16), conditional(3)
    with pytest.raises(DataError, match=r"Digits has 10 classes but the model only 3. Set model.num_classes=10"):
        fit(model, data, tmp_path)
    assert model.rounds == 0


def test_labels_from_subfolders_train_a_conditional_model(tmp_path: Path) -> None:
    grey_folder(tmp_path / "some", [f"{kind}/{i}.png" for i in range(4) for kind in ("cat", "dog")])
    data = Folder(str(tmp_path / "some"), resolution=16, channels=1, labels=True, batch_size=4, held_out=0)
    model, seen = conditional(2), Recorder()
    fit(model, data, tmp_path, seen)
    assert model.rounds == 2
    labels = torch.cat([batch.labels for batch in seen.batches if batch.labels is not None])
    assert labels.tolist() == [n // 10 % 2 for n in seen.numbers]


def test_fewer_classes_than_the_model_has_are_accepted(tmp_path: Path) -> None:
    data = Planted(numbered(8, 16), np.arange(8) % 3, batch_size=8)
    model = conditional(5)
    fit(model, data, tmp_path)
    assert model.rounds == 1


def test_an_unconditional_model_may_train_on_labelled_data(tmp_path: Path) -> None:
    data = Planted(numbered(8), np.arange(8), batch_size=8)
    model = tiny(data)
    fit(model, data, tmp_path)
    assert model.rounds == 1
