"""`model.safetensors`: tensors, and in its header the text that says how to build their model.

safetensors (https://github.com/huggingface/safetensors) is a length of 8 bytes, a JSON header, and raw numbers:
reading it cannot run code. Here the header is read and held against the model before any tensor is.
"""

from __future__ import annotations

import json
import os
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
"""Bytes; the largest BigGAN's header has less than a hundredth of it."""

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
PICKLES = (b"PK", b"\x80")  # torch.save's archive, and the plain pickles before it


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Args:
        tensors: dtype and shape by name.
        texts: the file's metadata.
    """

    tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]]
    texts: dict[str, str]


def write(path: Path, tensors: dict[str, Tensor], texts: dict[str, str]) -> None:
    """Write beside the target and rename: the old file, or the complete new one.

    Raises:
        ReleaseError: when it cannot be written.
    """
    # safetensors wants every tensor contiguous and with memory of its own
    separate = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        # safetensors' own writing leaves a file that only its owner can read
        with atomic_write(path) as scratch, open(scratch, "wb") as file:
            file.write(serialised(separate, metadata=texts))
            file.flush()
            os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        raise ReleaseError(f"cannot write {path}: {first_line(error)}") from error


def read_header(path: Path) -> Header:
    """The header of a file, checked against the file's size; no tensor is read.

    Raises:
        ReleaseError: when it is no safetensors file, or a damaged one.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            # The length of an honest header may begin with the same byte; a pickle's bytes are no length that fits.
            if start.startswith(PICKLES) and 8 + length > size:
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
        return _checked(path, content, size - 8 - length)
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"{path} is refused: its header is not readable ({first_line(error)})") from error


def _checked(path: Path, content: Any, size: int) -> Header:
    """The header as written, if every tensor lies where its shape wants it and all of them fill the file."""
    if not isinstance(content, dict):
        raise ValueError("it is no mapping")
    texts = content.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("its metadata are no texts")
    tensors, end = {}, 0
    for name, entry in sorted(content.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        dtype, shape = DTYPES.get(entry["dtype"]), tuple(entry["shape"])
        if dtype is None or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"{name} has dtype {entry['dtype']!r} and shape {shape}")
        bytes_of_it = dtype.itemsize
        for n in shape:
            bytes_of_it *= n
        if list(entry["data_offsets"]) != [end, end + bytes_of_it]:
            raise ValueError(f"{name} does not lie where a tensor of its shape would")
        tensors[name], end = (dtype, shape), end + bytes_of_it
    if end != size:
        raise ReleaseError(
            f"{path} is refused: its tensors need {end:,} bytes, and it has {size:,}. It is damaged or incomplete"
        )
    return Header(tensors, texts)


def read(path: Path) -> dict[str, Tensor]:
    """All tensors of a file whose header was checked.

    Raises:
        ReleaseError: when it cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ReleaseError(f"cannot read {path}: {first_line(error)}") from error
