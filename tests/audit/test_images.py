"""What an audit takes as real images, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

from tests.helpers.audit_evidence import evidence, images, split
from zoo.audit import audit, planted
from zoo.audit.evidence.folders import list_folder
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import check_labels
from zoo.audit.evidence.overlap import check_image_sets, overlap, without_overlap
from zoo.audit.evidence.reading import read_image_set
from zoo.errors import DataError, UserError
from zoo.rendering import pictures

ONLY = ["weights"]  # asks nothing of images


def test_all_kinds_of_sets_give_the_same_pixels(tmp_path: Path) -> None:
    real = images(24, 0)
    pixels = read_image_set(real, "train").pixels
    labels = torch.arange(24) % 3
    pairs = read_image_set(TensorDataset(real, labels), "train")
    assert torch.equal(read_image_set(pixels, "train").pixels, pixels)
    assert torch.equal(pairs.pixels, pixels)
    assert pairs.labels is not None
    assert torch.equal(pairs.labels, labels)
    for i, image in enumerate(real):
        pictures.save(pictures.single(image), tmp_path / f"{i:02d}.png")
    assert torch.equal(list_folder(tmp_path, "train").read(8, 1).images.pixels, pixels)


def test_images_in_both_sets_are_found_pixel_for_pixel() -> None:
    train, held_out = read_image_set(images(300, 0), "train"), read_image_set(images(300, 1), "held_out")
    mixed = read_image_set(torch.cat([held_out.images(), train.images(torch.tensor([7, 9]))]), "held_out")
    assert not len(overlap(train, held_out))
    assert overlap(train, mixed).tolist() == [300, 301]
    left, removed = without_overlap(train, mixed)
    assert removed == 2
    assert torch.equal(left.pixels, held_out.pixels)
    check_image_sets(train, mixed)  # two of 302 are removed and counted, not refused
    with pytest.raises(DataError, match=r"40 of 340 held-out images are also in the training set.*would hide copying"):
        check_image_sets(train, read_image_set(torch.cat([held_out.images(), train.images(slice(40))]), "held_out"))


@pytest.mark.parametrize(
    ("train", "held_out", "text"),
    [
        (images(10, 0), images(50, 1), "train has 10 images; an audit needs at least 20 of each"),
        (images(50, 0), torch.zeros(50, 1, 16, 16), "train images are (1, 8, 8) (C, H, W), held-out ones (1, 16, 16)"),
        (images(50, 0) * 127.5 + 127.5, images(50, 1), "Divide by 127.5 and subtract 1"),
        (images(50, 0)[:, 0], images(50, 1), "train: images are (N, C, H, W); got (50, 8, 8)"),
        (7, images(50, 1), "train: a tensor of images (N, C, H, W), a data set, or a folder; got a int"),
        (images(50, 0) * float("nan"), images(50, 1), "got values from nan to nan"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(train: Any, held_out: Any, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        audit(planted.Honest(images(50, 2)), train, held_out, features="pixels", only=ONLY)


class Odd:
    """Draws whatever it is told."""

    def __init__(self, drawn: Any) -> None:
        self.drawn = drawn

    def sample(self, n: int) -> Any:
        return self.drawn


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        (torch.zeros(3, 1, 8, 8), "sample(1000) must give a tensor (1000, C, H, W); Odd gave (3, 1, 8, 8)"),
        ("an image", "Odd gave str"),
        (torch.full((1_000, 1, 8, 8), 255.0), "sample(1000) of Odd: images are float in [-1, 1]"),
        (torch.zeros(1_000, 3, 8, 8), "Odd draws images (3, 8, 8) (C, H, W), the real ones are (1, 8, 8)"),
    ],
)
def test_subjects_that_draw_no_such_images_are_refused(drawn: Any, text: str) -> None:
    with pytest.raises(UserError, match=re.escape(text)):
        audit(Odd(drawn), images(300, 0), images(300, 1), features="pixels", only=["sharpness"], budget="quick")


def test_names_of_questions_and_budgets_are_checked() -> None:
    real = images(60, 0), images(60, 1)
    with pytest.raises(UserError, match=r"only: there is no question 'copyng'. Did you mean copying\?"):
        audit(planted.Honest(images(50, 2)), *real, only="copyng", features="pixels")
    with pytest.raises(UserError, match="budget: quick, standard or full; got 'large'"):
        audit(planted.Honest(images(50, 2)), *real, budget="large", features="pixels")
    with pytest.raises(UserError, match=r"anything with sample\(n\), or a folder of images; got a int"):
        audit(7, *real, features="pixels")


def test_a_subject_of_uint8_images_is_the_same_as_one_of_floats() -> None:
    """Row A14: a tensor of bytes was accepted as train, but not as the subject."""
    pixels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    drawn = as_subject(pixels).sample(4, seed=0)
    assert torch.equal(drawn, as_subject(pixels.float() / 127.5 - 1).sample(4, seed=0))
    assert (float(drawn.min()), float(drawn.max())) == (-1, 1)


@pytest.mark.parametrize(("labels", "got"), [([0, 1, -1], "-1"), ([0.0, 1.5, 2.0], "1.5")])
def test_labels_that_are_no_classes_are_refused(labels: list[float], got: str) -> None:
    with pytest.raises(UserError, match=f"labels: classes of train are whole numbers from 0 on; got {got}"):
        check_labels(torch.tensor(labels), 3, "train", False)


def test_generated_images_from_0_to_1_are_refused() -> None:
    """Honest images of another range: the verdict would be that they are blurred and have collapsed."""
    train, held_out, spare = split(0, 300, 200, 200)
    with pytest.raises(UserError, match=r"they look like images in \[0, 1\]. The range is \[-1, 1\]: multiply by 2"):
        evidence((spare + 1) / 2, train, held_out).generated  # noqa: B018
    assert len(evidence(spare, train, held_out).generated) == 200
