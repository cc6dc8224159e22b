"""Weights of extractors: verified by digest and loaded without running code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from zoo.errors import FeatureError, first_line
from zoo.io.files import sha256_of
from zoo.io.records import check_records


def weights_sha256(path: Path) -> str:
    """Compute the SHA-256 hex digest of a file.

    Raises:
        FeatureError: if the file cannot be read.
    """
    try:
        return sha256_of(path)
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
    digest = weights_sha256(path)
    if sha256 is not None and digest != sha256:
        raise FeatureError(
            f"{path} does not contain the expected weights: its sha256 begins with {digest[:16]}, not {sha256[:16]}. "
            "Remove it and install or download it again"
        )
    try:
        if zipfile.is_zipfile(path):
            check_records(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FeatureError(
            f"{path} is refused: it is not a file of tensors, or it contains Python objects, and reading those could "
            f"run code ({first_line(error)})"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise FeatureError(f"{path} is refused: a file of weights must contain a mapping from names to tensors")
    return content
