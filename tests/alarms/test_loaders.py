"""Tests of the alarms with loaders that are not of `zoo.data`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tests.helpers.training import tiny_mlp, train
from zoo.callbacks import Alarms


class Doubles:
    """Loader of images in double precision, as NumPy makes them."""

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(0)
        while True:
            yield torch.rand(8, 1, 4, 4, generator=generator, dtype=torch.float64) * 2 - 1


def test_images_in_double_precision_are_read(tmp_path: Path) -> None:
    alarms = Alarms(rounds=2)
    train(tiny_mlp(), 6, tmp_path, loader=Doubles(), callbacks=[alarms])
    assert alarms.baselines.tracks["score/real"].count == 3
