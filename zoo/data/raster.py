"""Image files: the formats that are read, how a file is opened, and how its values become 256 levels."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features

from zoo.errors import DataError

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI")
"""Raster formats that Pillow decodes itself and tells by their first bytes, whatever the name of the file. Others, such
as EPS, would start another program or cannot be told from damaged files."""

UNDECODABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""All that Pillow raises for a file that it cannot decode. A `DataError`, of a missing setting, is among them."""

FORMAT_OF_SUFFIX = {
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".mpo": "MPO",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".dib": "DIB",
    ".gif": "GIF",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), "PPM"),
    **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "JPEG2000"),
    ".avif": "AVIF",
    ".qoi": "QOI",
    ".tga": "TGA",  # has no first bytes of its own, so it is tried for files of this name only
}
"""Endings of the files that are read, with their format."""

KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
COMMON_TOPS = (1, 255, 1023, 4095, 16383, 65535)  # largest values of floats and of 8 to 16 bits

Range = tuple[float, float]
"""Values of black and white."""


@lru_cache(maxsize=1)
def _available() -> frozenset[str]:
    """Return the formats that this version of Pillow knows."""
    Image.init()
    return frozenset(Image.OPEN)


def irregular_kind(path: Path) -> str:
    """Return what a path is that is no regular file, such as "a named pipe", reading which would wait for ever.

    It is empty for a file, and for a path that leads nowhere.
    """
    try:
        return kind_of_mode(os.stat(path).st_mode)
    except OSError:
        return ""


def kind_of_mode(mode: int) -> str:
    """Return what a path of a mode is, such as "a named pipe"; empty for a regular file."""
    return "" if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "a device")


def open_raster(path: Path) -> Image.Image:
    """Open an image file of one of `FORMATS` without decoding it.

    Raises:
        OSError: for anything else; the text does not contain the path.
    """
    if kind := irregular_kind(path):
        raise OSError(f"it is {kind}, not a file")
    return _opened(path, path.suffix)


def open_encoded(content: bytes, suffix: str = "") -> Image.Image:
    """Open the content of an image file of one of `FORMATS` without decoding it.

    Args:
        content: the bytes of the file.
        suffix: the ending of its name, such as ".jpg".

    Raises:
        OSError: for anything else.
    """
    return _opened(BytesIO(content), suffix)


def _opened(file: Path | BytesIO, suffix: str) -> Image.Image:
    formats = [name for name in (*FORMATS, FORMAT_OF_SUFFIX.get(suffix.lower(), "")) if name in _available()]
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        raise OSError(
            f"it is no image of a format that is read ({', '.join(FORMATS)}, or TGA by its ending), or a variant that "
            "Pillow cannot decode, such as a TIFF of five channels or of 64-bit floats"
        ) from None


def has_avif() -> bool:
    """Return whether this Pillow decodes AVIF; those before 11.3 do not."""
    return "AVIF" in _available() and bool(features.check("avif"))


# --- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Storage:
    """How a file stores its values; read before decoding, after which Pillow no longer knows.

    Args:
        kind: what the values are, for messages; empty for those that are 0 to 255 in every file.
        bits: number of bits of the values, if it tells which value is white; 0 if the file does not say.
        view: type as which the values have to be read, where Pillow takes another; None otherwise.
        is_inverted: whether 0 is white although Pillow does not invert the values.
        has_deep_colours: whether there are 16 bits for each colour, of which Pillow reads the upper 8.
    """

    kind: str = ""
    bits: int = 0
    view: type[np.generic] | None = None
    is_inverted: bool = False
    has_deep_colours: bool = False

    @property
    def is_deep(self) -> bool:
        """Whether the values may be others than 0 to 255."""
        return bool(self.kind)


def storage_of(image: Image.Image) -> Storage:
    """Return how the file of an image that is not yet decoded stores its values."""
    tiles: Any = getattr(image, "tile", ())
    arguments = tiles[0][3] if tiles else ""
    raw_mode = str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
    tags: Any = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    formats = tags.get(339) or 1  # 1 for values without sign, 2 with sign, 3 for floats; one for each channel
    sample_format = formats[0] if isinstance(formats, tuple) else formats
    is_inverted = tags.get(262) == 0  # Pillow inverts those of 8 bits itself
    if image.mode.startswith("I;16"):
        bits = 12 if raw_mode == "I;12" else 16
        return Storage(f"integers of {bits} bits", bits, is_inverted=is_inverted)
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # Pillow scales those of a PGM to 16 bits
        return Storage("integers of 16 bits", 16)
    if image.mode == "I":
        view = np.uint32 if image.format == "TIFF" and sample_format == 1 else None  # Pillow reads them with a sign
        return Storage("32-bit or signed integers", view=view, is_inverted=is_inverted)
    if image.mode == "F":
        return Storage("floats", is_inverted=is_inverted)
    if image.mode == "L" and sample_format == 2:
        return Storage("signed bytes", view=np.int8)
    return Storage(has_deep_colours=";16" in raw_mode)


def deep_values(image: Image.Image, storage: Storage) -> NDArray[Any]:
    """Return the values (H, W) of a deep image as its file means them.

    Raises:
        ValueError: if a value is not finite.
    """
    values = np.asarray(image)
    if storage.view is not None:
        values = values.view(storage.view)
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinity")
    return values


def to_levels(values: NDArray[Any], storage: Storage, value_range: Range | None) -> NDArray[np.uint8]:
    """Convert the values of a deep image to 256 levels.

    Args:
        values: values (H, W).
        storage: how the file stores them.
        value_range: values that become black and white, with levels linear between them; None for those that the file
            declares: 0 and the largest number of its bits.

    Raises:
        DataError: if no range is given and the file declares none.
    """
    if value_range is not None:
        low, high = value_range
        levels = np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    elif storage.bits:
        levels = (values.astype(np.uint32) >> (storage.bits - 8)).astype(np.uint8)
    else:
        low, high = float(values.min()), float(values.max())
        raise DataError(
            f"its values are {storage.kind} from {low:g} to {high:g}, and such a file does not say which of them are "
            f"black and white. Give both: data.value_range={suggested_range(low, high)}, for example"
        )
    return 255 - levels if storage.is_inverted else levels


def suggested_range(low: float, high: float) -> str:
    """Return a setting of `value_range` for values from `low` to `high`, such as "[0,4095]"."""
    if low < 0 or high > COMMON_TOPS[-1]:
        return f"[{low:g},{high:g}]"
    return f"[0,{next(top for top in COMMON_TOPS if high <= top)}]"
