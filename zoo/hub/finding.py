"""Find the files of a release, and download them if they are not on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import DownloadError, ReleaseError, shell_word
from zoo.io.download import download
from zoo.io.files import cache_folder, sha256_of, with_home
from zoo.io.run_folder import RunFolder
from zoo.releases import references, release_format
from zoo.releases.references import Reference
from zoo.releases.release_format import PICKLED, check_files


@dataclass(frozen=True)
class ReleaseFiles:
    """The files of a release on this machine.

    Args:
        weights: the file `model.safetensors`.
        config: the content of `config.json`; None if the release is a single file of weights.
        folder: the folder that holds the recipe and the metrics of the release if it has any; None for weights that
            were downloaded from a URL.
    """

    weights: Path
    config: dict[str, Any] | None
    folder: Path | None


def find(reference: Reference) -> ReleaseFiles:
    """Find the files of a release, and download them if they are not on this machine.

    Raises:
        ReleaseError: if there is no such release, or its files are incomplete or damaged.
    """
    if reference.kind == "url":
        return ReleaseFiles(fetch_weights(reference.name, reference.sha256), None, None)
    if reference.kind == "hub":
        from zoo.releases.huggingface import download_release

        return _in_folder(download_release(reference.name, reference.revision))
    if reference.kind == "path":
        return _at_path(with_home(reference.name))
    return _shipped(reference.name)


def fetch_weights(address: str, sha256: str) -> Path:
    """Return the weights with this digest from the cache, after downloading them from a URL if necessary.

    The cache is the folder `releases` in `ZOO_CACHE`; each file is in a folder named by its digest.

    Raises:
        ReleaseError: if the file cannot be downloaded, or has another digest.
    """
    try:
        return download(address, cache_folder() / "releases" / sha256 / release_format.WEIGHTS, sha256)
    except DownloadError as error:
        raise ReleaseError(str(error)) from error


def _at_path(path: Path) -> ReleaseFiles:
    if path.is_file():
        is_whole_release = path.name == release_format.WEIGHTS and (path.parent / release_format.CONFIG).is_file()
        return _in_folder(path.parent) if is_whole_release else ReleaseFiles(path, None, path.parent)
    if not path.is_dir():
        raise ReleaseError(f"there is no folder or file {path}")
    if RunFolder(path).checkpoint_folder.is_dir() and not (path / release_format.CONFIG).exists():
        raise ReleaseError(
            f"{path} is the folder of a run, not a release: zoo.load_run loads it, and python -m "
            f"zoo.hub run={shell_word(path)} out=FOLDER makes a release of it"
        )
    return _in_folder(path)


def _in_folder(folder: Path) -> ReleaseFiles:
    if not (folder / release_format.CONFIG).is_file():
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        note = f" Its {pickles[0]} is a pickle, which is never read directly; use zoo.hub.convert" if pickles else ""
        raise ReleaseError(f"{folder} is no release: it has no {release_format.CONFIG}.{note}")
    config = release_format.read_config(folder / release_format.CONFIG)
    check_files(folder, config, only=release_format.WEIGHTS)
    return ReleaseFiles(folder / release_format.WEIGHTS, config, folder)


def _shipped(name: str) -> ReleaseFiles:
    """Find a release of this library: in its folder, or downloaded and checked against the digest in the index."""
    entry = references.entry_of(name)
    folder = references.releases_folder() / name
    if (folder / release_format.WEIGHTS).is_file():
        if sha256_of(folder / release_format.WEIGHTS) != entry["sha256"]:
            raise ReleaseError(
                f"{folder / release_format.WEIGHTS} has another digest than {references.INDEX} says: it is damaged"
            )
        return _in_folder(folder)
    if not entry.get("url"):
        raise ReleaseError(f"{name} should be in {folder}, and {references.INDEX} has no URL to download it from")
    return ReleaseFiles(fetch_weights(entry["url"], entry["sha256"]), None, folder)
