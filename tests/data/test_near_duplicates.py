"""Near-duplicates: planted copies are found and nothing else, and the split that parts them is told."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from zoo.data import near_duplicates as module
from zoo.data.near_duplicates import NearDuplicates, near_duplicates


def scenes(count: int, seed: int = 0, side: int = 64) -> NDArray[np.uint8]:
    """Coloured images with structure at several scales, each another."""
    random = np.random.default_rng(seed)
    layers = []
    for cells in (4, 8, 16):
        noise = random.integers(0, 256, (count, cells, cells, 3), dtype=np.uint8)
        layers.append([np.asarray(Image.fromarray(each).resize((side, side), 3), np.float64) for each in noise])
    return np.clip(np.mean(layers, 0), 0, 255).astype(np.uint8)


def changed(image: NDArray[np.uint8], how: str) -> NDArray[np.uint8]:
    """A copy of an image: stored as JPEG, made smaller, brighter, or recoloured."""
    picture = Image.fromarray(image)
    if how == "jpeg":
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=40)
        picture = Image.open(file)
    elif how == "small":
        picture = picture.resize((40, 40)).resize(picture.size)
    elif how == "bright":
        picture = ImageEnhance.Brightness(picture).enhance(1.2)
    elif how == "pale":
        picture = ImageEnhance.Color(picture).enhance(0.3)
    return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("how", ["same", "jpeg", "small", "bright", "pale"])
def test_planted_copies_are_the_pairs(how: str) -> None:
    images = scenes(60)
    copies = np.stack([changed(image, how) for image in images[:10]])
    found = near_duplicates(np.concatenate([images, copies]))
    assert list(zip(found.first, found.second)) == [(i, 60 + i) for i in range(10)]
    assert (found.likeness >= module.ALIKE).all()
    assert (found.compared, found.images) == (70, 70)


def test_images_of_one_colour_and_grey_ones() -> None:
    flat = np.stack([np.full((32, 32, 3), level, np.uint8) for level in range(0, 250, 25)])
    assert len(near_duplicates(flat)) == 0
    grey = scenes(8)[..., :1]
    assert list(near_duplicates(np.concatenate([grey, grey[:1]])).second) == [8]


@pytest.mark.parametrize("count", [1, 2])
def test_very_few_images(count: int) -> None:
    assert len(near_duplicates(scenes(count))) == 0


def test_of_many_images_some_are_compared() -> None:
    images = scenes(30)
    found = near_duplicates(np.concatenate([images, images]), most=20)
    assert (found.compared, found.images) == (20, 60)
    assert ((found.second - found.first) == 30).all()


def test_small_images_are_compared() -> None:
    images = scenes(12, side=16)
    assert list(near_duplicates(np.concatenate([images, images[3:4]])).first) == [3]


def pairs(*found: tuple[int, int], images: int) -> NearDuplicates:
    first, second = (np.array([pair[k] for pair in found], np.int64) for k in (0, 1))
    return NearDuplicates(first, second, np.ones(len(found), np.float32), images, images)


def test_a_chain_is_one_cluster_and_what_the_split_parts_is_counted_once() -> None:
    found = pairs((0, 3), (3, 5), (1, 2), images=7)
    assert found.clusters().tolist() == [0, 1, 1, 0, 4, 0, 6]
    assert found.across(np.array([3])).tolist() == [3]  # held out, with 0 and 5 in training
    assert found.across(np.array([0, 3, 5])).tolist() == []
    assert found.across(np.array([2, 5])).tolist() == [2, 5]
