"""Folders of images that an option of a command names, and the settings by which their files are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.config.settings import check_settings
from zoo.data.folder import Folder
from zoo.errors import DataError, UserError
from zoo.io.files import with_home

OF_FILES = ("on_corrupt", "value_range", "background", "match")
"""Settings of `Folder` that say how files are read."""


def folder_settings(changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings of `Folder` that a command for folders of images accepts as `data.KEY=VALUE`.

    Raises:
        UserError: for another setting.
    """
    for key, value in (changes or {}).items():
        if key not in OF_FILES:
            raise UserError(
                f"data.{key}={value}: folders of images take only data.{', data.'.join(OF_FILES)}. Leave it out"
            )
    return dict(changes or {})


def image_folder(name: str, path: str | Path, resolution: int, channels: int, reading: Mapping[str, Any]) -> Folder:
    """Build a source of the images of a folder that a command names, without reading them.

    Args:
        name: the option that names the folder, such as `train`.
        path: the folder.
        resolution: height and width in pixels to which images are resized.
        channels: 3 for colour, 1 for grey.
        reading: settings of `Folder` for reading files, see `folder_settings`.

    Raises:
        UserError: if there is no such folder, or a setting has a value that `Folder` refuses.
    """
    folder = with_home(path)
    if not folder.is_dir():
        raise UserError(f"{name}: there is no folder {folder}. Give the path of a folder of images")
    given = {"root": str(folder), "resolution": resolution, "channels": channels, "held_out": 0, "batch_size": 1}
    values, faults = check_settings(Folder, {**given, **reading}, "data.")
    if faults:
        raise UserError("; ".join(faults))
    try:
        return Folder(**values)
    except ValueError as error:
        raise UserError(f"data: {error}") from error


@contextmanager
def faults_of(name: str) -> Iterator[None]:
    """Name, in errors about the images of a folder, the option that names the folder."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}".replace(" (data.root)", "")) from error
