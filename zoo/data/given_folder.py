"""Images that an option of a command names, in a folder, a zip archive or an array, and how their files are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from zoo.config.settings import check_settings
from zoo.data.arrays import Arrays
from zoo.data.decode import Rendering
from zoo.data.folder import Folder
from zoo.data.raster import open_raster
from zoo.data.zip import Zip, opened_archive
from zoo.errors import DataError, UserError
from zoo.io.files import with_home

OF_FILES = ("on_corrupt", "value_range", "background", "match", "cache")
"""Settings of `Folder` that say how files are read."""
OF_PICTURES = ("value_range", "background")
"""Those of them that say how the values and the transparency of a single file are read."""
Source = Folder | Zip | Arrays
"""A source of images that has `sizes`, the sizes of all images before they are resized."""
SOURCES: dict[str, type[Source]] = {".zip": Zip, ".npz": Arrays, ".npy": Arrays}
"""Sources of the images in a file, by its ending."""
KINDS = "a folder of images, a .zip file of them, or an .npz or .npy file"


def folder_settings(changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings of `Folder` that a command for folders of images accepts as `data.KEY=VALUE`.

    Raises:
        UserError: for another setting.
    """
    return _only(OF_FILES, changes, f"folders of images take only data.{', data.'.join(OF_FILES)}")


def picture_settings(changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings that a command for single picture files accepts as `data.KEY=VALUE`.

    Raises:
        UserError: for another setting.
    """
    return _only(OF_PICTURES, changes, f"pictures take only data.{' and data.'.join(OF_PICTURES)}")


def _only(known: tuple[str, ...], changes: Mapping[str, Any] | None, rule: str) -> dict[str, Any]:
    """Return the given settings if all of them are known.

    Raises:
        UserError: with the rule, for another setting.
    """
    for key, value in (changes or {}).items():
        if key not in known:
            raise UserError(f"data.{key}={value}: {rule}. Leave it out")
    return dict(changes or {})


def rendering_of(resolution: int, channels: int, reading: Mapping[str, Any]) -> Rendering:
    """Return how single picture files become square arrays.

    Args:
        resolution: height and width in pixels to which pictures are resized.
        channels: 3 for colour, 1 for grey.
        reading: settings for reading a file, see `picture_settings`.

    Raises:
        UserError: for a value that `Folder` refuses.
    """
    return _built(Folder, Path(), resolution, channels, reading).rendering


def existing_path(name: str, path: str | Path) -> Path:
    """Return the path of the images that a command names.

    Raises:
        UserError: if there is nothing at it.
    """
    path = with_home(path)
    if not path.exists():
        raise UserError(f"{name}: there is no folder {path}. Give the path of {KINDS}")
    return path


def image_source(name: str, path: str | Path, resolution: int, channels: int, reading: Mapping[str, Any]) -> Source:
    """Build a source of the images that a command names, without reading them.

    Args:
        name: the option that names the images, such as `train`.
        path: a folder of images, a .zip file of images, or an array of images in an .npz or .npy file.
        resolution: height and width in pixels to which images are resized.
        channels: 3 for colour, 1 for grey.
        reading: settings of the source for reading files, see `folder_settings`.

    Raises:
        UserError: if there is nothing at the path, or a setting has a value that the source refuses.
    """
    path = existing_path(name, path)
    source = Folder if path.is_dir() else SOURCES.get(path.suffix.lower())
    if source is None:
        raise UserError(f"{name}: {path} is a file of another kind. Give the path of {KINDS}")
    return _built(source, path, resolution, channels, reading)


def _built(source: type[Source], path: Path, resolution: int, channels: int, reading: Mapping[str, Any]) -> Source:
    """Build a source that holds nothing out.

    Raises:
        UserError: if it refuses a setting.
    """
    given = {"root": str(path), "resolution": resolution, "channels": channels, "held_out": 0, "batch_size": 1}
    values, faults = check_settings(source, {**given, **reading}, "data.")
    if faults:
        raise UserError("; ".join(faults))
    try:
        return source(**values)
    except ValueError as error:
        raise UserError(f"data: {error}") from error


def open_listed(path: Path) -> Image.Image:
    """Open an image without decoding it, by a path that `files` of a source returns.

    Raises:
        OSError: if it is no image.
    """
    archive = next((each for each in path.parents if each.suffix.lower() == ".zip" and each.is_file()), None)
    return open_raster(path) if archive is None else opened_archive(archive).open_named(path)


@contextmanager
def faults_of(name: str) -> Iterator[None]:
    """Name, in errors about the images of a folder, the option that names the folder."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}".replace(" (data.root)", "")) from error
