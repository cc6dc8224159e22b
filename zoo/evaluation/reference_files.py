"""Reference files of others: published statistics of real images, features, and arrays of images.

Read are the `.npz` files of clean-fid, pytorch-fid, ADM (guided-diffusion), EDM and this library, arrays of images
(`.npz`, `.npy`), and the cache of torch-fidelity (`.pt`). None of them can run code here: pickles are refused.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.array_rows import FAULTS
from zoo.errors import UserError, first_line
from zoo.features import EXTRACTORS, Extractor, InceptionSpatial
from zoo.features.weights import load_array_records
from zoo.io.files import atomic_write, sha256_of

ENDINGS = (".npz", ".npy", ".pt", ".pth")
PICKLES = (".pkl", ".pickle")
IN_NAMES = {
    "legacy_pytorch": ("inception-legacy-pytorch", "clean-fid, mode legacy_pytorch"),
    "legacy_tensorflow": ("inception", "clean-fid, mode legacy_tensorflow"),
    "clip_vit_b_32": ("clip-vit-b32", "clean-fid, model_name clip_vit_b_32"),
    "_clean_": ("inception-clean", "clean-fid, mode clean"),
    "inception-v3-compat": ("inception", "torch-fidelity"),
    "dinov2-vit-": ("dinov2-torch-fidelity", "torch-fidelity"),
    "clip-vit-b-32": ("clip-vit-b32-torch-fidelity", "torch-fidelity"),
}
"""Parts of the names that packages give to their files, with the extractor and the package."""
OF_INCEPTION = 2048  # features


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of the features of real images.

    Args:
        mean: mean (D,), float64.
        covariance: covariance (D, D), float64.
        n: number of images; None if the file does not say it.
        protocol: name and protocol of the extractor that measured them, as this library records it; empty for files of
            others.
        about: what else this library records: the data, and the versions of packages.
    """

    mean: Tensor
    covariance: Tensor
    n: int | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceFile:
    """Content of a reference file: one or more of statistics, features and images.

    Args:
        path: the file.
        statistics: mean and covariance of features, or None.
        features: features (N, D) of single images, float32, or None.
        images: images (N, H, W, C) of uint8, or None.
        spatial: mean and covariance of the features of `inception-spatial`, which ADM's files have besides, or None.
        extractor: name of the extractor that most likely measured them; empty if nothing tells.
        made_by: the package that most likely wrote the file, in words; empty if nothing tells.
    """

    path: Path
    statistics: Statistics | None = None
    features: Tensor | None = None
    images: NDArray[np.uint8] | None = None
    spatial: Statistics | None = None
    extractor: str = ""
    made_by: str = ""

    def seen_by(self, network: Extractor) -> ReferenceFile:
        """Return the file with those of its statistics that an extractor can be held against.

        Args:
            network: the extractor of the generated images.
        """
        if self.spatial is None or not isinstance(network, InceptionSpatial):
            return self
        return replace(self, statistics=self.spatial, features=None, spatial=None, extractor=network.title)

    @property
    def width(self) -> int:
        """The number of features D; 0 for images."""
        if self.statistics is not None:
            return len(self.statistics.mean)
        return 0 if self.features is None else self.features.shape[1]

    def digest(self) -> str:
        """Return the first digits of the file's SHA-256."""
        return sha256_of(self.path)[:16]

    def check_width(self, name: str, width: int) -> None:
        """Check the number of features against that of an extractor.

        Raises:
            UserError: if it is another one.
        """
        if self.width and self.width != width:
            likely = f" It was most likely made by {self.made_by}: extractor={self.extractor}." if self.made_by else ""
            raise UserError(
                f"{self.path} holds {self.width:,} features; extractor {name} has {width:,}.{likely} Both sides must "
                "have the same network"
            )

    def check(self, network: Extractor) -> list[str]:
        """Check that an extractor may have measured the file's features; return notes for the reader.

        Args:
            network: the extractor of the generated images.

        Raises:
            UserError: if it has another number of features, or the file records another protocol.
        """
        if network.width:  # unknown before the first image for `pixels`
            self.check_width(network.name, network.width)
        recorded = {} if self.statistics is None else self.statistics.protocol
        own = {"extractor": network.name, **network.protocol}
        other = [f"{key}: {value}" for key, value in recorded.items() if own.get(key) != value]
        if other:
            raise UserError(
                f"{self.path} was measured with {', '.join(other)}; extractor {network.name} has another protocol. "
                f"Give extractor={recorded.get('extractor', 'NAME')} with the same options"
            )
        if recorded or not self.width:
            return []
        if not self.extractor:
            return [
                f"nothing in {self.path} says by which network and resizing it was made; the number assumes "
                f"{network.name}"
            ]
        likely = f"{self.path} was most likely made by {self.made_by}"
        if self.extractor == network.name:
            return [f"{likely}; its format says so, it is not stated"]
        return [
            f"{likely}, which is extractor={self.extractor}; measured with {network.name}, the distance mixes two "
            "protocols"
        ]


