"""Read and write `model.safetensors`: the tensors, and in its header the description of the model they belong to.

A safetensors file (https://github.com/huggingface/safetensors) consists of a length of 8 bytes, a JSON header, and raw
numbers; reading it cannot run code. The header is read and compared with the model before any tensor is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialised
from torch import Tensor

from zoo.errors import ReleaseError, first_line
from zoo.io.files import atomic_write

LARGEST_HEADER = 2**24
"""Largest accepted header, in bytes; that of the largest BigGAN is less than a hundredth of it."""

DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
PICKLE_STARTS = (b"PK", b"\x80")  # first bytes of an archive of torch.save, and of a plain pickle


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file.

    Args:
        tensors: dtype and shape of each tensor, by name.
        texts: the metadata of the file.
    """

    tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]]
    texts: dict[str, str]


def write(path: Path, tensors: dict[str, Tensor], texts: dict[str, str]) -> None:
    """Write a safetensors file atomically and flush it to the disk.

    Args:
        path: the file to write.
        tensors: the tensors by name.
        texts: the metadata of the file.

    Raises:
        ReleaseError: if the file cannot be written.
    """
    # safetensors requires tensors that are contiguous and do not share memory
    separate = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        # safetensors' own function creates a file that only its owner can read
        with atomic_write(path, sync=True) as scratch:
            scratch.write_bytes(serialised(separate, metadata=texts))
    except (OSError, SafetensorError) as error:
        raise ReleaseError(f"cannot write {path}: {first_line(error)}") from error


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file and check it against the size of the file; no tensor is read.

    Raises:
        ReleaseError: if it is no safetensors file, or a damaged one.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            # A valid header's length may begin with the same bytes; those of a pickle give too large a length.
            if start.startswith(PICKLE_STARTS) and 8 + length > size:
                raise ReleaseError(
                    f"{path} is refused: it is a pickle (a file of torch.save) under another name, and reading one can "
                    "run code. A release holds its weights as safetensors; zoo.hub.convert takes weights from elsewhere"
                )
            if len(start) < 8 or length > LARGEST_HEADER or 8 + length > size:
                raise ReleaseError(
                    f"{path} is refused: its header would have {length:,} bytes, of a file of {size:,}; at most "
                    f"{LARGEST_HEADER:,} are read. It is damaged, incomplete, or no safetensors file"
                )
            content = json.loads(file.read(length))
        return _checked_header(path, content, size - 8 - length)
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"{path} is refused: its header is not readable ({first_line(error)})") from error


def _checked_header(path: Path, content: Any, size: int) -> Header:
    """Check the parsed header of a file: tensors have known types and shapes, follow each other, and fill the file.

    Args:
        path: the file, for error messages.
        content: the parsed header.
        size: number of bytes after the header.

    Raises:
        ReleaseError: if the tensors do not fill the file.
        ValueError: for any other fault; other exceptions for entries of a wrong type.
    """
    if not isinstance(content, dict):
        raise ValueError("it is no mapping")
    texts = content.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("its metadata are no strings")
    tensors, end = {}, 0
    for name, entry in sorted(content.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        dtype, shape = DTYPES.get(entry["dtype"]), tuple(entry["shape"])
        if dtype is None or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"{name} has dtype {entry['dtype']!r} and shape {shape}")
        tensor_size = dtype.itemsize
        for n in shape:
            tensor_size *= n
        if list(entry["data_offsets"]) != [end, end + tensor_size]:
            raise ValueError(f"{name} does not lie where a tensor of its shape would")
        tensors[name], end = (dtype, shape), end + tensor_size
    if end != size:
        raise ReleaseError(
            f"{path} is refused: its tensors need {end:,} bytes, and it has {size:,}. It is damaged or incomplete"
        )
    return Header(tensors, texts)


def read(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file whose header was checked.

    Raises:
        ReleaseError: if the file cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ReleaseError(f"cannot read {path}: {first_line(error)}") from error
