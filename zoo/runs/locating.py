"""Resolve what a command was given (a run, a checkpoint or a release) to a model."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import CheckpointError, did_you_mean
from zoo.gan import GAN
from zoo.hub.loading import UserClasses, from_pretrained, pretrained
from zoo.releases import references, release_format
from zoo.runs.resuming import load_run, newest_checkpoint


def load_model(where: str, cls: UserClasses | None = None) -> GAN:
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
    return (path / release_format.CONFIG).is_file() or path.suffix == ".safetensors"


def checkpoint_of(where: str) -> Path:
    """The checkpoint meant by a run folder or a checkpoint file.

    Raises:
        CheckpointError: when there is none, with the release that was perhaps meant.
    """
    path = Path(where)
    try:
        return newest_checkpoint(path)
    except CheckpointError as error:
        if path.exists() or references.is_path(where):
            raise
        raise CheckpointError(
            f"{error}, nor a release of that name.{did_you_mean(where, pretrained())} A repository of the hub is "
            "hf:ORG/NAME"
        ) from error
