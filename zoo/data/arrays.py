"""Images from an array in an .npz or .npy file, such as the sample and reference batches of ADM's evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.array_rows import FAULTS, MappedRows, NpzRows, Rows
from zoo.data.decode import OnCorrupt, decode_once, decoding_plan, entry_of
from zoo.data.image_files import checked_rendering
from zoo.data.images import Images
from zoo.data.pool import Pool
from zoo.data.raster import Range, Storage, suggested_range, to_levels
from zoo.data.sizes import Sizes
from zoo.errors import DataError, did_you_mean, first_line
from zoo.io.files import digest_of_values, with_home

IMAGE_ARRAYS = ("arr_0", "images", "image", "samples", "x", "data")
"""Names under which programs store images in an .npz; `arr_0` is numpy's own for the first array."""
LABEL_ARRAYS = ("arr_1", "label", "labels", "y")
"""Names of their classes."""
CHANNELS = (1, 3, 4)
"""Numbers of channels of an image: grey, colour, colour with transparency."""
LOOKED_AT = 64  # images whose values say what range they are in


@dataclass(frozen=True)
class _Opened:
    """An array of images that is ready to be converted.

    Args:
        rows: the images.
        classes: class indices (N,), or None.
        state: what tells a change of the file.
        layout: order of the axes, NHWC, NCHW or NHW.
        value_range: values of black and white; None for bytes.
    """

    rows: Rows
    classes: NDArray[np.int64] | None
    state: tuple[Any, ...]
    layout: str
    value_range: Range | None

    @property
    def kind(self) -> str:
        return f"{self.layout} {self.rows.shape[1:]} {self.rows.dtype.str}"

    @property
    def source(self) -> str:
        """An identifier of the array and its state."""
        return digest_of_values("array", self.kind, self.state)

    def image(self, i: int) -> Image.Image:
        """Return the i-th image."""
        return to_image(self.rows[i], self.layout, self.value_range)

    def content(self, i: int) -> bytes:
        """Return what is stored of the i-th image."""
        return self.kind.encode() + self.rows[i].tobytes()

    def name(self, i: int) -> str:
        """Return a name of the i-th image for messages."""
        return f"{self.rows.where}, image {i}"


