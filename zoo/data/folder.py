"""Images from a folder of files."""

from __future__ import annotations

from typing import Any

from zoo.data.image_files import ImageFiles
from zoo.data.listing import FolderListing, list_images
from zoo.errors import DataError

FIRST_ENDINGS = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm")
"""Endings of the files that versions before 0.2.0 read."""


class Folder(ImageFiles):
    """All images below a folder, at any depth and of any size, cropped to the centred square and resized.

    Args:
        root: the folder.
        labels: whether the images have classes: those of a file `dataset.json` in `root`, as StyleGAN's dataset tool
            writes it, otherwise each subfolder of `root` is a class, numbered in alphabetical order.
        files: settings of `match`, `group`, `classes` and of the reading of files, see `zoo.data.image_files`, and
            those shared by all sources, see `zoo.data.Images`.
    """

    def __init__(self, root: str, *, labels: bool = False, **files: Any) -> None:
        super().__init__(root, labels=labels, **files)

    def listed(self) -> FolderListing:
        """List all image files below the folder.

        Raises:
            DataError: if there is no folder, or it contains no images.
        """
        if self.root.is_file():
            raise DataError(
                f"there is no folder {self.root} (data.root): it is a file. Give the folder that the images are in; "
                "data.class=Zip reads a .zip file, data.class=Arrays an .npz or .npy file"
            )
        if not self.root.is_dir():
            raise DataError(
                f"there is no folder {self.root} (data.root). Any of these gives images: data.root=FOLDER with images "
                "at any depth; data.class=CIFAR10 (or another set that torchvision downloads) with data.download=true; "
                "data.class=Digits, which needs no files at all"
            )
        return list_images(self.root)

    def remedy_for_parts(self, part: str) -> str:
        """Return how to read one part of a data set."""
        return f"Set data.root={self.root / part}"

    def _remedy(self, state_dict: dict[str, Any]) -> str:
        """Return how to read the files that versions before 0.2.0 read, for a checkpoint of one."""
        if "left_out" in state_dict:
            return ""
        return (
            ". Versions before 0.2.0 did not follow links to folders and read fewer endings: where that is the "
            f"difference, data.match='\\.({'|'.join(FIRST_ENDINGS)})$' reads those alone"
        )
