"""Tests of models and callbacks that are fitted a second time, with another trainer or other data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.training import Noise, tiny_biggan, tiny_mlp, train
from zoo.callbacks import Alarms
from zoo.errors import DataError


class Bytes:
    """Loader of images in 0 to 255."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.randint(256, (5, 8, 1, 4, 4), dtype=torch.uint8))


def test_the_first_batch_of_every_fit_is_checked(tmp_path: Path) -> None:
    model = tiny_mlp()
    train(model, 2, tmp_path)
    with pytest.raises(DataError, match=r"images must be float in \[-1, 1\]; the first batch is torch.uint8"):
        train(model, 2, tmp_path, loader=Bytes())
    with pytest.raises(DataError, match=r"the loader gives images of shape \(1, 5, 5\)"):
        train(model, 2, tmp_path, loader=Noise((1, 5, 5)))


def test_names_of_classes_stay_where_the_loader_has_none(tmp_path: Path) -> None:
    model = tiny_biggan()
    model.class_names = ("ant", "bee", "cat")
    train(model, 1, tmp_path)
    assert model.class_names == ("ant", "bee", "cat")


def test_what_alarms_set_ends_with_their_fit(tmp_path: Path) -> None:
    """A loss that is not finite is an error again where nothing would roll it back."""
    model = tiny_mlp()
    train(model, 2, tmp_path, callbacks=[Alarms(action="rollback")])
    assert model.can_roll_back
    model.lr_factor = 0.1  # as after a rollback
    train(model, 1, tmp_path)
    assert (model.lr_factor, model.can_roll_back) == (1.0, False)
