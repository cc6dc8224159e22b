"""Audits of folders: files that are broken, left out or chosen by path, values of a microscope, missing folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.commands import audit_command
from tests.helpers.photographs import photographs, pictures_of, saved
from zoo.audit import audit
from zoo.audit.evidence.folders import list_folder
from zoo.errors import UserError

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pictures_of("fake", 0)
    for option in ("fake", "train", "held_out"):
        names = {"fake": "fake", "train": "fake", "held_out": "fake", option: "nowhere"}
        before = sorted(Path.cwd().iterdir())
        assert audit_command(*(f"{key}={path}" for key, path in names.items())) == 2
        assert f"{option}: there is no folder nowhere" in capsys.readouterr().err
        assert sorted(Path.cwd().iterdir()) == before  # nor is a folder for the report


@pytest.mark.parametrize("where", ["fake", "train", "new"])
def test_the_advice_about_a_broken_file_can_be_followed(
    where: str, photos: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`data.on_corrupt=skip` was advised, and refused by the command that advises it: row A10."""
    saved(photographs(60, 2), "fake", 16)
    broken = Path(where) / "0003.png"
    broken.write_bytes(broken.read_bytes()[:200])  # the header can be read, the pixels cannot
    words = ["fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels"]
    role = {"fake": "generated", "train": "train", "new": "held_out"}[where]
    assert audit_command(*words) == 2
    said = capsys.readouterr().err
    assert f"{role}: an image cannot be decoded: {where}/0003.png" in said
    assert "or set data.on_corrupt=skip to leave such images out" in said
    assert "Traceback" not in said
    assert audit_command(*words, "data.on_corrupt=skip") == 0
    text = " ".join(capsys.readouterr().out.split())
    noun = {"fake": "generated", "train": "training", "new": "held-out"}[where]
    assert f"note: {noun} images: left out: 1 that cannot be decoded" in text
    about = json.loads(Path("audit-fake/report.json").read_text())["about"]
    assert about["images"][f"{role}_left_out"] == "1 that cannot be decoded"
    assert about["images"]["data.on_corrupt"] == "skip"
    assert (about["train"]["images"], about["held_out"]["images"]) == (60 - (where == "train"), 60 - (where == "new"))


def test_images_keep_their_files_sizes_and_classes_when_one_is_left_out() -> None:
    """The third of five files is broken: the values of the others stay with them."""
    pictures = photographs(5, 0, 16)
    for i, picture in enumerate(pictures):
        saved([picture], "set", 16 + i, [f"{i}.png"])
    Path("set/2.png").write_bytes(b"no image")
    folder = list_folder("set", "train", {"on_corrupt": "skip"})
    read = folder.read(16, 3, torch.tensor([5, 6, 7, 8, 9])).images
    assert [file.name for file in read.files] == ["0.png", "1.png", "3.png", "4.png"]
    assert read.labels is not None
    assert read.sides is not None
    assert read.labels.tolist() == [5, 6, 8, 9]
    assert read.sides.tolist() == [16, 17, 19, 20]
    assert torch.equal(read.rows(slice(0, 1)), torch.from_numpy(np.asarray(pictures[0]).copy()).permute(2, 0, 1)[None])
    with pytest.raises(UserError, match="labels: one for each image of train, 5; got 4, in the order of the sorted"):
        folder.read(16, 3, torch.tensor([5, 6, 8, 9]))


def microscope(folder: str, seed: int, size: int) -> None:
    """Save 60 images whose values reach 4095, in files of 32-bit integers, which declare no range."""
    Path(folder).mkdir()
    for i, picture in enumerate(photographs(60, seed, size)):
        values = np.asarray(picture.convert("L")).astype(np.int32) * 16
        Image.fromarray(values).save(Path(folder) / f"{i:04d}.tif")


def test_values_of_a_microscope_are_read_by_the_setting_that_the_refusal_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Sharpness reads the files at another size, by the same setting: rows I1 and A10."""
    for seed, (name, size) in enumerate({"train": 32, "new": 32, "fake": 16}.items()):
        microscope(name, seed, size)
    words = ["fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels", "resolution=24"]
    assert audit_command(*words) == 2
    said = capsys.readouterr().err
    assert "train: train/0000.tif: " in said
    assert "Give both: data.value_range=[0,4095], for example" in said
    assert audit_command(*words, "data.value_range=[0,4080]") == 0
    found = json.loads(Path("audit-fake/report.json").read_text())
    assert found["about"]["images"]["data.value_range"] == "[0,4080]"
    (sharpness,) = found["findings"]
    assert sharpness["status"] != "skipped"
    assert sharpness["protocol"]["size"].startswith("16 x 16 px")


def test_files_are_chosen_by_their_path(photos: tuple[str, str]) -> None:
    """`data.match` holds for all folders: row A10."""
    saved(photographs(60, 2), "fake", 16)
    words = ["fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels"]
    assert audit_command(*words, "data.match=00[0-4]") == 0
    about = json.loads(Path("audit-fake/report.json").read_text())["about"]
    assert about["train"]["images"] == 50
    assert about["images"]["train_left_out"] == "10 not matched by data.match"
    assert not [note for note in about["notes"] if "left out" in note]  # as asked for


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            "data.group=a",
            "data.group=a: folders of images take only data.on_corrupt, data.value_range, data.background",
        ),
        ("data.on_corrupt=leave", "data.on_corrupt"),
        ("data.value_range=[5,1]", "value_range is the value of black and a larger one of white, [0, 4095]; got [5"),
        ("data.match=nothing", "train: data.match='nothing' matches the path of none of 60 images below train"),
    ],
)
def test_other_settings_of_reading_are_refused(
    setting: str, text: str, photos: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Row A10."""
    saved(photographs(60, 2), "fake", 16)
    assert audit_command("fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels", setting) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


def test_settings_of_reading_without_a_folder_are_refused() -> None:
    """They would be ignored in silence: row A10."""
    real = torch.zeros(30, 3, 8, 8)
    with pytest.raises(UserError, match=r"data\.on_corrupt=skip: .* no folder of images is given\. Leave it out"):
        audit(real, real, real, features="pixels", data={"on_corrupt": "skip"})
