"""Files of weights from outside: verified by digest, read without running code, downloaded whole or not at all."""

from __future__ import annotations

import pickle
import sys
import urllib.error
from pathlib import Path
from typing import Any

import torch

from zoo.errors import FeatureError, first_line
from zoo.io import files


def sha256_of(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        FeatureError: when it cannot be read.
    """
    try:
        return files.sha256_of(path)
    except OSError as error:
        raise FeatureError(f"cannot read the weights {path}: {error.strerror or error}") from error


def load_verified(path: Path, sha256: str | None) -> dict[str, torch.Tensor]:
    """Tensors of a file of `torch.save`, by name; `sha256` is its expected digest, None for any.

    Raises:
        FeatureError: when it is missing, another file than expected, or holds more than tensors.
    """
    found = sha256_of(path)
    if sha256 is not None and found != sha256:
        raise FeatureError(
            f"{path} is not the file of weights that it should be: its sha256 begins with {found[:16]}, not "
            f"{sha256[:16]}. Remove it and install or download it again"
        )
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FeatureError(
            f"{path} is refused: it is no file of tensors, or it holds Python objects, and reading those could run "
            f"code ({first_line(error)})"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise FeatureError(f"{path} is refused: a file of weights is a mapping from names to tensors")
    return content


def download(url: str, path: Path, sha256: str, otherwise: str) -> Path:
    """The file at `path`, fetched from `url` if it is not there yet.

    It is written under another name, held against its digest, then renamed; a broken download leaves nothing behind.

    Args:
        url: where it is.
        path: where it goes.
        sha256: its whole digest.
        otherwise: what else to do when it cannot be fetched, a sentence.

    Raises:
        FeatureError: when it cannot be fetched or is another file.
    """
    if path.exists():
        return path
    print(f"fetching {url} into {path.parent}, once", file=sys.stderr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256, progress=sys.stderr.isatty())
    except (OSError, urllib.error.URLError, RuntimeError, ValueError) as error:
        raise FeatureError(f"cannot fetch {url}: {first_line(error)}. {otherwise}") from error
    return path
