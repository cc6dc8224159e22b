"""Tests of the classes of a folder: which subfolders they are, which numbers they have, and who records them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.data import Digits, Folder, Images, Pool
from zoo.data.description import missing_classes
from zoo.errors import DataError


def pictures(root: Path, **counts: int) -> Path:
    """Write images into a folder for each class; the level of an image tells its class."""
    for i, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for k in range(count):
            values = np.full((8, 8), 20 * (i + 1), dtype=np.uint8)
            values[0, 0] = k
            Image.fromarray(values).save(root / name / f"{k}.png")
    return root


def folder(root: Path, **settings: Any) -> Folder:
    plain: dict[str, Any] = {"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1, "labels": True}
    data = Folder(str(root), **{**plain, **settings})
    data.setup()
    return data


def levels(data: Images) -> dict[int, set[int]]:
    """Return the levels of the images of each class index."""
    batch = data.train.batch(torch.arange(len(data.train)))
    assert batch.labels is not None
    return {int(c): set(batch.images[batch.labels == c][:, 0, 7, 7].tolist()) for c in batch.labels.unique()}


def test_classes_are_said_with_number_name_and_size(tmp_path: Path) -> None:
    """Nothing said which classes there were: row I3."""
    line = folder(pictures(tmp_path / "set", cat=4, dog=2)).describe()
    assert line == "Folder: 6 images (8 px, grey), 6 to train on, 0 held out; 2 classes: 0 cat (4), 1 dog (2)"


@pytest.mark.parametrize("names", [["train"], ["train", "test"], ["Training", "VAL"]])
def test_a_root_one_level_too_high_is_refused(names: list[str], tmp_path: Path) -> None:
    """The class "train" was trained on in silence: row I3."""
    for name in names:
        pictures(tmp_path / "set" / name, cat=2, dog=2)
    with pytest.raises(DataError) as error:
        folder(tmp_path / "set")
    assert "as parts of a data set are" in str(error.value)
    assert f"Set data.root={tmp_path / 'set' / sorted(names)[0]}" in str(error.value)
    assert folder(tmp_path / "set", classes=tuple(sorted(names))).num_classes == len(names)


def test_an_empty_class_folder_is_said(tmp_path: Path) -> None:
    """It was passed over in silence, and later classes had other numbers: row I3."""
    root = pictures(tmp_path / "set", ant=2, bee=0, cat=2)
    data = folder(root)
    assert data.class_names == ("ant", "cat")
    assert "left out: 1 folder without images, no class (bee)" in data.describe()


def test_recorded_classes_keep_their_numbers(tmp_path: Path) -> None:
    """A class whose images are gone, or a new one, does not shift the others: row I3."""
    before = folder(pictures(tmp_path / "set", ant=2, bee=2, cat=2))
    recorded = before.found_settings()
    assert recorded == {"classes": ("ant", "bee", "cat")}
    later = pictures(tmp_path / "later", aardvark=2, ant=2, cat=2)
    data = folder(later, **recorded)
    assert data.class_names == ("ant", "bee", "cat")
    assert data.num_classes == 3
    assert levels(data) == {0: {40}, 2: {60}}
    assert "2 not in a folder of data.classes" in data.describe()
    assert folder(tmp_path / "set", **recorded).digest == before.digest


def test_classes_can_be_given_in_any_order(tmp_path: Path) -> None:
    data = folder(pictures(tmp_path / "set", ant=2, bee=2, cat=2), classes=("cat", "ant"))
    assert levels(data) == {0: {60}, 1: {20}}


def test_classes_that_are_no_folders_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of cta is a folder with images below .* Did you mean cat\?"):
        folder(pictures(tmp_path / "set", cat=2, dog=2), classes=("cta",))


@pytest.mark.parametrize("settings", [{"labels": False, "classes": ("a",)}, {"classes": ("a", "a")}])
def test_classes_need_labels_and_differ(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="classes are different names of subfolders, with labels=true"):
        folder(tmp_path, **settings)


class Planted(Images):
    """A source of images of given classes, of which some are held out."""

    def __init__(self, labels: list[int], reserved: list[int], names: tuple[str, ...] = ()) -> None:
        super().__init__(resolution=2, channels=1, batch_size=1)
        self.pixels, self.names = np.zeros((len(labels), 2, 2, 1), dtype=np.uint8), names
        self.labels, self.reserved = np.array(labels), np.array(reserved, dtype=np.int64)

    def read(self) -> Pool:
        return Pool(self.pixels, self.labels, "", self.reserved, self.names)


@pytest.mark.parametrize(
    ("data", "classes", "parts"),
    [
        (Planted([0, 1, 1], []), 2, []),
        (Planted([0, 1, 1], []), 0, []),
        (Planted([0, 0, 1], [2], ("cat", "dog")), 2, ["1 of the model's 2 classes", "1 dog", "hold out fewer"]),
        (Planted([0, 1, 2], [], ("cat", "dog", "emu")), 10, ["7 of the model's 10", "set model.num_classes=3"]),
    ],
)
def test_classes_without_training_images_are_said(data: Planted, classes: int, parts: list[str]) -> None:
    """A class that is wholly held out, and 10 classes for 5, were trained in silence: row I3."""
    data.setup()
    text = missing_classes(data._ready_pool(), data.train, classes)
    assert bool(text) == bool(parts)
    for part in parts:
        assert part in text


# --- names in checkpoints, releases and samples ----------------------------------------------------------------------


def trained(root: Path, out: Path) -> zoo.Run:
    return zoo.fit(
        "dcgan_digits",
        out=out,
        images=32,
        model={"width": 4, "num_classes": 2, "latent_dim": 4},
        data={"class": "Folder", "root": str(root), "labels": True, "batch_size": 16, "held_out": 0},
        callbacks={"SampleMetrics": None, "Alarms": None},
    )


def test_names_of_classes_are_recorded_and_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recipe, checkpoint, release and card name the classes, and `labels=dog` works: row I3."""
    run = trained(pictures(tmp_path / "set", cat=20, dog=12), tmp_path / "run")
    said = capsys.readouterr().out
    assert "32 to train on, 0 held out; 2 classes: 0 cat (20), 1 dog (12)" in said
    assert "classes:\n  - cat\n  - dog\n" in (tmp_path / "run/recipe.yaml").read_text()
    for model in (run.model, zoo.load_run(tmp_path / "run")):
        assert model.class_names == ("cat", "dog")
        by_name, by_number = model.sample(3, seed=0, labels="dog"), model.sample(3, seed=0, labels=1)
        assert torch.equal(by_name, by_number)
        assert not torch.equal(by_name, model.sample(3, seed=0, labels="cat"))
    model.save_pretrained(tmp_path / "release")
    released = zoo.from_pretrained(str(tmp_path / "release"))
    assert released.class_names == ("cat", "dog")
    assert torch.equal(released.sample(2, seed=0, labels=["dog", "cat"]), released.sample(2, seed=0, labels=[1, 0]))
    with pytest.raises(ValueError, match=r"labels: no class is called 'cta'. Did you mean cat\?"):
        released.sample(2, labels="cta")


