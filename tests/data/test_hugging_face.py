"""Tests of Hugging Face data sets in their local forms: the same images, decoded once or as they are read.

Sets of the hub are read through the same object of `datasets`; a stand-in of it gives files as the hub would.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.test_streamed import file_of, picture
from zoo.data import HuggingFace
from zoo.errors import DataError

datasets = pytest.importorskip("datasets")

NAMES = ["cat", "dog", "owl"]
COUNT = 60


@pytest.fixture(autouse=True)
def no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.disable_progress_bars()


def table(first: int = 0, last: int = COUNT, **more: list[Any]) -> Any:
    """Return pictures first..last-1 as a data set of `datasets`, labelled with their number modulo 3."""
    numbers = range(first, last)
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=NAMES)}
    columns = {
        "picture": [{"bytes": file_of(picture(i)), "path": None} for i in numbers],
        "kind": [i % 3 for i in numbers],
    }
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    for name, values in more.items():
        rows = rows.add_column(name, values)
    return rows


def bitmaps(numbers: Iterable[int]) -> Any:
    """Return pictures as files of one length, labelled with their number modulo 3."""
    columns = {
        "picture": [{"bytes": file_of(picture(i), "BMP"), "path": None} for i in numbers],
        "kind": [i % 3 for i in numbers],
    }
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=NAMES)}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def ready(name: Any, **settings: Any) -> HuggingFace:
    data = HuggingFace(name=str(name), **{"resolution": 12, "batch_size": 4, "window": 20, **settings})
    data.setup()
    return data


def saved(folder: Path) -> Path:
    table().save_to_disk(folder)
    return folder


def saved_parts(folder: Path) -> Path:
    datasets.DatasetDict({"train": table(), "test": table(60, 70)}).save_to_disk(folder)
    return folder


def parquet_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    table(0, 35).to_parquet(folder / "train-00000-of-00002.parquet", batch_size=8)
    table(35, 60).to_parquet(folder / "train-00001-of-00002.parquet", batch_size=8)
    table(60, 70).to_parquet(folder / "test-00000-of-00001.parquet")
    return folder


def parquet_file(folder: Path) -> Path:
    return parquet_folder(folder).joinpath("train-*.parquet")


def image_folder(folder: Path) -> Path:
    for i in range(COUNT):
        path = folder / "train" / NAMES[i % 3] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_of(picture(i)))
    return folder


FORMS = [saved, saved_parts, parquet_folder, parquet_file, image_folder]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_images_and_classes(form: Any, stream: bool, tmp_path: Path) -> None:
    data = ready(form(tmp_path / "set"), stream=stream)
    images, labels = data.train.pool.images[:], data.train.pool.labels
    assert labels is not None
    expected = [np.asarray(picture(i)) for i in range(COUNT)]
    order = range(COUNT) if form is not image_folder else sorted(range(COUNT), key=lambda i: (i % 3, i))
    assert np.array_equal(images, np.stack([expected[i] for i in order]))
    assert labels.tolist() == [i % 3 for i in order]
    assert data.class_names == tuple(NAMES)
    assert (len(data.train), len(data.held_out)) == (54, 6)


@pytest.mark.parametrize("form", FORMS)
def test_any_number_of_readers_gives_the_same_batches(form: Any, tmp_path: Path) -> None:
    place = form(tmp_path / "set")
    one, other = (ready(place, stream=True, num_workers=workers) for workers in (0, 2))
    batches = [torch.cat([b.images for b in islice(iter(data.train_dataloader()), 13)]) for data in (one, other)]
    assert torch.equal(*batches)
    assert len(torch.unique(batches[0].flatten(1), dim=0)) == 52  # 13 batches of 4: none comes twice in the epoch


@pytest.mark.parametrize("form", [saved_parts, parquet_folder])
def test_a_publishers_test_part_is_held_out(form: Any, tmp_path: Path) -> None:
    data = ready(form(tmp_path / "set"), test_split="test", stream=True)
    assert data.held_out.indices.tolist() == list(range(60, 70))
    assert np.array_equal(data.train.pool.images[60], np.asarray(picture(60)))


def test_a_copy_elsewhere_is_the_same_set(tmp_path: Path) -> None:
    for form in FORMS:
        place = form(tmp_path / form.__name__)
        digest = ready(place, stream=True).digest
        (tmp_path / form.__name__).rename(tmp_path / "moved")
        assert ready(tmp_path / "moved" / place.relative_to(tmp_path / form.__name__), stream=True).digest == digest
        (tmp_path / "moved").rename(tmp_path / f"done {form.__name__}")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_table_whose_rows_were_exchanged_is_decoded_again(form: str, tmp_path: Path) -> None:
    """The lengths of all images and the content of the first one, by which sets were told apart, are the same."""
    sets = []
    for rows in (range(40), [0, *range(39, 0, -1)]):
        written = bitmaps(rows)
        place = tmp_path / ("a.parquet" if form == "parquet" else str(len(sets)))
        (written.to_parquet if form == "parquet" else written.save_to_disk)(place)
        sets.append(ready(place, stream=False))
    first, second = (data.train.pool for data in sets)
    assert sets[0].digest != sets[1].digest
    assert np.array_equal(second.images[0], first.images[0])
    assert np.array_equal(second.images[1:], first.images[:0:-1])
    assert first.labels is not None
    assert second.labels is not None
    assert second.labels[1:].tolist() == first.labels[:0:-1].tolist()


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    place = image_folder(tmp_path / "set")
    before = ready(place, stream=False)
    changed = place / "train" / "dog" / "031.png"
    changed.write_bytes(file_of(picture(31).transpose(0)))
    after = ready(place, stream=False)
    assert int((before.train.pool.images[:] != after.train.pool.images[:]).any((1, 2, 3)).sum()) == 1
    assert before.digest != after.digest


def test_row_groups_stay_in_memory_for_two_windows_only(tmp_path: Path) -> None:
    data = ready(parquet_folder(tmp_path / "set"), stream=True, window=10)
    list(islice(iter(data.train_dataloader()), 20))
    samples: Any = data.train.pool.images.samples  # type: ignore[union-attr]
    assert sum(map(len, samples._groups.values())) <= 20


def test_a_row_group_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.tables.LARGEST_GROUP", 1000)
    with pytest.raises(DataError, match=r"row group 0 of .* holds 8 images in .*row_group_size=100"):
        ready(parquet_folder(tmp_path / "set"))


# --- columns ---------------------------------------------------------------------------------------------------------


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = table(other=[f"kind {i % 2}" for i in range(COUNT)])
    second = rows.select_columns(["picture"]).rename_column("picture", "second")
    datasets.concatenate_datasets([rows, second], axis=1).save_to_disk(tmp_path / "set")
    with pytest.raises(DataError, match=r"the columns picture, second hold images\. Say which is meant"):
        ready(tmp_path / "set")
    data = ready(tmp_path / "set", image_column="second", label_column="other")
    assert data.class_names == ("kind 0", "kind 1")
    assert ready(tmp_path / "set", image_column="second", label_column="none").num_classes == 0
    with pytest.raises(DataError, match=r"data\.label_column=knd: .* has no such column\. Did you mean kind\?"):
        ready(tmp_path / "set", image_column="second", label_column="knd")
    with pytest.raises(DataError, match=r"data\.image_column=kind: it holds ClassLabel.*cast_column"):
        ready(tmp_path / "set", image_column="kind")


def test_of_several_columns_of_classes_none_is_taken_in_silence(tmp_path: Path) -> None:
    rows = table(rough=[i % 2 for i in range(COUNT)])
    rows.cast_column("rough", datasets.ClassLabel(names=["a", "b"])).save_to_disk(tmp_path / "set")
    data = ready(tmp_path / "set")
    assert data.num_classes == 0
    assert "the columns kind, rough are classes; none is used. Choose one: data.label_column=kind" in data.notes()


def test_the_content_of_files_in_a_plain_column(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"content": [file_of(picture(i)) for i in range(20)], "label": ["a", "b"] * 10})
    rows.to_parquet(tmp_path / "a.parquet")
    data = ready(tmp_path / "a.parquet", image_column="content")
    assert np.array_equal(data.train.pool.images[7], np.asarray(picture(7)))
    assert data.class_names == ("a", "b")


def test_images_without_a_label(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict(
        {"content": [file_of(picture(i)) for i in range(20)], "label": [None, *["a"] * 19]}
    )
    rows.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"data\.label_column=label: 1 of 20 images have no label\."):
        ready(tmp_path / "a.parquet", image_column="content")


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    for form in (saved_parts, parquet_folder, image_folder):
        place = form(tmp_path / form.__name__)
        with pytest.raises(DataError, match=r"data\.split=trian: .* has no such part; it has train.*data\.split=train"):
            ready(place, split="trian")


def test_a_part_that_is_trained_on_is_not_held_out(tmp_path: Path) -> None:
    place = saved_parts(tmp_path / "set")
    with pytest.raises(
        DataError, match=r"data\.test_split=train is the part to train on, data\.split; images that are"
    ):
        ready(place, test_split="train")
    with pytest.raises(DataError, match=r"data\.test_split=tset: .* it has train, test. Give data\.test_split=test$"):
        ready(place, test_split="tset")
    with pytest.raises(DataError, match=r"data\.test_split=holdout: .* Give data\.test_split=test$"):  # not train
        ready(place, test_split="holdout")


@pytest.mark.parametrize("settings", [{"test_split": "test"}, {"split": "tarin"}])
def test_files_have_no_named_parts(settings: dict[str, str], tmp_path: Path) -> None:
    """`datasets` would give every name the same files: training and held-out images would be the same."""
    (setting,) = settings
    for place in (parquet_file(tmp_path / "set"), tmp_path / "set" / "train-00000-of-00002.parquet"):
        with pytest.raises(
            DataError, match=rf"data\.{setting}={settings[setting]}: .* stands for files, all of them to"
        ):
            ready(place, **settings)


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    for name in (tmp_path / "none", "./none", tmp_path / "none.parquet"):
        with pytest.raises(DataError, match=r"there is no such folder or file\. Give the path of a folder that"):
            ready(name)


def test_the_extra_is_named_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "datasets" else found(name))
    with pytest.raises(
        DataError, match=r'needs the package datasets, which is missing: pip install "gan-zoo\[datasets\]"'
    ):
        ready("name/of-the-hub")


class FromHub:
    """What `load_dataset_builder` returns for a set of the hub whose files are here."""

    def __init__(self, files: dict[str, list[str]]) -> None:
        self.config = type("Config", (), {"data_files": files})()


def test_parquet_files_of_the_hub_are_read_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = parquet_folder(tmp_path / "set")
    files = {"train": [f"file://{file}" for file in sorted(place.glob("train-*"))]}
    asked: list[Any] = []
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *a, **o: asked.append(a) or FromHub(files))
    data = ready("owner/pictures", config="small", stream=True, num_workers=1)
    assert asked == [("owner/pictures", "small")]
    assert np.array_equal(data.train.pool.images[59], np.asarray(picture(59)))
    assert len(list(islice(iter(data.train_dataloader()), 3))) == 3


def test_a_set_of_the_hub_without_positions_is_not_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *a, **o: FromHub({"train": ["hf://x/a.zip"]}))
    with pytest.raises(DataError, match=r"a set of the hub is streamed from Parquet files.*Set data\.stream=false"):
        ready("owner/pictures", stream=True)


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **options: Any) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset_builder", fails)
    with pytest.raises(DataError) as caught:
        ready("owner/pictures")
    text = str(caught.value)
    assert text.startswith("HuggingFace: data.name=owner/pictures cannot be read (ConnectionError: no route)")
    assert text.count("\n  ") == 4


def test_nothing_of_datasets_is_imported_with_the_library() -> None:
    import subprocess

    code = "import sys, zoo.data; print(sorted({'datasets', 'pyarrow', 'litdata', 'webdataset'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
