"""Rows of an array in an .npy or .npz file, read a few at a time, so that the array need not fit into memory.

An array of Python objects is refused: it is stored as a pickle, which can run code when it is read.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from threading import Lock
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, first_line

BLOCK = 2**23
"""Bytes of an .npz that are read at once."""
ROWS = 64
"""Smallest number of rows that are read at once; more than there are threads, so that no block is read twice."""
OF_ZIP = (OSError, EOFError, BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""Exceptions of `zipfile` for a damaged, an encrypted or an unusually compressed file."""
FAULTS = (*OF_ZIP, ValueError)
"""These, and those of `numpy.lib.format` for a damaged array."""


class Rows(ABC):
    """An array in a file.

    Args:
        where: the file, and in an .npz the name of the array, for messages.
        shape: shape of the array.
        dtype: type of its values.
    """

    def __init__(self, where: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.where, self.shape, self.dtype = where, shape, dtype

    @abstractmethod
    def __getitem__(self, i: int) -> NDArray[Any]:
        """Return the i-th row.

        Raises:
            DataError: if the file is damaged.
        """

    def all(self) -> NDArray[Any]:
        """Return the whole array."""
        return np.stack([self[i] for i in range(self.shape[0])]) if self.shape[0] else np.empty(self.shape, self.dtype)


class MappedRows(Rows):
    """The array of an .npy file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            shape, _, dtype = _check_header(file, str(path))
        super().__init__(str(path), shape, dtype)
        try:
            self.array = np.load(path, mmap_mode="r", allow_pickle=False) if 0 not in shape else np.empty(shape)
        except FAULTS as error:
            raise _damaged(str(path), error) from error

    def __getitem__(self, i: int) -> NDArray[Any]:
        """Return the i-th row."""
        row: NDArray[Any] = self.array[i]
        return row


class NpzRows(Rows):
    """An array of an .npz file, compressed or not, of which two blocks of rows are in memory.

    Rows that are asked for in about their order are read once; for an earlier row the array is read from its beginning.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.archive, self.member, self._lock = ZipFile(path), f"{name}.npy", Lock()
        where = f"{path}, array {name}"
        self._file: IO[bytes] = self._opened(where)
        shape, self.by_columns, dtype = _check_header(self._file, where)
        super().__init__(where, shape, dtype)
        self.row_shape, self.row_bytes = shape[1:], int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        self.rows = max(ROWS, BLOCK // max(1, self.row_bytes))
        self._blocks: list[tuple[int, NDArray[Any]]] = []  # first row, and rows, of the last two blocks
        self._next = 0

    def __getitem__(self, i: int) -> NDArray[Any]:
        """Return the i-th row.

        Raises:
            DataError: if the file is damaged.
        """
        with self._lock:
            if i < (self._blocks[0][0] if self._blocks else 0):
                self._rewind()
            while i >= self._next:
                self._read_block()
            first, block = next(each for each in reversed(self._blocks) if each[0] <= i)
            row: NDArray[Any] = block[i - first]
            return row

    def _opened(self, where: str) -> IO[bytes]:
        try:
            return self.archive.open(self.member)
        except FAULTS as error:
            raise _damaged(where, error) from error

    def _rewind(self) -> None:
        self._file.close()
        self._file = self._opened(self.where)
        _check_header(self._file, self.where)
        self._blocks, self._next = [], 0

    def _read_block(self) -> None:
        count = min(self.rows, self.shape[0] - self._next)
        try:
            content = self._file.read(count * self.row_bytes)
        except FAULTS as error:
            raise _damaged(self.where, error) from error
        if len(content) < count * self.row_bytes or not count:
            raise _damaged(self.where, EOFError(f"it ends before row {self._next + count:,} of {self.shape[0]:,}"))
        block = np.frombuffer(content, self.dtype).reshape(count, *self.row_shape)
        self._blocks = [*self._blocks[-1:], (self._next, block)]
        self._next += count


def _damaged(where: str, error: BaseException) -> DataError:
    return DataError(f"{where} cannot be read: {first_line(error)}. Copy or write the file again")


def _check_header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array; return its shape, whether it is stored by columns, and the type of its values.

    Raises:
        DataError: if it is no array, or one of Python objects.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, by_columns, dtype = read[version](file)
    except OF_ZIP as error:
        raise _damaged(where, error) from error
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{where} is no array of numbers as numpy.save writes it: {first_line(error)}. A pickle is not read, "
            "because it can run code: load it yourself, and write the images with numpy.savez(FILE, images)"
        ) from error
    if dtype.hasobject:
        raise DataError(
            f"{where} is an array of Python objects, which is stored as a pickle and can run code when it is read. "
            "Write the images as one array of numbers, of one size: numpy.savez(FILE, numpy.stack(images))"
        )
    return shape, by_columns, dtype