def test_a_model_without_names_says_so() -> None:
    model = zoo.DCGAN(resolution=16, channels=1, latent_dim=4, width=4, num_classes=2)
    with pytest.raises(ValueError, match="names of its classes are not known to this model; give numbers"):
        model.sample(1, labels="cat")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_class_whose_name_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    """The run ended with a UnicodeEncodeError when its recipe was written."""
    for name in (b"K\xe4fer", b"Hund"):
        (tmp_path / os.fsdecode(name)).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / os.fsdecode(name) / "a.png")
    with pytest.raises(DataError, match=r"subfolder 'K\\udce4fer' of .* is not UTF-8.* Rename it"):
        Folder(str(tmp_path), resolution=8, labels=True, batch_size=1).read()
    assert Folder(str(tmp_path), resolution=8, batch_size=1).read().labels is None


# --- a loader without a Trainer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_works_without_a_trainer(workers: int) -> None:
    """It was a bare AssertionError: row I7."""
    data = Digits(batch_size=100, num_workers=workers)
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == len(data.train) // 100
    images = torch.cat([batch.images for batch in batches])
    assert images.dtype == torch.float32
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    rows = {tuple(image.flatten().tolist()) for image in images}
    assert rows <= {tuple(image.flatten().tolist()) for image in data.train.tensor()}


def test_without_a_trainer_images_are_mirrored_too() -> None:
    plain, mirrored = (Digits(batch_size=64, flip=flip).train_dataloader() for flip in (False, True))
    a, b = next(iter(plain)).images, next(iter(mirrored)).images
    same, flipped = (a == b).flatten(1).all(1), (a.flip(3) == b).flatten(1).all(1)
    assert bool((same | flipped).all())
    assert 16 < int(flipped.sum()) < 48
