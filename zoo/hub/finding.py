"""Find the weights that a release name, path or address refers to, fetching them when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import ReleaseError
from zoo.io.files import sha256_of
from zoo.io.run_folder import RunFolder
from zoo.releases import references, release_format
from zoo.releases.release_format import PICKLED, check_files


def find(where: str | Path, revision: str | None = None) -> tuple[Path, dict[str, Any] | None]:
    """The weights that are meant, fetched where they are not here, and the `config.json` beside them if there is one.

    Args:
        where: as for `from_pretrained`.
        revision: likewise.

    Raises:
        ReleaseError: when there is nothing there, it is ambiguous, or it is not what it should be.
    """
    place = references.parse_reference(where, revision)
    if place.kind == "url":
        from zoo.hub.download import fetch

        return fetch(place.name, place.sha256), None
    if place.kind == "hub":
        from zoo.releases.huggingface import download

        return _in_folder(download(place.name, revision))
    if place.kind == "path":
        return _at_path(Path(place.name).expanduser())
    return _ours(place.name)


def _at_path(path: Path) -> tuple[Path, dict[str, Any] | None]:
    if path.is_file():
        return path, None
    if not path.is_dir():
        raise ReleaseError(f"there is no folder or file {path}")
    if RunFolder(path).checkpoint_folder.is_dir() and not (path / release_format.CONFIG).exists():
        raise ReleaseError(
            f"{path} is the folder of a run, not a release: zoo.load_run loads it, and python -m "
            f"zoo.hub run={path} out=FOLDER makes a release of it"
        )
    return _in_folder(path)


def _in_folder(folder: Path) -> tuple[Path, dict[str, Any] | None]:
    if not (folder / release_format.CONFIG).is_file():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        besides = (
            f" Its {pickled[0]} is a pickle, which is never read as it is; zoo.hub.convert takes it" if pickled else ""
        )
        raise ReleaseError(f"{folder} is no release: it has no {release_format.CONFIG}.{besides}")
    config = release_format.read_config(folder / release_format.CONFIG)
    check_files(folder, config, only=release_format.WEIGHTS)
    return folder / release_format.WEIGHTS, config


def _ours(name: str) -> tuple[Path, dict[str, Any] | None]:
    """A release of ours: shipped, or fetched by the digest in the index."""
    entry = references.entry_of(name)
    folder = references.releases_folder() / name
    if (folder / release_format.WEIGHTS).is_file():
        if sha256_of(folder / release_format.WEIGHTS) != entry["sha256"]:
            raise ReleaseError(
                f"{folder / release_format.WEIGHTS} has another digest than {references.INDEX} says: it is damaged"
            )
        return _in_folder(folder)
    if not entry.get("url"):
        raise ReleaseError(f"{name} should lie in {folder}, and {references.INDEX} has no address to fetch it from")
    from zoo.hub.download import fetch

    return fetch(entry["url"], entry["sha256"]), None
