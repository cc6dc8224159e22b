"""Weights of extractors: verified by digest and loaded without running code."""

from __future__ import annotations

import importlib
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.errors import DownloadError, FeatureError, first_line
from zoo.io.download import download
from zoo.io.files import cache_folder, sha256_of, with_home
from zoo.io.records import check_records


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that their authors offer for download, and that a protocol means.

    Args:
        address: URL of the file.
        sha256: digest of the file, 64 hexadecimal digits; or as many of its first digits as are known, at least 8.
        file: name of the file in the cache.
    """

    address: str
    sha256: str
    file: str

    def find(self, weights: str | None) -> tuple[Path, str, bool]:
        """Return the file of the weights, its digest, and whether it is the published file.

        Args:
            weights: path of a local file, with any weights; None for the published file in the cache, which is
                downloaded on first use.

        Raises:
            FeatureError: if the file cannot be read, downloaded, or is damaged.
        """
        path = with_home(weights) if weights else self._cached()
        digest = weights_sha256(path)
        official = digest.startswith(self.sha256)
        if not (weights or official):
            raise FeatureError(
                f"{path} is damaged: its sha256 begins with {digest[:16]}, not {self.sha256[:16]}. Remove it to have "
                "it downloaded again"
            )
        return path, digest, official

    def _cached(self) -> Path:
        """Return the path of the published file in the cache, downloading it on first use."""
        path = cache_folder() / "weights" / self.file
        if path.exists():  # its digest is checked when it is read
            return path
        try:
            return download(self.address, path, self.sha256)
        except DownloadError as error:
            raise FeatureError(
                f"{error}. Download it elsewhere and pass it with options.weights=PATH (in Python weights=PATH), or "
                "use extractor=effnet-lite0, which needs no download but whose numbers are not FIDs"
            ) from error


def needed(package: str, extractor: str) -> Any:
    """Import a package of the extra `metrics` that an extractor needs.

    Raises:
        FeatureError: if it is missing.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise FeatureError(
            f"extractor={extractor} needs {error.name}. Install it with pip install 'gan-zoo[metrics]'; "
            "extractor=digits and extractor=pixels need no further package"
        ) from error


def described(digest: str, official: bool) -> str:
    """Return the entry `weights` of a protocol: the digest, and whether it is that of the published weights."""
    return f"sha256 {digest[:16]}" + ("" if official else ", not the published weights")


def named(name: str, digest: str, official: bool) -> str:
    """Return the name of an extractor: with other weights than the published ones it ends in their digest."""
    return name if official else f"{name}-{digest[:8]}"


def check_fit(network: torch.nn.Module, state: dict[str, torch.Tensor], path: Path, what: str) -> None:
    """Check that tensors have the names and shapes of those of a network.

    Args:
        network: the network.
        state: tensors by name.
        path: file that they are from, for the error message.
        what: the network in words, for the error message.

    Raises:
        FeatureError: if they do not; the text names the first ones.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    missing, extra = [name for name in own if name not in given], [name for name in given if name not in own]
    other = [name for name in own if name in given and own[name] != given[name]]
    faults = [f"{len(missing)} of its {len(own)} tensors are missing, such as {missing[0]}"] if missing else []
    if extra:
        faults.append(f"{len(extra)} are not among its tensors, such as {extra[0]}")
    if other:
        faults.append(f"{len(other)} have other shapes, such as {other[0]}: {given[other[0]]}, not {own[other[0]]}")
    if faults:
        raise FeatureError(f"{path} has no weights of {what}: {'; '.join(faults)}")


def fill(network: torch.nn.Module, state: dict[str, torch.Tensor], path: Path, what: str) -> None:
    """Load weights into a network that was built without any (on the device `meta`), as float32.

    Args:
        network: the network.
        state: its tensors by name.
        path: file that they are from, for the error message.
        what: the network in words, for the error message.

    Raises:
        FeatureError: if names or shapes are those of another network.
    """
    check_fit(network, state, path, what)
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    network.load_state_dict(tensors, assign=True)


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
    return load_tensors(path)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Load the tensors of a file written by `torch.save`, by name.

    Raises:
        FeatureError: if the file contains anything but tensors.
    """
    try:
        if zipfile.is_zipfile(path):
            check_records(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about archives of TorchScript, which are then refused
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FeatureError(
            f"{path} is refused: it is not a file of tensors, or it contains Python objects, and reading those could "
            f"run code ({first_line(error)})"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise FeatureError(f"{path} is refused: a file of weights must contain a mapping from names to tensors")
    return content


def load_array_records(path: Path) -> Any:
    """Load a file of `torch.save` with tensors or numpy's arrays, as torch-fidelity's cache has them.

    Nothing else is read: of Python's objects, those that an array consists of are allowed.

    Raises:
        OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError: if the file is damaged or holds more.
    """
    if zipfile.is_zipfile(path):
        check_records(path)
    kinds = [type(np.dtype(kind)) for kind in ("float16", "float32", "float64", "uint8", "int64")]
    rebuild = np.empty(0).__reduce__()[0]  # a function of numpy, whose module differs between versions
    names = [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    allowed: list[Any] = [np.ndarray, np.dtype, *kinds, *names]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)
