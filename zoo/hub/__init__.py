"""Pretrained models: load in one line, publish in one line, bring weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError, ReleaseError, nearest
from zoo.files import sha256_of
from zoo.gan import GAN
from zoo.hub import places, release
from zoo.hub.audited import attach
from zoo.hub.building import Own
from zoo.hub.converting import convert
from zoo.hub.packing import pack
from zoo.hub.verifying import PICKLED, check_files, verify
from zoo.run import load_run, newest_checkpoint

__all__ = ["attach", "convert", "from_pretrained", "pack", "pretrained", "push", "verify"]


def from_pretrained(where: str | Path, revision: str | None = None, cls: Own | None = None) -> GAN:
    """A trained model, in eval mode on the CPU: `zoo.from_pretrained("dcgan_digits").sample(16)`.

    Args:
        where: the name of one of our releases (`zoo.pretrained()`), `org/name` of the Hugging Face hub, a path
            (`./folder`, or a file ending in .safetensors), or `https://...#sha256=...`, the address of such a file with
            its digest. `zoo:NAME` and `hf:ORG/NAME` say which is meant where a folder has the same name.
        revision: branch, tag or commit of a hub repository.
        cls: the class of a model of your own, or of the base of a mixture (of both: a tuple), or its import path.
            Without it only classes of the zoo are built; nothing that a release says is ever imported.

    Raises:
        ReleaseError: when there is nothing there, it is ambiguous, or it is refused, with the reason.
    """
    return release.load(*find(where, revision), cls)


def find(where: str | Path, revision: str | None = None) -> tuple[Path, dict[str, Any] | None]:
    """The weights that are meant, fetched where they are not here, and the `config.json` beside them if there is one.

    Args:
        where: as for `from_pretrained`.
        revision: likewise.

    Raises:
        ReleaseError: when there is nothing there, it is ambiguous, or it is not what it should be.
    """
    place = places.understand(where, revision)
    if place.kind == "url":
        from zoo.hub.download import fetch

        return fetch(place.name, place.sha256), None
    if place.kind == "hub":
        from zoo.hub.huggingface import download

        return _in_folder(download(place.name, revision))
    if place.kind == "path":
        return _at_path(Path(place.name).expanduser())
    return _ours(place.name)


def _at_path(path: Path) -> tuple[Path, dict[str, Any] | None]:
    if path.is_file():
        return path, None
    if not path.is_dir():
        raise ReleaseError(f"there is no folder or file {path}")
    if (path / "checkpoints").is_dir() and not (path / release.CONFIG).exists():
        raise ReleaseError(f"{path} is the folder of a run, not a release: zoo.load_run loads it, and python -m "
                           f"zoo.hub run={path} out=FOLDER makes a release of it")  # fmt: skip
    return _in_folder(path)


def _in_folder(folder: Path) -> tuple[Path, dict[str, Any] | None]:
    if not (folder / release.CONFIG).is_file():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        besides = (
            f" Its {pickled[0]} is a pickle, which is never read as it is; zoo.hub.convert takes it" if pickled else ""
        )
        raise ReleaseError(f"{folder} is no release: it has no {release.CONFIG}.{besides}")
    config = release.read_config(folder / release.CONFIG)
    check_files(folder, config, only=release.WEIGHTS)
    return folder / release.WEIGHTS, config


def _ours(name: str) -> tuple[Path, dict[str, Any] | None]:
    """A release of ours: shipped, or fetched by the digest in the index."""
    entry = places.entry_of(name)
    folder = places.releases_folder() / name
    if (folder / release.WEIGHTS).is_file():
        if sha256_of(folder / release.WEIGHTS) != entry["sha256"]:
            raise ReleaseError(f"{folder / release.WEIGHTS} has another digest than {places.INDEX} says: it is damaged")
        return _in_folder(folder)
    if not entry.get("url"):
        raise ReleaseError(f"{name} should lie in {folder}, and {places.INDEX} has no address to fetch it from")
    from zoo.hub.download import fetch

    return fetch(entry["url"], entry["sha256"]), None


def load_model(where: str, cls: Own | None = None) -> GAN:
    """A trained model for a command: a run folder or checkpoint, a release's folder or file, or a release by name.

    Repositories of the hub are `hf:ORG/NAME` here, so that a mistyped path asks nobody. A run names its own class, for
    a release one of the user's own is given as `cls`.

    Raises:
        UserError: when there is nothing to load.
    """
    return from_pretrained(place_of(where), cls=cls) if is_release(where) else load_run(checkpoint_of(where))


def place_of(where: str) -> str | Path:
    """A command's word for a release, as `from_pretrained` wants it: a path where it lies here."""
    return Path(where) if _is_local_release(Path(where)) else where


def is_release(where: str) -> bool:
    """Whether a command takes this for a release, and not for a run or a checkpoint of one."""
    path = Path(where)
    named = where.startswith(("zoo:", "hf:", "https://")) or (where in pretrained() and not path.exists())
    return named or _is_local_release(path)


def _is_local_release(path: Path) -> bool:
    return (path / release.CONFIG).is_file() or path.suffix == ".safetensors"


def checkpoint_of(where: str) -> Path:
    """The checkpoint meant by a run folder or a checkpoint file.

    Raises:
        CheckpointError: when there is none, with the release that was perhaps meant.
    """
    path = Path(where)
    try:
        return newest_checkpoint(path)
    except CheckpointError as error:
        if path.exists() or places.is_path(where):
            raise
        raise CheckpointError(
            f"{error}, nor a release of that name.{nearest(where, pretrained())} A repository of the hub is hf:ORG/NAME"
        ) from error


def pretrained() -> list[str]:
    """Names of our releases, each for `from_pretrained`."""
    return places.release_names()


def push(
    folder: str | Path, repo: str, revision: str | None = None, private: bool = False, cls: Own | None = None
) -> str:
    """Verify a release and upload it to the Hugging Face hub; returns the repository's address.

    Args:
        folder: of the release.
        repo: `org/name`; made if it does not exist.
        revision: branch to write to; None for the main one.
        private: whether a repository that is made is private.
        cls: as for `from_pretrained`.

    Raises:
        ReleaseError: when it does not hold what it claims, or the hub refuses it.
    """
    from zoo.hub.huggingface import push as upload

    verify(folder, cls)
    return upload(Path(folder), repo, revision=revision, private=private)
