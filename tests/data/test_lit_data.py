"""Tests of sets that litdata wrote: the same images, in an order that its loader's state has no part in."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.test_streamed import file_of, picture
from zoo.data import LitData
from zoo.errors import DataError

pytest.importorskip("litdata")
COUNT = 40


def as_bytes(number: int) -> Any:
    return {"content": file_of(picture(number)), "kind": number % 3, "note": "words"}


def as_picture(number: int) -> Any:
    return picture(number), number % 3


def as_array(number: int) -> Any:
    return {"pixels": np.asarray(picture(number)).transpose(2, 0, 1).copy(), "kind": number % 3}


def write(folder: Path, sample: Any) -> Path:
    """Write chunks of 9 samples with the writer that `litdata.optimize` runs in its processes."""
    from litdata.streaming import Cache

    folder.mkdir()
    cache = Cache(str(folder), chunk_size=9)
    for number in range(COUNT):
        cache[number] = sample(number)
    cache.done()
    cache.merge()
    return folder


def ready(root: Path, **settings: Any) -> LitData:
    data = LitData(root=str(root), **{"resolution": 12, "batch_size": 4, "window": 20, **settings})
    data.setup()
    return data


@pytest.mark.parametrize("sample", [as_bytes, as_picture, as_array])
def test_every_kind_of_sample(sample: Any, tmp_path: Path) -> None:
    streamed, decoded = (ready(write(tmp_path / str(s), sample), stream=s) for s in (True, False))
    assert np.array_equal(streamed.train.pool.images[:], np.stack([picture(i) for i in range(COUNT)]))
    assert np.array_equal(decoded.train.pool.images[:], streamed.train.pool.images[:])
    assert streamed.train.pool.labels is not None
    assert streamed.train.pool.labels.tolist() == [i % 3 for i in range(COUNT)]


def test_any_number_of_readers_gives_the_same_batches(tmp_path: Path) -> None:
    root = write(tmp_path / "set", as_bytes)
    rows = []
    for workers in (0, 1, 3):
        loader = ready(root, stream=True, num_workers=workers).train_dataloader()
        rows.append(torch.cat([batch.images for batch in islice(iter(loader), 9)]))
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[0], rows[2])
    assert len(torch.unique(rows[0].flatten(1), dim=0)) == 36


def test_which_value_is_the_image(tmp_path: Path) -> None:
    root = write(tmp_path / "set", lambda i: {"a": file_of(picture(i)), "b": file_of(picture(i + 50)), "n": i % 2})
    with pytest.raises(DataError, match=r"a, b of a sample are images\. Say which is meant: data\.image_key=KEY"):
        ready(root)
    data = ready(root, image_key="b", label_key="none")
    assert np.array_equal(data.train.pool.images[3], np.asarray(picture(53)))
    assert data.num_classes == 0
    with pytest.raises(DataError, match=r"data\.label_key=m: a sample has no such value; it has a, b, n"):
        ready(root, image_key="b", label_key="m")


def test_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"there is no index\.json\. Give a folder that litdata\.optimize"):
        ready(tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "litdata" else found(name))
    with pytest.raises(DataError, match=r'package litdata, which is missing: pip install "gan-zoo\[litdata\]"'):
        ready(tmp_path)
