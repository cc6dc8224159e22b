"""Truths of the cache of real images' features: what it spares, what makes a new entry, what it notices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zoo.data import Digits, Folder
from zoo.data.images import Images
from zoo.features import Extractor, Pixels, cached_features, extractor


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that went through any extractor."""
    seen: list[int] = []
    inner = Extractor.features_and_logits

    def counting(self: Extractor, images: Tensor) -> Any:
        seen.append(len(images))
        return inner(self, images)

    monkeypatch.setattr(Extractor, "features_and_logits", counting)
    return seen


def ready(data: Images) -> Images:
    data.setup()
    return data


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "features").iterdir())


def test_a_second_time_does_no_work_and_gives_the_same_bits(counted: list[int], tmp_path: Path) -> None:
    first = cached_features(extractor("digits"), ready(Digits()).held_out)
    assert sum(counted) == 179
    again = cached_features(extractor("digits"), ready(Digits()).held_out)  # as another run would
    assert sum(counted) == 179
    assert torch.equal(first.values, again.values)
    assert first.logits is not None
    assert again.logits is not None
    assert torch.equal(first.logits, again.logits)
    torch.testing.assert_close(first.values[:7], extractor("digits")(ready(Digits()).held_out.tensor(7)))
    assert len(entries(tmp_path)) == 1


def test_whatever_decides_the_features_makes_an_entry_of_its_own(counted: list[int], tmp_path: Path) -> None:
    for data in (Digits(), Digits(resolution=12), Digits(channels=3), Digits(split_seed=1)):
        cached_features(extractor("digits"), ready(data).held_out)
    cached_features(extractor("digits"), ready(Digits()).train)
    cached_features(extractor("digits"), ready(Digits()).held_out, np.arange(50))
    cached_features(Pixels(), ready(Digits()).held_out)
    cached_features(Pixels(size=8), ready(Digits()).held_out)
    assert len(entries(tmp_path)) == 8


def test_an_extractor_that_takes_its_width_from_images_has_it_from_the_cache_too() -> None:
    """Numbers in features of `pixels` failed the second time: "width must be at least 1; got 0"."""
    first, second = Pixels(), Pixels()
    for network in (first, second):
        cached_features(network, ready(Digits()).held_out)
    assert first.width == second.width == 256
    assert second(torch.zeros(1, 1, 16, 16)).shape == (1, 256)


def test_a_changed_file_makes_a_new_entry(counted: list[int], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        Image.new("RGB", (20, 20), (10 * i, 50, 90)).save(folder / f"{i}.png")

    def features() -> Tensor:
        return cached_features(
            Pixels(), ready(Folder(str(folder), resolution=8, held_out=0, batch_size=1)).train
        ).values

    before = features()
    assert torch.equal(features(), before)
    assert sum(counted) == 4
    Image.new("RGB", (20, 20), (200, 50, 91)).save(folder / "2.png")
    assert (features() != before).any(1).tolist() == [False, False, True, False]
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_file_is_noticed_and_made_again(
    damage: str, counted: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ready(Digits())
    first = cached_features(extractor("digits"), data.held_out)
    (file,) = entries(tmp_path)
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(
        {"cut": bytes(content[:1_000]), "flipped": bytes(content), "empty": b"", "other": b"x" * 99}[damage]
    )
    again = cached_features(extractor("digits"), data.held_out)
    assert torch.equal(first.values, again.values)
    assert sum(counted) == 2 * 179
    assert "is damaged; these features are computed again" in capsys.readouterr().err
    cached_features(extractor("digits"), data.held_out)
    assert sum(counted) == 2 * 179


def test_a_full_disk_costs_a_note_and_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "features").write_text("no folder")
    found = cached_features(extractor("digits"), ready(Digits()).held_out)
    assert len(found) == 179
    assert "cannot keep features" in capsys.readouterr().err
