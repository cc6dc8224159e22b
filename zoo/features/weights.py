"""Weights of extractors: verified by digest, loaded without running code, downloaded completely or not at all."""

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
    """Compute the SHA-256 hex digest of a file.

    Raises:
        FeatureError: if the file cannot be read.
    """
    try:
        return files.sha256_of(path)
    except OSError as error:
        raise FeatureError(f"cannot read the weights {path}: {error.strerror or error}") from error


def load_verified(path: Path, sha256: str | None) -> dict[str, torch.Tensor]:
    """Load the tensors of a file written by `torch.save`, by name.

    Args:
        path: path of the file.
        sha256: expected hex digest; None accepts any.

    Raises:
        FeatureError: if the file is missing, has another digest, or contains anything but tensors.
    """
    digest = sha256_of(path)
    if sha256 is not None and digest != sha256:
        raise FeatureError(
            f"{path} does not contain the expected weights: its sha256 begins with {digest[:16]}, not {sha256[:16]}. "
            "Remove it and install or download it again"
        )
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FeatureError(
            f"{path} is refused: it is not a file of tensors, or it contains Python objects, and reading those could "
            f"run code ({first_line(error)})"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise FeatureError(f"{path} is refused: a file of weights must contain a mapping from names to tensors")
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