def is_reference_file(path: Path) -> bool:
    """Return whether a path names a file by its ending, and not a folder of images."""
    return path.suffix.lower() in (*ENDINGS, *PICKLES) and not path.is_dir()


def read_reference(name: str, path: Path) -> ReferenceFile:
    """Read a reference file.

    Args:
        name: the option that names the file, `real` or `fake`.
        path: the file.

    Raises:
        UserError: if there is no such file, it can run code, or holds nothing of use.
    """
    if path.suffix.lower() in PICKLES:
        raise UserError(
            f"{name}: {path} is refused: it is a pickle, as the reference files of EDM2 and StyleGAN are, and reading "
            "one can run code. Where you trust it, write its numbers as a file that cannot: "
            "numpy.savez('ref.npz', mu=stats['mu'], sigma=stats['sigma'])"
        )
    try:
        content = _content(path)
    except FileNotFoundError:
        raise UserError(
            f"{name}: there is no file {path}. Give a folder of images, or a .npz, .npy or .pt file"
        ) from None
    except (*FAULTS, KeyError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{name}: {path} is refused: it is damaged, or holds Python objects, and reading those could run code "
            f"({first_line(error)})"
        ) from error
    result = _understood(name, path, content)
    if result.statistics is None and result.features is None and result.images is None:
        held = ", ".join(f"{key} {value.dtype} {value.shape}" for key, value in content.items()) or "nothing"
        raise UserError(
            f"{name}: {path} holds {held}; wanted are mu and sigma, features (N, D), or images (N, H, W, C) of uint8"
        )
    return result


