"""Tests of image files with more than 8 bits, with transparency, or in colour where grey is asked for."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.data import Folder
from zoo.errors import DataError


def folder(root: Path, **settings: Any) -> Folder:
    data = Folder(str(root), **{"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1, **settings})
    data.setup()
    return data


def level(root: Path, **settings: Any) -> list[int]:
    """Return the levels that occur in the images of a folder."""
    data = folder(root, **settings)
    return np.unique(data.train.batch(torch.arange(len(data.train))).images.numpy()).tolist()


def tiff(path: Path, values: NDArray[Any], bits: int, kind: int = 1, photometric: int = 1, extra: bool = False) -> None:
    """Write an uncompressed TIFF of the values (H, W, C), in the bytes of their type.

    Args:
        path: the file.
        values: the values.
        bits: bits of each value.
        kind: 1 for values without sign, 2 with sign, 3 for floats.
        photometric: 0 if zero is white, 1 if it is black, 2 for colour.
        extra: whether the last channel is an opacity that the others were multiplied by.
    """
    height, width, channels = values.shape
    data = values.tobytes()
    tags = [
        *((256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 0), (277, channels)),
        *((278, height), (279, len(data)), *([(338, 1)] if extra else []), (339, kind)),
    ]
    start = 8 + 2 + 12 * len(tags) + 4
    lists, entries = b"", b""
    for tag, value in tags:
        count = channels if tag in (258, 339) else 1
        if count == 1:
            where = start + 2 * sum(channels for t in (258, 339) if channels > 2)
            entries += struct.pack("<HHII", tag, 4, 1, where if tag == 273 else value)
        elif count == 2:
            entries += struct.pack("<HHIHH", tag, 3, 2, value, value)
        else:
            entries += struct.pack("<HHII", tag, 3, count, start + len(lists))
            lists += struct.pack(f"<{count}H", *[value] * count)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + lists + data)


def ramp(low: float, high: float, dtype: Any) -> NDArray[Any]:
    """Return an image (8, 8) whose upper half is `low` and whose lower half is `high`."""
    values = np.full((8, 8), low, dtype=dtype)
    values[4:] = high
    return values


# --- values that no file declares ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "suggestion"),
    [
        (ramp(0, 0.5, np.float32), "floats from 0 to 0.5", "[0,1]"),
        (ramp(0, 200, np.float32), "floats from 0 to 200", "[0,255]"),
        (ramp(3, 250, np.int32), "32-bit or signed integers from 3 to 250", "[0,255]"),
        (ramp(-40, 4000, np.int32), "32-bit or signed integers from -40 to 4000", "[-40,4000]"),
        (ramp(0, 4000, np.int32), "32-bit or signed integers from 0 to 4000", "[0,4095]"),
    ],
)
@pytest.mark.parametrize("on_corrupt", ["raise", "skip"])
def test_values_of_unknown_range_are_refused_with_a_setting(
    values: NDArray[Any], kind: str, suggestion: str, on_corrupt: str, tmp_path: Path
) -> None:
    """Floats in [0, 1] and 32-bit integers came out black, negative ones wrapped around: row I1."""
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(DataError) as error:
        folder(tmp_path, on_corrupt=on_corrupt)
    for part in (str(tmp_path / "a.tif"), kind, f"data.value_range={suggestion}"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("values", "value_range", "expected"),
    [
        (ramp(0, 0.5, np.float32), (0, 1), [0, 128]),
        (ramp(0.25, 2, np.float32), (0, 1), [64, 255]),  # what is beyond white is white
        (ramp(0, 255, np.int32), (0, 255), [0, 255]),
        (ramp(-100, 100, np.int32), (-100, 100), [0, 255]),
        (ramp(-300, 0, np.int32), (-100, 100), [0, 128]),
        (ramp(0, 4095, np.uint16), (0, 4095), [0, 255]),
        (ramp(1000, 2000, np.uint16), (1000, 3000), [0, 128]),
    ],
)
def test_a_given_range_of_values_is_black_to_white(
    values: NDArray[Any], value_range: tuple[float, float], expected: list[int], tmp_path: Path
) -> None:
    """A microscope's values are scaled as its user says: row I1."""
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert level(tmp_path, value_range=value_range) == expected


def test_a_float_map_is_read_too(tmp_path: Path) -> None:
    Image.fromarray(ramp(0, 1, np.float32)).save(tmp_path / "a.pfm")
    assert level(tmp_path, value_range=(0, 1)) == [0, 255]


