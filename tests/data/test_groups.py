"""Which files of a folder are read (`match`), and which stay together when it is split (`group`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.data import Folder, Pool
from zoo.data.pool import sample_groups, split_pool
from zoo.errors import DataError

TONES = ["", "_1f3fb", "_1f3fc", "_1f3fd"]


def people(root: Path, count: int = 10) -> Path:
    """`count` emoji in four tones each; an image is as bright as its number, so it can be told."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        for tone in TONES:
            Image.new("L", (8, 8), 10 + i).save(root / f"emoji_u1f4{i:02}{tone}_200d_2640.png")
    return root


def folder(root: Path, **settings: Any) -> Folder:
    data = Folder(str(root), resolution=8, channels=1, **{"held_out": 0.25, "batch_size": 1, **settings})
    data.setup()
    return data


def shown(split: Any) -> list[int]:
    return [round((float(image.mean()) + 1) * 127.5) for image, _ in split]


def test_tones_of_one_emoji_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    data = folder(people(tmp_path), group="^emoji_u([0-9a-f]+)(?:_1f3f[b-f])?(.*)")
    trained, held_out = shown(data.train), shown(data.held_out)
    assert len(trained) == 32
    assert len(held_out) == 8  # a quarter is 10 images; two groups of four fit
    assert not set(trained) & set(held_out)


def test_without_groups_tones_are_torn_apart(tmp_path: Path) -> None:
    data = folder(people(tmp_path))
    assert set(shown(data.train)) & set(shown(data.held_out))


def test_without_parentheses_the_whole_match_names_the_group(tmp_path: Path) -> None:
    data = folder(people(tmp_path), group="1f4[0-9]{2}")
    assert not set(shown(data.train)) & set(shown(data.held_out))


def test_a_file_without_a_group_stands_for_itself(tmp_path: Path) -> None:
    data = folder(people(tmp_path), group="(1f400)", held_out=0)
    assert data._pool is not None
    assert data._pool.groups is not None
    assert data._pool.groups.tolist() == [0] * 4 + list(range(1, 37))


def test_a_file_left_out_does_not_move_the_groups_of_the_others(tmp_path: Path) -> None:
    people(tmp_path)
    (tmp_path / "emoji_u1f401_200d_2640.png").write_bytes(b"no image")
    data = folder(tmp_path, group="1f4[0-9]{2}", on_corrupt="skip")
    assert len(data.train) + len(data.held_out) == 39
    assert not set(shown(data.train)) & set(shown(data.held_out))


def test_groups_are_chosen_by_the_split_seed() -> None:
    groups = np.repeat(np.arange(50), 3)
    first, other = sample_groups(groups, 30, seed=0), sample_groups(groups, 30, seed=1)
    assert np.array_equal(first, sample_groups(groups, 30, seed=0))
    assert first.tolist() != other.tolist()
    assert len(first) == len(other) == 30


def test_a_group_too_large_for_the_room_left_makes_way_for_a_smaller() -> None:
    groups = np.array([0] * 9 + [1] * 2)
    for seed in range(5):
        assert sample_groups(groups, 3, seed).tolist() == [9, 10]


def test_what_the_publisher_reserves_goes_before_groups() -> None:
    images = np.zeros((4, 8, 8, 1), np.uint8)
    pool = Pool(images, None, "digest", held_out=np.array([0]), groups=np.array([0, 0, 1, 1]))
    assert split_pool(pool, 0.5, 0)[1].indices.tolist() == [0]


def test_no_room_for_any_group_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 held-out images have no room.*smallest of 10 groups has 4.*data\.held_out"):
        folder(people(tmp_path), group="1f4[0-9]{2}", held_out=2)
    assert not len(folder(tmp_path, group="1f4[0-9]{2}", held_out=0).held_out)


def test_one_group_of_all_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.group='emoji' puts all 40 images into one group.*parentheses"):
        folder(people(tmp_path), group="emoji")


def test_a_group_that_no_file_has_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.group='cats' matches .* none of 40 images .*such as emoji_u1f400"):
        folder(people(tmp_path), group="cats")


def test_only_matching_files_are_read(tmp_path: Path) -> None:
    people(tmp_path / "people")
    people(tmp_path / "others")
    assert len(folder(tmp_path, match="^people/.*_1f3fb_", held_out=0).train) == 10


def test_a_match_that_finds_nothing_shows_what_a_path_looks_like(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.match='cats' matches .* none of 40 images .*such as emoji_u1f400"):
        folder(people(tmp_path), match="cats")


@pytest.mark.parametrize("name", ["match", "group"])
def test_what_is_no_regular_expression_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"data\.{name} is a regular expression; '\(' is none: missing \)"):
        Folder(str(tmp_path), resolution=8, **{name: "("})  # type: ignore[arg-type]
