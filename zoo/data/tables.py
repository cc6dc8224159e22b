"""Images in tables: Parquet files read by row groups, and Arrow tables that are mapped into memory."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.samples import Encoded, SampleFacts, Samples, chunk_starts
from zoo.errors import DataError
from zoo.io.files import digest_of_values

LARGEST_GROUP = 2**30
"""Bytes of images in a row group beyond which it is not read as a whole, since it would fill the memory."""
GROUPS_KEPT = 2
"""Windows of images whose row groups a process keeps in memory: the current one, and what is left of the last."""
PROBED = 16
"""Images of a table whose content is part of its digest, beside the lengths of all."""

Cell = Any
"""A value of the column of images: {"bytes": ..., "path": ...}, or the content of a file."""


def content_of(cell: Cell, root: Path | None = None) -> bytes:
    """Return the content of an image file that a cell holds or names.

    Args:
        cell: the value of the column of images.
        root: folder that relative paths start from; None for the working folder.

    Raises:
        OSError: if the cell is empty, or its file cannot be read.
    """
    if isinstance(cell, dict):
        content, path = cell.get("bytes"), cell.get("path")
        if content is None and path:
            return (root / path if root else Path(path)).read_bytes()
        cell = content
    if not isinstance(cell, bytes):
        raise OSError("the cell of its image is empty")
    return cell


class ParquetSamples(Samples):
    """The images of Parquet files, of which whole row groups are read; those of the current window stay in memory.

    Args:
        paths: the files, or addresses that fsspec opens.
        image_column: name of the column of images.
        labels_of: function from the values of the columns of labels of all files to labels and class names.
        label_column: name of the column of labels; empty for none.
        window: number of images that are shuffled among each other.
        notes: what the user has to know.

    Raises:
        DataError: if a row group is too large.
    """

    def __init__(
        self,
        paths: Sequence[str],
        image_column: str,
        labels_of: Callable[[list[Any]], tuple[NDArray[np.int64], tuple[str, ...]]],
        label_column: str,
        window: int,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.paths, self.column, self.window = list(paths), image_column, window
        self._files: dict[str, Any] = {}
        self._groups: OrderedDict[int, list[Cell]] = OrderedDict()
        self._lock = Lock()
        self.places: list[tuple[int, int]] = []
        counts: list[int] = []
        values: list[Any] = []
        digest = hashlib.blake2b(digest_size=16)
        for number, path in enumerate(self.paths):
            file = self._file(path)
            for group in range(file.num_row_groups):
                about = file.metadata.row_group(group)
                columns = [about.column(i) for i in range(about.num_columns)]
                images = [c for c in columns if c.path_in_schema.partition(".")[0] == image_column]
                size = sum(c.total_uncompressed_size for c in images)
                if size > LARGEST_GROUP:
                    raise DataError(
                        f"row group {group} of {path} holds {about.num_rows:,} images in {size:,} bytes; one is read "
                        f"as a whole, and at most {LARGEST_GROUP:,} bytes are. Write the file with smaller row groups: "
                        "pyarrow.parquet.write_table(table, path, row_group_size=100)"
                    )
                self.places.append((number, group))
                counts.append(about.num_rows)
                digest.update(repr([about.num_rows, [c.total_compressed_size for c in images]]).encode())
            if label_column:
                values += file.read(columns=[label_column]).column(0).to_pylist()
        self.ends = np.cumsum(counts, dtype=np.int64)
        labels, class_names = labels_of(values) if label_column else (None, ())
        super().__init__(int(sum(counts)), SampleFacts("", chunk_starts(counts, max(counts, default=1))))
        self._probe(digest)
        parquet = digest_of_values("parquet", digest.hexdigest())
        state = state_of_files(self.paths)
        self.facts = SampleFacts(parquet, self.facts.starts, labels, class_names, notes=notes, state=state)

    def _probe(self, digest: Any) -> None:
        """Add the content of the first image of a few row groups to a digest."""
        firsts = self.facts.starts[np.unique(np.linspace(0, len(self.facts.starts) - 1, PROBED).astype(int))]
        for number in firsts.tolist() if len(self) else []:
            digest.update(self.content(number))

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        """Return the content of the image files with these numbers (n,), which are in ascending order."""
        groups = np.searchsorted(self.ends, numbers, side="right").tolist()
        result = []
        with self._lock:
            for number, group in zip(numbers.tolist(), groups):
                first = int(self.ends[group - 1]) if group else 0
                result.append(content_of(self._group(group)[number - first]))
        return result

    def name(self, number: int) -> str:
        """Return file, row group and row of an image."""
        group = int(np.searchsorted(self.ends, number, side="right"))
        first = int(self.ends[group - 1]) if group else 0
        file, within = self.places[group]
        return f"{self.paths[file]}, row group {within}, row {number - first}"

    def _group(self, group: int) -> list[Cell]:
        """Return the cells of a row group, and forget those that were used least recently beyond some windows."""
        if group not in self._groups:
            number, within = self.places[group]
            table = self._file(self.paths[number]).read_row_group(within, columns=[self.column], use_threads=False)
            self._groups[group] = table.column(0).to_pylist()
            while len(self._groups) > 2 and sum(map(len, self._groups.values())) > GROUPS_KEPT * self.window:
                self._groups.popitem(last=False)
        self._groups.move_to_end(group)
        return self._groups[group]

    def _file(self, path: str) -> Any:
        if self._files.get("process") != os.getpid():  # files of the process that this one was forked from
            self._files = {"process": os.getpid()}
        if path not in self._files:
            self._files[path] = open_parquet(path)
        return self._files[path]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}, "_lock": None, "_groups": OrderedDict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())


def open_parquet(path: str) -> Any:
    """Open a Parquet file, here or at an address that fsspec opens.

    Raises:
        DataError: if it cannot be read.
    """
    import fsspec
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(fsspec.open(path, "rb").open() if "://" in path else path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a Parquet file: {error}") from error


class ArrowSamples(Samples):
    """The images of a data set of `datasets` that is mapped into memory.

    Args:
        rows: the data set, with the format `arrow`.
        name: its name in messages.
        image_column: name of the column of images.
        labels: class indices (N,), or None.
        class_names: names of the classes.
        notes: what the user has to know.
    """

    def __init__(
        self,
        rows: Any,
        name: str,
        image_column: str,
        labels: NDArray[np.int64] | None,
        class_names: tuple[str, ...],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.rows, self.title, self.column = rows, name, image_column
        self._lock = Lock()
        super().__init__(len(rows), SampleFacts("", chunk_starts([len(rows)])))
        digest, state = self._digests()
        self.facts = SampleFacts(digest, self.facts.starts, labels, class_names, notes=notes, state=state)

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        """Return the content of the image files with these numbers (n,), which are in ascending order."""
        with self._lock:
            cells = self.rows[numbers.tolist()].column(self.column).to_pylist()
        return [content_of(cell) for cell in cells]

    def name(self, number: int) -> str:
        """Return the row of an image, and its file if it has one."""
        cell = self.rows[[number]].column(self.column).to_pylist()[0]
        path = cell.get("path") if isinstance(cell, dict) else None
        return f"{self.title}, row {number}{f' ({path})' if path else ''}"

    def _digests(self) -> tuple[str, str]:
        """Return a digest of the lengths of all images, of the names of those in files, and of the content of a few.

        The second text is a digest of the times of files, those of the table too; it is empty if all is in memory.
        """
        digest, times, has_files = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16), False
        if state := state_of_files([file["filename"] for file in getattr(self.rows, "cache_files", [])]):
            has_files = True
            times.update(state.encode())
        for first in range(0, len(self), 10_000):
            cells = self.rows[first : first + 10_000].column(self.column)
            for number, length, path in _lengths(cells):
                size: int | None = length
                if length is None and path and Path(path).is_file():
                    status, has_files = Path(path).stat(), True
                    size = status.st_size
                    times.update(f"{status.st_mtime_ns} ".encode())
                digest.update(f"{first + number} {size} {os.path.basename(path or '')}\n".encode())
        for number in np.unique(np.linspace(0, len(self) - 1, PROBED).astype(int)).tolist() if len(self) else []:
            digest.update(self.content(number))
        return digest_of_values("arrow", digest.hexdigest()), times.hexdigest() if has_files else ""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())


def state_of_files(paths: Sequence[str]) -> str:
    """Return a digest of sizes and times of the files on this machine, which changes when one is written again.

    The content of a few images does not tell that others were changed or exchanged. Addresses elsewhere are left out.
    """
    status = [Path(path).stat() for path in paths if Path(path).is_file()]
    return digest_of_values([(each.st_size, each.st_mtime_ns) for each in status]) if status else ""


def _lengths(cells: Any) -> list[tuple[int, int | None, str | None]]:
    """Return number, length in bytes and path of each cell of a column, without reading the images."""
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_struct(cells.type):
        names = [cells.type.field(i).name for i in range(cells.type.num_fields)]
        column = pyarrow.compute.struct_field(cells, "bytes")
        paths = pyarrow.compute.struct_field(cells, "path").to_pylist() if "path" in names else [None] * len(cells)
    else:
        column, paths = cells, [None] * len(cells)
    lengths = pyarrow.compute.binary_length(column).to_pylist()
    return list(zip(range(len(cells)), lengths, paths))