def test_integers_without_sign_are_not_read_as_negative(tmp_path: Path) -> None:
    """Pillow reads 3,000,000,000 as -1,294,967,296: row I1."""
    tiff(tmp_path / "a.tif", ramp(0, 3_000_000_000, np.uint32)[..., None], 32)
    assert level(tmp_path, value_range=(0, 4_000_000_000)) == [0, 191]
    with pytest.raises(DataError, match=r"from 0 to 3e\+09"):
        folder(tmp_path)


def test_signed_bytes_are_not_read_as_unsigned_ones(tmp_path: Path) -> None:
    """Pillow reads -1 as 255: row I1."""
    tiff(tmp_path / "a.tif", ramp(-128, 127, np.int8)[..., None], 8, kind=2)
    with pytest.raises(DataError, match="signed bytes from -128 to 127"):
        folder(tmp_path)
    assert level(tmp_path, value_range=(-128, 127)) == [0, 255]


def test_values_that_are_not_finite_are_a_corrupt_image(tmp_path: Path) -> None:
    Image.fromarray(ramp(0, np.nan, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="it holds NaN or infinity"):
        folder(tmp_path, value_range=(0, 1))


@pytest.mark.parametrize("wrong", [(1,), (4, 4), (5, 2), (0, 1, 2), (0, float("nan")), (0, float("inf"))])
def test_a_range_that_is_none_is_refused(wrong: tuple[float, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"value_range is the value of black and a larger one of white, \[0, 4095\]"):
        folder(tmp_path, value_range=wrong)


# --- values that the file declares -----------------------------------------------------------------------------------


def test_a_file_of_twelve_bits_is_white_at_4095(tmp_path: Path) -> None:
    """A TIFF of 12 bits says so: row I1."""
    packed = np.zeros((8, 12, 1), dtype=np.uint8)  # two values in three bytes
    packed[4:] = 255
    tiff(tmp_path / "a.tif", packed, 12)
    data = tmp_path / "a.tif"
    content = data.read_bytes()
    data.write_bytes(content.replace(struct.pack("<HHII", 256, 4, 1, 12), struct.pack("<HHII", 256, 4, 1, 8)))
    assert level(tmp_path) == [0, 255]


def test_a_file_whose_zero_is_white_is_inverted(tmp_path: Path) -> None:
    """Pillow inverts such files of 8 bits and forgets those of 16."""
    tiff(tmp_path / "a.tif", ramp(0, 65535, np.uint16)[..., None], 16, photometric=0)
    data = folder(tmp_path)
    assert data.train.batch(torch.tensor([0])).images[0, 0, [0, 7], 0].tolist() == [255, 0]


def test_twelve_bits_in_a_file_of_sixteen_are_noticed(tmp_path: Path) -> None:
    """They become levels 0 to 15; nothing was said: row I1."""
    for i in range(3):
        Image.fromarray(ramp(0, 4000 + i, np.uint16)).save(tmp_path / f"{i}.png")
    (note,) = folder(tmp_path).notes()
    assert "all 3 images lie between the levels 0 and 15 of 255, nearly one colour" in note
    assert "The values in their files reach 4002; data.value_range=[0,4095]" in note
    assert folder(tmp_path, value_range=(0, 4095)).notes() == []


def test_fourteen_bits_in_a_file_of_sixteen_are_noticed(tmp_path: Path) -> None:
    Image.fromarray(ramp(0, 16000, np.uint16)).save(tmp_path / "a.png")
    (note,) = folder(tmp_path).notes()
    assert "all levels are below 63 of 255" in note
    assert "data.value_range=[0,16383]" in note


def test_a_range_is_refused_for_colours_of_sixteen_bits(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif", np.full((8, 8, 3), 4000, dtype=np.uint16), 16, photometric=2)
    with pytest.raises(DataError, match="16 bits for each colour, of which Pillow reads the upper 8"):
        folder(tmp_path, value_range=(0, 4095))
    assert "all 1 images lie between the levels 15 and 15" in folder(tmp_path).notes()[0]


def test_a_range_leaves_files_of_eight_bits_alone(tmp_path: Path) -> None:
    Image.fromarray(ramp(0, 200, np.uint8)).save(tmp_path / "a.png")
    assert level(tmp_path, value_range=(0, 4095)) == [0, 200]


# --- transparency ----------------------------------------------------------------------------------------------------


def drawing(root: Path, count: int = 1) -> None:
    """Write white drawings on transparency."""
    for i in range(count):
        image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
        image.paste((255, 255, 255, 255), (2, 2, 6, 6))
        image.save(root / f"{i}.png")


def test_a_white_drawing_on_transparency_is_noticed(tmp_path: Path) -> None:
    """It was one white square, and nothing was said: row I2."""
    drawing(tmp_path, 4)
    (note,) = folder(tmp_path).notes()
    assert "all 4 images lie between the levels 255 and 255 of 255" in note
    assert "They are transparent and lie on white; data.background=black shows drawings in white" in note


@pytest.mark.parametrize(("background", "expected"), [("black", [0, 255]), ("#646464", [100, 255]), ("white", [255])])
def test_transparency_is_put_on_the_background_that_is_asked_for(
    background: str, expected: list[int], tmp_path: Path
) -> None:
    """Row I2: `data.background`."""
    drawing(tmp_path)
    assert level(tmp_path, background=background) == expected


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_that_was_multiplied_by_its_opacity_is_put_on_the_background(channels: int, tmp_path: Path) -> None:
    """Pillow converts this mode to nothing but grey with opacity."""
    values = np.zeros((8, 8, 2), dtype=np.uint8)
    values[4:] = 100, 100  # white, 100 of 255 opaque
    tiff(tmp_path / "a.tif", values, 8, extra=True)
    assert level(tmp_path, channels=channels, background="black") == [0, 100]


def test_the_transparent_value_of_deep_grey_is_put_on_the_background_as_that_of_8_bits(tmp_path: Path) -> None:
    values = np.full((8, 8), 40 * 257, dtype=np.uint16)
    values[4:] = 7  # of 65,535, as black as 0 in 8 bits
    Image.fromarray(values).save(tmp_path / "a.png", transparency=7)
    assert level(tmp_path, background="white") == [40, 255]
    assert level(tmp_path, background="#646464") == [40, 100]


def test_a_colour_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"background is a colour such as black, white or #rrggbb; got 'blakc'"):
        folder(tmp_path, background="blakc")


def test_the_settings_are_part_of_the_digest_unless_they_are_the_defaults(tmp_path: Path) -> None:
    drawing(tmp_path)
    assert folder(tmp_path).digest == folder(tmp_path, background="white", value_range=()).digest
    assert len({folder(tmp_path, background=colour).digest for colour in ("white", "black", "red")}) == 3
    assert folder(tmp_path, value_range=(0, 9)).digest != folder(tmp_path).digest


# --- colour ----------------------------------------------------------------------------------------------------------


def test_colour_that_is_read_in_grey_is_said(tmp_path: Path) -> None:
    """Colour folders were trained in grey without a word: row A16."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 20, 20, 3), dtype=np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / f"{i}.jpg")
    Image.fromarray(noise[0, :, :, 0]).convert("RGB").save(tmp_path / "grey.jpg")  # grey in a file of colours
    (note,) = folder(tmp_path).notes()
    assert "4 of 5 images are in colour and are read in grey (data.channels=1)" in note
    assert "model.channels=3 data.channels=3" in note
    assert folder(tmp_path, channels=3).notes() == []


def test_images_of_one_colour_each_are_said(tmp_path: Path) -> None:
    for i in range(4):
        Image.new("L", (8, 8), 60 * i).save(tmp_path / f"{i}.png")
    assert folder(tmp_path).notes() == ["4 of 4 images are of one colour each"]


def test_further_pages_are_said(tmp_path: Path) -> None:
    """Of a TIFF of three pages the first was read in silence: row I2."""
    pages = [Image.fromarray(ramp(0, 100 + i, np.uint8)) for i in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "b.tif")
    assert folder(tmp_path).notes() == ["1 files have several pages or frames, of which only the first is read"]
    assert level(tmp_path) == [0, 100]


# --- earlier versions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({"channels": 3}, "98a25b99f69fb406f937f3d2225f1afe"),
        ({"labels": True}, "7ef0eeaa033e1f2bb6f6f571adb5730a"),
    ],
)
def test_images_have_the_digest_that_earlier_versions_recorded(
    settings: dict[str, Any], digest: str, tmp_path: Path
) -> None:
    """Version 0.1.0 gave these digests; a run that recorded one can be resumed."""
    for i in range(6):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"P6 4 4 255\n" + bytes(range(8 * i, 8 * i + 48)))
    (tmp_path / "set/a/deep.pgm").write_bytes(b"P5 4 4 65535\n" + bytes(range(32)))
    assert folder(tmp_path / "set", resolution=4, held_out=2, **settings).digest == digest
