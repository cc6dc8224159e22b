"""Files of weights from elsewhere: verified by digest and read without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from zoo.errors import FeatureError, first_line
from zoo.io.files import sha256_of


def weights_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file of weights as 64 hexadecimal digits.

    Raises:
        FeatureError: if the file cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise FeatureError(f"cannot read the weights {path}: {error.strerror or error}") from error


def load_verified(path: Path, sha256: str | None) -> dict[str, torch.Tensor]:
    """Read a file of `torch.save` that holds a mapping from names to tensors.

    Args:
        path: the file.
        sha256: the expected digest; None accepts any file.

    Raises:
        FeatureError: if the file is missing, has another digest, or holds anything but tensors.
    """
    digest = weights_sha256(path)
    if sha256 is not None and digest != sha256:
        raise FeatureError(
            f"{path} is not the file of weights that it should be: its sha256 begins with {digest[:16]}, not "
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
