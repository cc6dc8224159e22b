"""Audits of sets that are larger than memory: images in files, read in parts, and shrunk for networks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.audit_evidence import split
from zoo.audit import audit, planted
from zoo.audit.evidence import stored
from zoo.audit.evidence.budget import budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.folders import shrunk
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import FloatImages, ImageSet
from zoo.audit.evidence.reading import read_image_set
from zoo.audit.evidence.stored import MappedImages, StridedImages, store
from zoo.audit.questions import NAMES, fresh_discriminator
from zoo.audit.questions.fresh_discriminator import Outcome
from zoo.errors import UserError
from zoo.features import cache, extractor

pytestmark = pytest.mark.usefixtures("elsewhere")


class Drawing(planted.Honest):
    """A generator that also scores images and makes them from latents, so that every question has an answer."""

    latent_dim = 4

    def generate(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(latents.sum(1)[:, None, None, None].expand(-1, 1, 8, 8))

    def score(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).mean(1)


def test_images_in_a_file_give_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """No question reads a whole set at once, and reading in parts changes no number: row A4."""
    train, held_out, spare = split(0, 150, 120, 120)
    labels = torch.arange(150) % 3, torch.arange(120) % 3
    options = {"labels": labels, "features": "pixels", "budget": "quick"}
    short = [name for name in NAMES if name != "recovery"]
    known = audit(Drawing(spare), train, held_out, only=short, **options)

    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    largest: list[int] = []
    rows = ImageSet.rows

    def watched(self: ImageSet, chosen: slice | torch.Tensor) -> torch.Tensor:
        found = rows(self, chosen)
        largest.append(len(found))
        return found

    monkeypatch.setattr(ImageSet, "rows", watched)
    monkeypatch.setattr(ImageSet, "pixels", property(lambda self: pytest.fail("a whole set was read")))
    monkeypatch.setattr(cache, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(ImageSet.parts, "__defaults__", (50, 2**22))
    mapped = [in_file(images, name) for images, name in ((train, "train"), (held_out, "held_out"))]
    found = audit(Drawing(spare), *mapped, only=short, **options)
    for before, after in zip(known.findings, found.findings):
        assert after.status == before.status
        assert after.statistics == before.statistics
    assert 0 < max(largest) < 150


def test_bytes_in_another_order_are_read_without_a_copy_of_all_of_them() -> None:
    last = torch.randint(0, 256, (30, 8, 8, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found, copied = (read_image_set(x, "train") for x in (last.permute(0, 3, 1, 2), last.permute(0, 3, 1, 2).clone()))
    plain = read_image_set(last.permute(0, 3, 1, 2).contiguous(), "train")
    assert isinstance(plain.stored, torch.Tensor)
    chosen = torch.tensor([7, 0, 29])
    for other in (found, copied):
        assert isinstance(other.stored, StridedImages)
        assert (other.shape, len(other), other.digest) == (plain.shape, 30, plain.digest)
        for rows in (chosen, slice(3, 9)):
            assert torch.equal(other.rows(rows), plain.rows(rows))
            assert other.rows(rows).is_contiguous()
        assert torch.equal(other.mirrored().rows(chosen), plain.mirrored().rows(chosen))
        assert torch.equal(other.take(chosen).pixels, plain.take(chosen).pixels)
    assert found.stored.images.data_ptr() == last.data_ptr()  # type: ignore[union-attr]


def in_file(images: torch.Tensor, name: str) -> ImageSet:
    pixels = read_image_set(images, name).stored
    assert isinstance(pixels, torch.Tensor)
    mapped = store(pixels.split(7), len(pixels), name)
    assert isinstance(mapped, MappedImages)
    assert torch.equal(mapped[torch.arange(len(pixels))], pixels)
    return ImageSet(name, mapped)


@pytest.mark.parametrize("side", [160, 320])
def test_networks_are_trained_on_images_of_a_bounded_size(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of photographs of 400 px took more memory than all else: row A4."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (300, 3, 8, 8), generator=draw).float()
    pixels = torch.nn.functional.interpolate(coarse, size=side, mode="nearest").to(torch.uint8)
    train, held_out, fake = (ImageSet(name, part) for name, part in zip(("train", "held_out", "x"), pixels.split(100)))
    seen: list[torch.Size] = []

    def watched(real: FloatImages, other: FloatImages, *rest: int) -> Outcome:
        seen.extend(side[torch.tensor([0])].shape for side in (real, other))
        return Outcome(8, 1, (0.5, 0.4, 0.6), 0.5, 0.0, 0.0, 30)

    monkeypatch.setattr(fresh_discriminator, "train_and_test", watched)
    known = Evidence(as_subject(fake), train, held_out, budget("quick"), 0, extractor("pixels"), {})
    found = fresh_discriminator.run(known)
    assert set(seen) == {(1, 3, 128, 128)}
    assert found.protocol["size"] == "128 x 128 px"
    small = shrunk(train, 8)
    assert small.shape == (3, 8, 8)
    # Each of 8 x 8 squares has one colour; a triangular filter two squares wide weighs a square and its neighbours so:
    weights = torch.tensor([1.0, 6.0, 1.0]) / 8
    expected = torch.nn.functional.conv2d(
        coarse[:100].flatten(0, 1)[:, None], torch.outer(weights, weights)[None, None]
    )
    assert (small.pixels[:, :, 1:-1, 1:-1].float() - expected.reshape(100, 3, 6, 6)).abs().max() < 2
    assert shrunk(train, side) is train
    mirrored = shrunk(train.mirrored(), 8).pixels.flip(3)
    assert (mirrored.float() - small.pixels.float()).abs().max() <= 1  # halves are rounded either way


def test_decoded_photographs_stay_in_their_file(photos: tuple[str, str]) -> None:
    """Row A4."""
    read = read_image_set(photos[0], "train")
    assert isinstance(read.stored, MappedImages)
    some = read.take(torch.tensor([5, 3]))
    assert isinstance(some.stored, MappedImages)
    assert [file.name for file in some.files] == ["0005.png", "0003.png"]
    expected = torch.from_numpy(np.asarray(Image.open("train/0003.png")).copy()).permute(2, 0, 1)
    assert torch.equal(some.pixels[1], expected)
    assert torch.equal(some.mirrored().pixels[1], expected.flip(2))


def test_the_file_of_generated_images_has_no_name_and_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    parts = torch.zeros(4, 1, 8, 8, dtype=torch.uint8).split(2)
    kept = store(parts, 4, "generated images")
    assert isinstance(kept, MappedImages)
    assert os.listdir(stored.cache_folder()) == []

    def full(dir: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored, "TemporaryFile", full)
    with pytest.raises(UserError, match=r"generated images need 0\.0 GB in .*No space left on device\. Free that much"):
        store(parts, 4, "generated images")