class Arrays(Images):
    """Images in an array (N, H, W, C), (N, C, H, W) or (N, H, W), cropped to the centred square and resized.

    Args:
        root: the .npz or .npy file; it is never read as a pickle.
        resolution: height and width in pixels, to which the images are resized with antialiasing.
        channels: 3 for colour, or 1 to convert to grey.
        labels: true for the classes of an .npz, which must have some; false for no classes; None for those that it has.
        array: name of the array of images in an .npz; empty for `arr_0`, `images`, or the only one that can be images.
        label_array: name of the array of class indices (N,); empty for `arr_1`, `label`, `labels` or `y`.
        value_range: values that become black and white, such as [-1, 1]; values beyond are clipped. Empty for bytes,
            which are 0 and 255; any other type needs it.
        on_corrupt: `raise` for an error at an image that holds NaN, or `skip` to leave it out with a message.
        background: colour under transparent pixels: a name, such as black, or #rrggbb.
        cache: folder in which the decoded images are kept, which several runs may share at once; empty for the cache
            folder of the environment variable ZOO_CACHE.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(
        self,
        root: str,
        *,
        resolution: int,
        channels: int = 3,
        labels: bool | None = None,
        array: str = "",
        label_array: str = "",
        value_range: tuple[float, ...] = (),
        on_corrupt: OnCorrupt = "raise",
        background: str = "white",
        cache: str = "",
        **images: Any,
    ) -> None:
        rendering = checked_rendering(resolution, channels, on_corrupt, value_range, background)
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.labels, self.array, self.label_array = with_home(root), labels, array, label_array
        self.on_corrupt, self.cache = on_corrupt, cache
        self.rendering = rendering

    def read(self) -> Pool:
        """Convert all images to levels at training resolution, or take them from the cache.

        Raises:
            DataError: if the file or its arrays cannot be read, or it is not known which values are black and white.
        """
        opened = self._opened()
        return decode_once(
            opened.image,
            opened.rows.shape[0],
            opened.classes,
            source=opened.source,
            name_of=opened.name,
            rendering=self.rendering,
            on_corrupt=self.on_corrupt,
            content_of=opened.content,
            cache=self.cache,
        )

    def plan(self) -> str:
        """Look at the arrays, and return what converting them will take.

        Raises:
            DataError: if the file or its arrays cannot be read, or it is not known which values are black and white.
        """
        opened = self._opened()
        entry = entry_of(opened.rows.shape[0], opened.source, self.rendering, self.on_corrupt, self.cache)
        return decoding_plan(entry, opened.image, opened.name, self.rendering)

    def sizes(self) -> Sizes:
        """Return the sizes of the images, which all have the same.

        Raises:
            DataError: if the file or its arrays cannot be read.
        """
        rows, _, _ = self._rows()
        layout = layout_of(rows)
        height, width = rows.shape[layout.index("H")], rows.shape[layout.index("W")]
        return Sizes(((width, height),) * rows.shape[0])

    def _opened(self) -> _Opened:
        """Open the file.

        Raises:
            DataError: if it cannot be read, or it is not known which values are black and white.
        """
        rows, classes, state = self._rows()
        layout, value_range = layout_of(rows), self.rendering.value_range
        if rows.dtype != np.uint8 and value_range is None:
            raise _range_unknown(rows)
        return _Opened(rows, classes, state, layout, value_range)

    def _rows(self) -> tuple[Rows, NDArray[np.int64] | None, tuple[Any, ...]]:
        """Return the images, their classes, and what tells a change of the file.

        Raises:
            DataError: if the file cannot be read.
        """
        if not self.root.is_file():
            raise DataError(f"there is no file {self.root} (data.root). Give the path of an .npz or .npy file")
        if not is_zipfile(self.root):
            with open(self.root, "rb") as file:
                if file.read(2) == b"PK":
                    raise DataError(f"{self.root} is an .npz file that is cut off. Copy or write it again")
            if self.labels or self.array or self.label_array:
                raise DataError(
                    f"{self.root} is a single array, without names and classes; data.labels, data.array and "
                    "data.label_array are for .npz files. Leave them out, or write numpy.savez(FILE, images, labels)"
                )
            status = self.root.stat()
            return MappedRows(self.root), None, (status.st_size, status.st_mtime_ns)
        try:
            with ZipFile(self.root) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except FAULTS as error:
            raise DataError(f"{self.root} cannot be read: {first_line(error)}. Copy or write it again") from error
        name = self._name_of_images(tuple(members))
        rows = NpzRows(self.root, name)
        if rows.by_columns:
            raise DataError(
                f"{rows.where} is stored by columns (Fortran order), so that no image lies in one piece. Write it "
                "with numpy.savez(FILE, numpy.ascontiguousarray(images))"
            )
        return rows, self._classes(tuple(members), rows), (members[name].file_size, members[name].CRC)

    def _name_of_images(self, names: tuple[str, ...]) -> str:
        """Return the name of the array of images.

        Raises:
            DataError: if there is none, or it is not known which it is.
        """
        if self.array:
            return _checked_name("data.array", self.array, names, self.root)
        known = [name for name in IMAGE_ARRAYS if name in names]
        if known:
            return known[0]
        shapes = {name: NpzRows(self.root, name).shape for name in names if name not in LABEL_ARRAYS}
        possible = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
        if len(possible) != 1:
            found = ", ".join(f"{name} {shapes.get(name, '')}".strip() for name in names) or "none"
            raise DataError(
                f"{self.root} has the arrays {found}; it is not known which are the images. Say so: data.array=NAME, "
                "and data.label_array=NAME for their classes"
            )
        return possible[0]

    def _classes(self, names: tuple[str, ...], rows: Rows) -> NDArray[np.int64] | None:
        """Return the class indices (N,), or None.

        Raises:
            DataError: if they are asked for and not there, or are no class indices.
        """
        if self.labels is False:
            return None
        name = next((name for name in LABEL_ARRAYS if name in names), None)
        if self.label_array:
            name = _checked_name("data.label_array", self.label_array, names, self.root)
        if name is None:
            if self.labels:
                raise DataError(
                    f"data.labels=true, but {self.root} has no classes; looked for {', '.join(LABEL_ARRAYS)}. Name "
                    "them with data.label_array=NAME, or set data.labels=false"
                )
            return None
        classes = NpzRows(self.root, name)
        count = rows.shape[0]
        if classes.shape not in ((count,), (count, 1)) or classes.dtype.kind not in "iu":
            raise DataError(
                f"{classes.where} has the shape {classes.shape} and the type {classes.dtype}; class indices are whole "
                f"numbers of the shape ({count},). Set data.labels=false, or data.label_array=NAME for another array"
            )
        return classes.all().reshape(count).astype(np.int64)


def _checked_name(setting: str, given: str, names: tuple[str, ...], root: Path) -> str:
    """Return the name of an array.

    Raises:
        DataError: if there is none of that name.
    """
    if given not in names:
        hint = did_you_mean(given, names, lists=False)
        raise DataError(f"{setting}={given}: {root} has the arrays {', '.join(names)}.{hint}")
    return given


def layout_of(rows: Rows) -> str:
    """Return the order of the axes of images: NHWC, NCHW or NHW.

    Raises:
        DataError: if the array cannot be images.
    """
    shape = rows.shape
    if min(shape, default=0) > 0 and rows.dtype.kind in "biuf":
        if len(shape) == 4 and shape[3] in CHANNELS:
            return "NHWC"
        if len(shape) == 4 and shape[1] in CHANNELS:
            return "NCHW"
        if len(shape) == 3:
            return "NHW"
    raise DataError(
        f"{rows.where} has the shape {shape} and the type {rows.dtype}; images are numbers of the shape (N, H, W, C), "
        f"(N, C, H, W) or (N, H, W) with 1, 3 or 4 channels. Reshape them, or name another array with data.array"
    )


def to_image(row: NDArray[Any], layout: str, value_range: Range | None) -> Image.Image:
    """Convert an image of an array to one of Pillow.

    Args:
        row: the image, in the order of axes of `layout` without N.
        layout: NHWC, NCHW or NHW.
        value_range: values of black and white; None for bytes.

    Raises:
        ValueError: if a value is not finite.
    """
    if layout == "NCHW":
        row = row.transpose(1, 2, 0)
    if not np.isfinite(row).all():
        raise ValueError("it holds NaN or infinity")
    if value_range is not None:
        row = to_levels(row, Storage("numbers"), value_range)
    return Image.fromarray(np.ascontiguousarray(row[..., 0] if row.ndim == 3 and row.shape[2] == 1 else row))


def _range_unknown(rows: Rows) -> DataError:
    """Return the error for values that may be in any range, with a range that suits the first of them."""
    some = np.stack([rows[i] for i in range(min(LOOKED_AT, rows.shape[0]))])
    finite = some[np.isfinite(some)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    suggested = "[-1,1]" if -1 <= low < 0 and high <= 1 else suggested_range(low, high)
    return DataError(
        f"{rows.where}: its values are {rows.dtype} from {low:g} to {high:g}, and an array does not say which of them "
        f"are black and white. Give both: data.value_range={suggested}, for example"
    )
