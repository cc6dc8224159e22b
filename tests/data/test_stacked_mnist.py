"""Tests of stacked MNIST, on a small set of random digits in torchvision's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.data.test_torchvision_sets import write_mnist
from zoo.data import MNIST, Split, StackedMNIST
from zoo.errors import DataError
from zoo.evaluation import default_extractor


def stacked(root: Path, **settings: Any) -> StackedMNIST:
    data = StackedMNIST(**{"root": str(root), "triples": 200, **settings})
    data.setup()
    return data


def sources(split: Split, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of the digit in each channel (N, 3), which its pixels determine."""
    number = {digit.tobytes(): i for i, digit in enumerate(pixels)}
    images = split.batch(torch.arange(len(split))).images.numpy()
    return np.array([[number[channel.tobytes()] for channel in image] for image in images])


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_channels_are_digits_and_the_label_is_red_plus_ten_green_plus_hundred_blue(part: str, tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path)  # labels are i % 10
    split = getattr(stacked(tmp_path), part)
    classes = sources(split, pixels) % 10
    labels = split.batch(torch.arange(len(split))).labels
    assert labels is not None
    assert labels.tolist() == (classes @ [1, 10, 100]).tolist()
    assert split.pool.class_names[321] == "1, 2, 3"  # red, green, blue


def test_held_out_images_are_made_of_the_publishers_test_digits(tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path, train=40, test=10)
    data = stacked(tmp_path)
    assert (len(data.train), len(data.held_out)) == (200, 20)
    assert set(sources(data.train, pixels).ravel()) == set(range(40))  # 600 draws of 40
    assert set(sources(data.held_out, pixels).ravel()) <= set(range(40, 50))


def test_all_digits_are_for_training_if_so_asked(tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path, train=40, test=10)
    data = stacked(tmp_path, all_digits=True)
    assert (len(data.train), len(data.held_out)) == (200, 0)
    assert set(sources(data.train, pixels).ravel()) == set(range(50))


def test_the_triples_depend_on_the_seed_of_the_split_alone(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    one, other, third = (stacked(tmp_path, seed=s, split_seed=p) for s, p in ((0, 0), (1, 0), (0, 1)))
    assert one.digest == other.digest != third.digest


def test_the_protocols_sizes_are_the_defaults() -> None:
    data = StackedMNIST()
    assert (data.resolution, data.channels, data.triples) == (28, 3, 128_000)


def test_its_modes_are_read_by_the_classifier_of_mnist(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    assert default_extractor(stacked(tmp_path)) == "stacked-mnist"
    assert default_extractor(MNIST(root=str(tmp_path), resolution=28, channels=1)) != "stacked-mnist"


def test_what_is_missing_or_impossible_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)MNIST: cannot be read below .*data.download=true"):
        stacked(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"StackedMNIST has one digit in each of 3 channels.*got 1"):
        StackedMNIST(channels=1)
    with pytest.raises(ValueError, match="triples must be at least 10; got 9"):
        StackedMNIST(triples=9)
