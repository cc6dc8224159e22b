"""Tests of the digits of scikit-learn, single and stacked."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits as sklearn_digits

from zoo.data import Digits, Split, StackedDigits


@cache
def digits(resolution: int, channels: int = 1) -> Digits:
    data = Digits(resolution=resolution, channels=channels, held_out=0)
    data.setup()
    return data


def everything(split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (N, C, H, W) and labels (N,) of a split."""
    batch = split.batch(torch.arange(len(split)))
    assert batch.labels is not None
    return batch.images.numpy(), batch.labels.numpy()


def test_there_are_1797_digits_of_ten_classes() -> None:
    data = digits(16)
    assert len(data.train) == 1797
    assert data.num_classes == 10
    labels = everything(data.train)[1]
    assert np.bincount(labels).tolist() == np.bincount(sklearn_digits().target).tolist()


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_digits_have_the_resolution_asked_for(resolution: int) -> None:
    image, label = digits(resolution).train[0]
    assert image.shape == (1, resolution, resolution)
    assert label == sklearn_digits().target[0]


def test_at_their_own_resolution_they_are_the_17_grey_levels_of_the_source() -> None:
    images, _ = everything(digits(8).train)
    assert np.array_equal(np.rint(images[:, 0] / 255 * 16), sklearn_digits().images)


def test_enlarging_keeps_the_picture() -> None:
    small, large = everything(digits(8).train)[0], everything(digits(32).train)[0]
    blocks = large.reshape(1797, 1, 8, 4, 8, 4).mean(axis=(3, 5))
    assert np.corrcoef(blocks.ravel(), small.ravel())[0, 1] > 0.97
    assert abs(float(large.mean()) - float(small.mean())) < 3


def test_digits_are_white_on_black() -> None:
    images = digits(16).train.tensor()
    assert images[:, 0, 0, 0].mean() < -0.9  # a corner
    assert images.max() == 1.0


def test_three_channels_hold_the_same_grey() -> None:
    colour, grey = digits(16, 3).train.tensor(), digits(16).train.tensor()
    assert colour.shape == (1797, 3, 16, 16)
    for channel in range(3):
        assert torch.equal(colour[:, channel], grey[:, 0])


def test_a_tenth_of_the_digits_is_held_out() -> None:
    data = Digits()
    data.setup()
    assert (len(data.train), len(data.held_out)) == (1797 - 179, 179)


@pytest.fixture(scope="module")
def stacked() -> StackedDigits:
    data = StackedDigits(resolution=8, triples=2000)
    data.setup()
    return data


def sources(split: Split) -> NDArray[np.int64]:
    """Return the number of the digit in each channel (N, 3), one of 1,797, which its pixels determine."""
    singles, _ = everything(digits(8).train)
    number = {single.tobytes(): i for i, single in enumerate(singles)}
    assert len(number) == 1797  # no two digits are alike, so pixels identify them
    return np.array([[number[channel.tobytes()] for channel in image] for image in everything(split)[0]])


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_stacks_label_is_red_plus_ten_green_plus_hundred_blue(stacked: StackedDigits, part: str) -> None:
    split = getattr(stacked, part)
    classes = everything(digits(8).train)[1][sources(split)]
    expected = classes[:, 0] + 10 * classes[:, 1] + 100 * classes[:, 2]
    assert everything(split)[1].tolist() == expected.tolist()


def test_held_out_stacks_use_no_digit_that_training_uses(stacked: StackedDigits) -> None:
    trained, held_out = set(sources(stacked.train).ravel()), set(sources(stacked.held_out).ravel())
    assert not trained & held_out
    assert len(trained) > 1500  # of 1,618 that 6,000 draws may hit
    assert len(held_out) > 130  # of 179 that 600 draws may hit


def test_a_tenth_as_many_stacks_are_held_out(stacked: StackedDigits) -> None:
    assert (len(stacked.train), len(stacked.held_out)) == (2000, 200)


def test_nothing_held_out_is_nothing_held_out() -> None:
    data = StackedDigits(resolution=8, triples=100, held_out=0)
    data.setup()
    assert (len(data.train), len(data.held_out)) == (100, 0)


def test_all_thousand_modes_are_there_and_equally_likely() -> None:
    data = StackedDigits(resolution=8, triples=20_000)
    data.setup()
    counts = np.bincount(everything(data.train)[1], minlength=1000)
    assert len(counts) == 1000
    assert counts.min() > 0  # 20 expected of each
    assert counts.max() < 50
    for factor in (1, 10, 100):
        assert np.bincount(everything(data.train)[1] // factor % 10).min() > 1700  # 2,000 expected


def test_stacks_do_not_depend_on_the_seed_of_shuffling() -> None:
    one, other, third = (
        StackedDigits(resolution=8, triples=100, seed=s, split_seed=p) for s, p in ((0, 0), (1, 0), (0, 1))
    )
    for data in (one, other, third):
        data.setup()
    assert one.digest == other.digest
    assert one.digest != third.digest


@pytest.mark.parametrize("channels", [1, 4])
def test_stacks_in_other_than_three_channels_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"need channels=3; got {channels}"):
        StackedDigits(channels=channels)


def test_fewer_than_ten_stacks_are_refused() -> None:
    with pytest.raises(ValueError, match="triples must be at least 10; got 9"):
        StackedDigits(triples=9)


def test_digits_are_grey_or_grey_three_times() -> None:
    with pytest.raises(ValueError, match=r"channels of Digits are 1 \(grey\) or 3 \(the same three times\); got 4"):
        Digits(channels=4)
