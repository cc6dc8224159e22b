"""Images from a zip archive, such as those that StyleGAN's dataset tool writes."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from PIL import Image

from zoo.data.array_rows import OF_ZIP
from zoo.data.image_files import ImageFiles, first_folder
from zoo.data.label_table import TABLE
from zoo.data.listing import DECODER, Listing, is_image
from zoo.data.raster import open_encoded
from zoo.errors import DataError, first_line

LARGEST = 2**30
"""Largest size of a file in an archive in bytes; a larger one is no image but made to fill the memory."""


class ZipListing(Listing):
    """Image files in a zip archive; their marks are the CRC-32 of their contents, which the archive records."""

    def __init__(self, archive: ZipFile, root: Path) -> None:
        super().__init__(root)
        self.archive = archive
        # All names with forward slashes, and how they stand in the archive: programs of Windows write backslashes.
        self.stored = {name.replace("\\", "/"): name for name in archive.namelist()}

    def open(self, i: int) -> Image.Image:
        """Open the i-th image without decoding it."""
        return open_encoded(self._read(self.names[i]), self.path(i).suffix)

    def content(self, i: int) -> bytes:
        """Return the bytes of the i-th file, none for one that cannot be read."""
        try:
            return self._read(self.names[i])
        except OSError:
            return b""

    def read_other(self, name: str) -> bytes | None:
        """Return the bytes of a file that is no image, by its path below the prefix; None if it is not there."""
        return self._read(self.prefix + name) if self.prefix + name in self.stored else None

    def folders(self) -> list[str]:
        """Return the names of the folders directly below the prefix, without hidden ones; sorted."""
        below = (name for name in self.stored if name.startswith(self.prefix))
        names = {first_folder(name, len(self.prefix)) for name in below}
        return sorted(name for name in names if name and not is_hidden(name))

    def source(self) -> str:
        """Return an identifier of the files: their paths, sizes and checksums, wherever the archive lies."""
        return self.digest("zip", DECODER)

    def open_named(self, path: Path) -> Image.Image:
        """Open an image by its path without decoding it; the archive's own path is part of it."""
        name = path.relative_to(self.root).as_posix()
        return open_encoded(self._read(name), path.suffix)

    def _read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            OSError: if it is damaged, encrypted, or larger than any image.
        """
        info = self.archive.getinfo(self.stored[name])
        if info.file_size > LARGEST:
            raise OSError(f"it has {info.file_size:,} bytes; images of up to {LARGEST:,} are read")
        try:
            return self.archive.read(info)
        except OF_ZIP as error:
            raise OSError(first_line(error)) from error


class Zip(ImageFiles):
    """All images in a zip archive, at any depth and of any size, cropped to the centred square and resized.

    An archive of StyleGAN's dataset tool has the classes of its images in a file `dataset.json`. Where all images are
    in one folder of the archive, subfolders and `dataset.json` are those of that folder.

    Args:
        root: the .zip file.
        labels: true for the classes of `dataset.json`, or where there is no such file, of subfolders, numbered in
            alphabetical order; false for no classes; None for the classes of `dataset.json` if it has any.
        files: settings of `match`, `group`, `classes` and of the reading of files, see `zoo.data.image_files`, and
            those shared by all sources, see `zoo.data.Images`.
    """

    def __init__(self, root: str, *, labels: bool | None = None, **files: Any) -> None:
        super().__init__(root, labels=labels, **files)

    def listed(self) -> ZipListing:
        """List all image files in the archive.

        Raises:
            DataError: if there is no such file, it is no zip archive, or contains no images.
        """
        if not self.root.is_file():
            hint = "; data.class=Folder reads a folder" if self.root.is_dir() else ""
            raise DataError(f"there is no file {self.root} (data.root){hint}. Give the path of a .zip file of images")
        return list_archive(self.root)

    def remedy_for_parts(self, part: str) -> str:
        """Return how to read one part of a data set."""
        return f"Unpack {self.root.name} and set data.class=Folder data.root=FOLDER/{part}"


def opened_archive(root: Path) -> ZipListing:
    """Return the listing of an archive, which is kept open: its directory is not read again for each image."""
    status = root.stat()
    return _opened_in_state(root, (status.st_size, status.st_mtime_ns, status.st_ino))


@lru_cache(maxsize=2)
def _opened_in_state(root: Path, state: tuple[int, ...]) -> ZipListing:
    """Return the listing of an archive; one that was written again is another one, by its size, time and inode."""
    return list_archive(root)


def list_archive(root: Path) -> ZipListing:
    """List the image files in an archive.

    Raises:
        DataError: if it cannot be read, or there are none.
    """
    try:
        archive = ZipFile(root)
    except OF_ZIP as error:
        raise DataError(
            f"{root} (data.root) cannot be read as a zip archive: {first_line(error)}. Copy or download it again; for "
            "other files: data.class=Folder with a folder of images, data.class=Arrays with an .npz or .npy file"
        ) from error
    listing, endings, names = ZipListing(archive, root), Counter[str](), dict[str, Any]()
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        folder, _, last = name.rpartition("/")
        if not last:
            continue
        if is_hidden(folder):
            listing.left_out["hidden"] += 1
        elif is_image(last, listing.left_out, endings):
            names[name] = info  # of two files of one name the later one, as when they are unpacked
    listing.fill(list(names), [i.file_size for i in names.values()], [i.CRC for i in names.values()])
    listing.check_not_empty(endings)
    listing.prefix = common_folder(listing)
    return listing


def common_folder(listing: ZipListing) -> str:
    """Return the folder in which all images are, if it was packed as a whole, with a slash at its end; else nothing.

    It was if the images are in subfolders of it, or `dataset.json` is in it. An archive of a single class is not meant.
    """
    top = first_folder(listing.names[0])
    if not top or TABLE in listing.stored:
        return ""
    start = len(top) + 1
    if not all(name.startswith(f"{top}/") for name in listing.names):
        return ""
    is_nested = all(first_folder(name, start) for name in listing.names)
    return f"{top}/" if is_nested or f"{top}/{TABLE}" in listing.stored else ""


def is_hidden(folder: str) -> bool:
    """Return whether a folder, or one that it is in, is hidden, or made by macOS for what no other system stores."""
    return bool(folder) and any(part.startswith(".") or part == "__MACOSX" for part in folder.split("/"))
