"""Audits of folders: the size at which images are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFilter

from tests.helpers.commands import audit_command
from tests.helpers.photographs import BICUBIC, photographs, saved
from zoo.audit import audit, planted
from zoo.audit.evidence.images import ImageSet
from zoo.audit.questions.sharpness import comparable_size
from zoo.data.sizes import Sizes
from zoo.errors import UserError

pytestmark = pytest.mark.usefixtures("elsewhere")


def blurred(pictures: list[Image.Image], size: int) -> list[Image.Image]:
    return [picture.resize((size, size), BICUBIC).filter(ImageFilter.GaussianBlur(1.5)) for picture in pictures]


def test_honest_images_at_the_size_of_their_training_are_not_blurred(photos: tuple[str, str]) -> None:
    """Fakes of 16 px beside photographs of 64 px: row A1."""
    saved(photographs(60, 2), "honest", 16)
    saved(blurred(photographs(60, 2), 16), "soft")
    for name, verdict in (("honest", ()), ("soft", ("blurred",))):
        report = audit(name, *photos, features="pixels", only="sharpness")
        assert report.verdict == verdict
        assert report.about["images"]["resolution"] == 16
        assert report.about["images"]["resolution_by"] == "most common size of the generated images"
        assert report.about["images"]["train_files"] == "64 x 64 px"
        assert report["sharpness"].protocol["size"].startswith("16 x 16 px")


def test_the_first_file_decides_nothing(photos: tuple[str, str]) -> None:
    """One odd file at the front of each folder changes no size and is said: rows A1 and A2."""
    saved(photographs(60, 2), "fake", 16)
    for seed, folder in enumerate(("fake", "train", "new")):
        saved(photographs(1, 9 + seed, 8), folder, names=["0.png"])
    report = audit("fake", *photos, features="pixels", only="sharpness")
    assert report.about["images"]["resolution"] == 16
    (note,) = [note for note in report.about["notes"] if note.startswith("generated images")]
    assert "2 sizes from 8 x 8 px to 16 x 16 px, mostly 16 x 16 px (60 of 61 files)" in note
    assert "1 of 61 are enlarged" in note
    assert report["sharpness"].protocol["generated"] == 60
    assert report["sharpness"].protocol["left_out_as_smaller"] == 2


def test_sharpness_is_compared_where_no_side_was_enlarged() -> None:
    """Blurred fakes of 32 px beside photographs of 16 px, which blur hides when these are enlarged: row A1."""
    train, new = (saved(photographs(60, seed), name, 16) for seed, name in ((0, "train"), (1, "new")))
    saved([one.resize((32, 32)) for one in blurred(photographs(60, 2), 16)], "soft")
    saved(photographs(60, 2), "sharp", 32)
    for name, verdict in (("soft", ("blurred",)), ("sharp", ())):
        report = audit(name, train, new, features="pixels", only="sharpness")
        assert report.verdict == verdict
        assert report.about["images"]["resolution"] == 32
        assert report["sharpness"].protocol["size"].startswith("16 x 16 px")
        assert any("training images: 16 x 16 px; compared at 32 px, 60 of 60" in n for n in report.about["notes"])


def test_sets_without_files_are_compared_at_their_own_size() -> None:
    real = ImageSet("held_out", torch.zeros(5, 1, 16, 16, dtype=torch.uint8))
    assert comparable_size(real, real) == 16


def test_the_size_can_be_asked_for(photos: tuple[str, str]) -> None:
    saved(photographs(60, 2), "fake", 32)
    assert (
        audit_command("fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels", "resolution=16")
        == 0
    )
    about = json.loads(Path("audit-fake/report.json").read_text())["about"]
    assert (about["images"]["resolution"], about["images"]["resolution_by"]) == (16, "asked for")


def test_the_most_common_side_is_taken_and_the_larger_of_two() -> None:
    assert Sizes(((64, 80), (64, 64), (8, 8))).common_side == 64
    assert Sizes(((8, 8), (64, 64), (0, 0))).common_side == 64
    assert Sizes(((8, 8), (64, 64), (0, 0))).smaller_than(64) == 1  # a file that is no image is none of them


def test_folders_are_read_at_the_size_that_a_subject_draws(photos: tuple[str, str]) -> None:
    grey = torch.rand(60, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    report = audit(planted.Honest(grey), *photos, features="pixels", only="sharpness")
    assert report.about["images"]["resolution"] == 16
    assert report["sharpness"].status != "skipped"


def test_tensors_are_not_resized(photos: tuple[str, str]) -> None:
    saved(photographs(30, 2), "fake", 16)
    real = torch.zeros(30, 3, 32, 32)
    with pytest.raises(UserError, match=r"train has images of 32 px, most generated images have 16 px.*Shrink train"):
        audit("fake", real, real, features="pixels")
    with pytest.raises(UserError, match=r"resolution: images draws images of 32 px.*got 16. Leave it out"):
        audit(real, *photos, features="pixels", resolution=16)
