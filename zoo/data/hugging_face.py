"""Data sets of the Hugging Face library `datasets`: saved ones, Parquet files, folders of images, and the hub's."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.encoded import EncodedImages, require_package
from zoo.data.samples import Samples, named_labels
from zoo.data.tables import ArrowSamples, ParquetSamples, open_parquet
from zoo.errors import DataError, did_you_mean, first_line
from zoo.io.files import cache_folder, with_home

SAVED = ("state.json", "dataset_dict.json")
"""Files of a folder that `save_to_disk` has written."""
USUAL_LABELS = ("label", "labels", "class", "target")
"""Names of a column of labels where several, or none, are declared to be classes."""


class HuggingFace(EncodedImages):
    """Images of a data set of the Hugging Face library `datasets`, with the classes that it names.

    The images of Parquet files are read from them by row groups, here and on the hub; sets in other forms are turned
    into an Arrow table once by `datasets`, in the cache. Either way an image is reached by its number, so that a
    resumed run, and each of several processes, goes directly to the images that are next.

    Args:
        name: a folder that `save_to_disk` wrote, a Parquet file or a folder of them, a folder of images
            (`imagefolder`), or the name of a set on the hub, such as `ylecun/mnist`.
        config: configuration of the set, where it has several.
        split: part to train on.
        test_split: the publisher's test part, which is held out; empty to hold out `held_out` of the images.
        image_column: column of the images; empty for the only one.
        label_column: column of the classes; empty to find it, `none` to train without labels.
        encoded: settings of `zoo.data.encoded.EncodedImages` and `zoo.data.Images`.
    """

    def __init__(
        self,
        *,
        name: str,
        config: str = "",
        split: str = "train",
        test_split: str = "",
        image_column: str = "",
        label_column: str = "",
        **encoded: Any,
    ) -> None:
        super().__init__(**encoded)
        if not name:
            raise ValueError("name is a folder, a Parquet file, or a data set of the hub; got an empty text")
        self.source, self.config, self.split, self.test_split = name, config, split, test_split
        self.image_column, self.label_column = image_column, label_column

    def check_place(self) -> None:
        """Check that the package `datasets` is there, and the folder or file, unless `name` is one of the hub.

        Raises:
            DataError: if one of them is missing.
        """
        require_package("HuggingFace", "datasets")
        place = with_home(self.source)
        is_path = place.is_absolute() or self.source.startswith((".", "~")) or self.source.count("/") > 1
        is_path = is_path or self.source.endswith(".parquet")
        if is_path and not place.exists() and "*" not in self.source:
            raise DataError(
                f"data.name={self.source}: there is no such folder or file. Give the path of a folder that "
                "save_to_disk wrote, of Parquet files or of images, or the name of a set on the hub, such as "
                "ylecun/mnist"
            )

        if self.test_split and self.test_split == self.split:
            raise DataError(
                f"data.test_split={self.test_split} is the part to train on, data.split; images that are held out must "
                "be others. Name another part, or leave data.test_split out, which holds out a share (data.held_out)"
            )
        if self._is_files(place) and (self.test_split or self.split != "train"):
            setting, split = ("test_split", self.test_split) if self.test_split else ("split", self.split)
            raise DataError(
                f"data.{setting}={split}: {self.source} stands for files, all of them to train on, and has no parts "
                "with names. Give the folder of Parquet files whose names tell the part, or leave it out"
            )

    def samples(self) -> Samples:
        """Return the images of the part to train on."""
        return self._part("split", self.split)

    def test_samples(self) -> Samples | None:
        """Return the images of the publisher's test part; None if none is named."""
        return self._part("test_split", self.test_split) if self.test_split else None

    def _part(self, setting: str, split: str) -> Samples:
        """Return the images of a part of the set.

        Raises:
            DataError: if the set or the part is not there, or its images cannot be reached by their number.
        """
        self.check_place()
        place = with_home(self.source)
        if place.is_dir() and any((place / file).is_file() for file in SAVED):
            return self._table(self._saved(place, setting, split), split)
        builder = self._builder(place)
        files = _files_of(builder)
        if files and split not in files:
            raise self._no_split(setting, split, list(files))
        paths = [str(file) for file in files.get(split, ())]
        if paths and all(path.endswith(".parquet") for path in paths):
            return self._parquet(paths)
        if self.stream and not place.exists():
            raise DataError(
                f"data.name={self.source}: a set of the hub is streamed from Parquet files, in which the position of "
                "an image can be computed; this one has others. Set data.stream=false, which fetches it once, or leave "
                "data.stream out, which decides by its size"
            )
        with self._faults():
            builder.download_and_prepare()
        if split not in (builder.info.splits or {}):
            raise self._no_split(setting, split, list(builder.info.splits or {}))
        return self._table(builder.as_dataset(split=split), split)

    # --- the forms of a set ------------------------------------------------------------------------------------------

    def _saved(self, place: Path, setting: str, split: str) -> Any:
        """Return a part of a set that `save_to_disk` wrote."""
        import datasets

        with self._faults():
            saved: Any = datasets.load_from_disk(str(place))
        if isinstance(saved, datasets.DatasetDict):
            if split not in saved:
                raise self._no_split(setting, split, list(saved))
            return saved[split]
        if setting == "test_split":
            raise DataError(
                f"data.test_split={split}: {self.source} was saved without parts. Save a DatasetDict, or leave "
                "data.test_split out, which holds out data.held_out of the images"
            )
        return saved

    def _builder(self, place: Path) -> Any:
        """Return the object of `datasets` that knows the files of the set, without reading them."""
        import datasets

        options: dict[str, Any] = {"cache_dir": str(cache_folder() / "datasets")}
        if self._is_files(place):
            found = sorted(str(file) for file in place.parent.glob(place.name))
            if not found or not all(file.endswith(".parquet") for file in found):
                raise DataError(
                    f"data.name={self.source}: a file is a Parquet file, ending in .parquet; {len(found):,} are there. "
                    "Give a folder for other forms"
                )
            with self._faults():
                return datasets.load_dataset_builder("parquet", data_files={self.split: found}, **options)
        with self._faults():
            source = str(place) if place.is_dir() else self.source
            return datasets.load_dataset_builder(source, self.config or None, **options)

    def _is_files(self, place: Path) -> bool:
        """Return whether the source is a file, or a pattern of files."""
        return place.is_file() or "*" in self.source

    def _parquet(self, paths: list[str]) -> Samples:
        """Return the images of Parquet files."""
        import datasets

        with self._faults():
            features = datasets.Features.from_arrow_schema(open_parquet(paths[0]).schema_arrow)
            image, label, notes = self._columns(features)
            labels_of = _labels_by(features, label)
            return ParquetSamples(paths, image, labels_of, label, self.window, notes)

    def _table(self, rows: Any, split: str) -> Samples:
        """Return the images of an Arrow table."""
        with self._faults():
            image, label, notes = self._columns(rows.features)
            labels: NDArray[np.int64] | None = None
            class_names: tuple[str, ...] = ()
            table = rows.with_format("arrow")
            if label:
                values = table.select_columns([label])[:].column(0).to_pylist()
                labels, class_names = _labels_by(rows.features, label)(values)
            return ArrowSamples(table, f"{self.source} ({split})", image, labels, class_names, notes)

    # --- columns and messages ----------------------------------------------------------------------------------------

    def _columns(self, features: Any) -> tuple[str, str, tuple[str, ...]]:
        """Return the columns of images and of labels, empty for none, and notes about the choice.

        Raises:
            DataError: if a named column is not there, or the column of images cannot be told.
        """
        import datasets

        for setting, column in (("image_column", self.image_column), ("label_column", self.label_column)):
            if column and column != "none" and column not in features:
                raise DataError(
                    f"data.{setting}={column}: {self.source} has no such column.{did_you_mean(column, features)}"
                )
        images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
        if not self.image_column and len(images) != 1:
            found = f"the columns {', '.join(images)} hold images" if images else "no column is declared to hold images"
            raise DataError(
                f"data.name={self.source}: {found}. Say which is meant: data.image_column=NAME, one of "
                f"{', '.join(features)}"
            )
        image = self.image_column or images[0]
        if not isinstance(features[image], datasets.Image) and getattr(features[image], "dtype", "") not in (
            "binary",
            "large_binary",
        ):
            raise DataError(
                f"data.image_column={image}: it holds {features[image]}, neither images nor the content of image "
                "files. Convert it: dataset.cast_column(NAME, datasets.Image())"
            )
        label, notes = self._label_among(features)
        return image, label, notes

    def _label_among(self, features: Any) -> tuple[str, tuple[str, ...]]:
        """Return the column of labels, empty for none, and notes about the choice."""
        import datasets

        if self.label_column:
            return ("" if self.label_column == "none" else self.label_column), ()
        declared = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
        usual = [
            name
            for name in USUAL_LABELS
            if name in (declared or features) and getattr(features[name], "dtype", "") in ("int64", "int32", "string")
        ]
        if len(declared) == 1 or usual:
            return (declared[0] if len(declared) == 1 else usual[0]), ()
        if declared:
            names = ", ".join(declared)
            return "", (f"the columns {names} are classes; none is used. Choose one: data.label_column={declared[0]}",)
        return "", ()

    def _no_split(self, setting: str, split: str, known: list[str]) -> DataError:
        other = self.split if setting == "test_split" else self.test_split
        possible = [str(part) for part in known if part != other]
        close = difflib.get_close_matches(split, possible, n=1)
        remedy = f"Give data.{setting}={[*close, *possible][0]}" if possible else f"Leave data.{setting} out"
        return DataError(
            f"data.{setting}={split}: {self.source} has no such part; it has {', '.join(map(str, known))}. {remedy}"
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Name, in errors of `datasets`, the set and three ways to get images."""
        try:
            yield
        except DataError:
            raise
        except Exception as error:  # datasets, fsspec and the hub raise many types, among them Exception itself
            raise DataError(
                f"HuggingFace: data.name={self.source} cannot be read ({type(error).__name__}: {first_line(error)})\n"
                "  three ways on:\n  1. check the name, data.config and data.split, and the connection for a set of "
                "the hub\n  2. by hand: fetch it elsewhere, dataset.save_to_disk(FOLDER), and data.name=FOLDER\n  3. "
                "other images: data.class=Folder data.root=FOLDER, or data.class=Digits, which needs no files"
            ) from error


def _files_of(builder: Any) -> dict[str, Any]:
    """Return the files of each part of a set, as far as its builder knows them."""
    return dict(getattr(builder.config, "data_files", None) or {})


def _labels_by(features: Any, label: str) -> Callable[[list[Any]], tuple[NDArray[np.int64], tuple[str, ...]]]:
    """Return a function from the values of a column to class indices (N,) and class names."""

    def labels_of(values: list[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        if any(value is None for value in values):
            raise DataError(
                f"data.label_column={label}: {sum(value is None for value in values):,} of {len(values):,} images have "
                "no label. Label all, or set data.label_column=none to train without labels"
            )
        names = tuple(getattr(features[label], "names", None) or ())
        if names or all(isinstance(value, int) for value in values):
            return np.array(values, dtype=np.int64), names
        return named_labels([str(value) for value in values])

    return labels_of