def _content(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; a single one is named `arr_0`."""
    if path.suffix.lower() in (".pt", ".pth"):
        loaded = load_array_records(path)
        given = loaded if isinstance(loaded, dict) else {"arr_0": loaded}
        return {str(key): np.asarray(value) for key, value in given.items()}
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return {"arr_0": loaded}
    with loaded:
        return {key: loaded[key] for key in loaded.files}


def _understood(name: str, path: Path, content: dict[str, NDArray[Any]]) -> ReferenceFile:
    """Tell statistics, features and images apart by their names, shapes and types."""
    statistics = _statistics(name, path, content) if {"mu", "sigma"} <= content.keys() else None
    spatial = {key: content[f"{key}_s"] for key in ("mu", "sigma") if f"{key}_s" in content}
    features = images = None
    for key, array in content.items():
        if key in ("feats", "arr_0") and array.ndim == 2 and np.issubdtype(array.dtype, np.floating):
            features = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
            if not bool(features.isfinite().all()):
                raise UserError(f"{name}: {path}: its features {key} hold NaN or infinity")
        elif array.ndim in (3, 4) and array.dtype == np.uint8:
            images = _channels_last(name, path, array)
        elif array.ndim == 4:
            raise UserError(
                f"{name}: {path}: its images {key} are {array.dtype} {array.shape}. Save them as uint8 of 0 to 255: a "
                "float file does not say what black and white are"
            )
    width = 0 if features is None else features.shape[1]
    likely = _likely(path, content, len(statistics.mean) if statistics else width)
    if statistics is not None and statistics.protocol:
        likely = str(statistics.protocol.get("extractor", "")), "this library"
    of_maps = _statistics(name, path, spatial) if len(spatial) == 2 else None
    return ReferenceFile(path, statistics, features, images, of_maps, *likely)


def _channels_last(name: str, path: Path, array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as (N, H, W, C), from (N, H, W), (N, H, W, C) or (N, C, H, W)."""
    if array.ndim == 3:
        array = array[..., None]
    if array.shape[3] not in (1, 3) and array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.shape[3] not in (1, 3) or not array.size:
        raise UserError(f"{name}: {path}: images must be (N, H, W, C) with 1 or 3 channels; got {array.shape}")
    return np.ascontiguousarray(array)


def _statistics(name: str, path: Path, content: dict[str, NDArray[Any]]) -> Statistics:
    """Return checked statistics."""
    mean, covariance = (np.asarray(content[key]) for key in ("mu", "sigma"))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise UserError(f"{name}: {path}: mu (D,) and sigma (D, D) are needed; got {mean.shape} and {covariance.shape}")
    if not (np.issubdtype(mean.dtype, np.floating) and np.issubdtype(covariance.dtype, np.floating)):
        raise UserError(f"{name}: {path}: mu and sigma must be of floats; got {mean.dtype} and {covariance.dtype}")
    mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
    scale = float(np.abs(np.diag(covariance)).max(initial=0))
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{name}: {path}: mu or sigma hold NaN or infinity")
    if np.abs(covariance - covariance.T).max(initial=0) > 1e-4 * scale or (np.diag(covariance) < 0).any():
        raise UserError(f"{name}: {path}: sigma is no covariance: it is not symmetric, or has negative variances")
    try:
        protocol, about = (json.loads(str(content.get(key, "{}"))) for key in ("protocol", "about"))
        count = int(content["n"]) if "n" in content else None
        assert isinstance(protocol, dict)
        assert isinstance(about, dict)
    except (ValueError, TypeError, AssertionError) as error:
        raise UserError(f"{name}: {path}: its n or protocol are not as this library writes them") from error
    return Statistics(torch.from_numpy(mean), torch.from_numpy(covariance), count, protocol, about)


def _likely(path: Path, content: dict[str, NDArray[Any]], width: int) -> tuple[str, str]:
    """Return the extractor and the package that most likely made a file, from its name, keys, types and compression."""
    for part, found in IN_NAMES.items():
        if part in path.name.lower():
            return found
    if width != OF_INCEPTION:
        return "", ""
    if "mu_s" in content or ("arr_0" in content and "mu" in content):
        return "inception", "ADM (guided-diffusion)"
    if path.suffix.lower() != ".npz" or "mu" not in content:
        return "", ""
    if content["mu"].dtype == np.float32:  # the mean of float32 features; numpy's covariance is of float64
        return "inception-clean", "clean-fid"
    with zipfile.ZipFile(path) as archive:
        stored = all(record.compress_type == zipfile.ZIP_STORED for record in archive.infolist())
    return ("inception", "EDM") if stored else ("inception-legacy-pytorch", "pytorch-fid")


def extractor_of(given: ReferenceFile) -> str:
    """Return the name of the extractor that made a file.

    Raises:
        UserError: if nothing tells, or it is none that can be built by its name alone.
    """
    if given.extractor in EXTRACTORS:
        return given.extractor
    raise UserError(
        f"nothing in {given.path} says by which of the extractors it was made. Name it: extractor=inception, "
        "extractor=dinov2-dgm, ..."
    )


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Write statistics as `.npz`: mu and sigma as in the files of others, and n and protocol.

    Raises:
        UserError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "mu": statistics.mean.numpy(),
        "sigma": statistics.covariance.numpy(),
        "n": np.array(statistics.n),
        "protocol": np.array(json.dumps(statistics.protocol)),
        "about": np.array(json.dumps(statistics.about)),
    }
    try:
        with atomic_write(path) as scratch, open(scratch, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise UserError(f"stats: cannot write {path}: {error.strerror or error}") from error
