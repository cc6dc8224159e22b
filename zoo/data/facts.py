"""Facts about decoded images that tell whether they are what their user means, and the notes made from them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.raster import Storage, suggested_range

MULTI_PAGE = ("TIFF", "GIF", "WEBP", "PNG", "AVIF")
COLOURED = (
    24  # difference between channels, of 255, from which a pixel is coloured: JPEG makes grey ones differ by less
)
NARROW = 16  # levels; a whole set within fewer looks like one colour
DARK = 64  # levels; a set of 16-bit files below this holds values of 14 bits or fewer


@dataclass
class Facts:
    """Facts about a set of decoded images; all but the ranges are numbers of images.

    Args:
        images: decoded images.
        flat: images of one colour.
        coloured: images in colour that are read in grey.
        transparent: images with transparent pixels.
        pages: files with further pages or frames, which are not read.
        deep: files of more than 8 bits.
        darkest: smallest level of all images.
        brightest: largest level of all images.
        largest_value: largest value in the files of more than 8 bits, before it was scaled.
        shortest_side: smallest shorter side of the files, in pixels; 0 if not known.
        longest_side: largest shorter side of the files, in pixels.
    """

    images: int = 0
    flat: int = 0
    coloured: int = 0
    transparent: int = 0
    pages: int = 0
    deep: int = 0
    darkest: int = 255
    brightest: int = 0
    largest_value: float = 0
    shortest_side: int = 0
    longest_side: int = 0

    def add(self, other: Facts) -> None:
        """Add the facts of another image."""
        for name in ("images", "flat", "coloured", "transparent", "pages", "deep"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.darkest, self.brightest = min(self.darkest, other.darkest), max(self.brightest, other.brightest)
        self.largest_value = max(self.largest_value, other.largest_value)
        self.shortest_side = min(self.shortest_side or other.shortest_side, other.shortest_side)
        self.longest_side = max(self.longest_side, other.longest_side)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, record: Any) -> Facts:
        """Return the facts of a record; no images for one of an earlier version, which has none."""
        known = record if isinstance(record, dict) else {}
        return cls(**{name: known[name] for name in cls.__dataclass_fields__ if name in known})

    def notes(self, channels: int) -> list[str]:
        """Return notes about what is likely a mistake.

        Args:
            channels: 1 if the images are read in grey, 3 in colour.
        """
        if not self.images:
            return []
        notes = [note for note in (self._narrow(), self._flat(), self._dark()) if note][:1]
        if channels == 1 and self.coloured:
            notes.append(
                f"{self.coloured:,} of {self.images:,} images are in colour and are read in grey (data.channels=1). "
                "For colour: model.channels=3 data.channels=3"
            )
        if self.pages:
            notes.append(f"{self.pages:,} files have several pages or frames, of which only the first is read")
        return notes

    def _narrow(self) -> str:
        if self.brightest - self.darkest >= NARROW:
            return ""
        return (
            f"all {self.images:,} images lie between the levels {self.darkest} and {self.brightest} of 255, nearly one "
            f"colour{self._cause()}"
        )

    def _flat(self) -> str:
        if 2 * self.flat < self.images:
            return ""
        return f"{self.flat:,} of {self.images:,} images are of one colour each{self._cause()}"

    def _dark(self) -> str:
        if self.deep < self.images or self.brightest >= DARK or not self.largest_value:
            return ""
        return f"the images are dark: all levels are below {self.brightest + 1} of 255{self._cause()}"

    def _cause(self) -> str:
        """Return the likely cause of images that show little, with the remedy, as the end of a sentence."""
        if self.deep and self.largest_value:
            scale = suggested_range(0, self.largest_value)
            return (
                f". The values in their files reach {self.largest_value:g}; data.value_range={scale} makes that white"
            )
        if self.transparent:
            return ". They are transparent and lie on white; data.background=black shows drawings in white"
        return ""


def facts_of(
    image: Image.Image, storage: Storage, values: NDArray[Any] | None, square: NDArray[np.uint8], channels: int
) -> Facts:
    """Return the facts of one image.

    Args:
        image: the decoded image, in the mode of its file.
        storage: how its file stores values.
        values: the values of a deep image, or None.
        square: the result (R, R, channels).
        channels: 1 if the image is read in grey, 3 in colour.
    """
    darkest, brightest, side = int(square.min()), int(square.max()), min(image.size)
    return Facts(
        images=1,
        flat=int(bool((square == square[0, 0]).all())),
        coloured=int(channels == 1 and is_coloured(image)),
        transparent=int(_is_transparent(image)),
        pages=int(_has_pages(image)),
        deep=int(storage.is_deep or storage.has_deep_colours),
        darkest=darkest,
        brightest=brightest,
        largest_value=0 if values is None else float(values.max()),
        shortest_side=side,
        longest_side=side,
    )


def is_coloured(image: Image.Image) -> bool:
    """Return whether some of 256 evenly spread pixels are no shade of grey."""
    if image.mode[0] in "1LIF":
        return image.mode == "LAB"
    small = np.asarray(image.resize((16, 16), Image.Resampling.NEAREST).convert("RGB")).astype(int)
    return bool((small.max(2) - small.min(2) >= COLOURED).any())


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _has_pages(image: Image.Image) -> bool:
    """Return whether a file has several pages or frames; False where the rest of it is damaged."""
    with suppress(OSError, ValueError, SyntaxError, EOFError):
        return image.format in MULTI_PAGE and bool(getattr(image, "is_animated", False))
    return False
