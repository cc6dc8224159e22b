"""Tests of `Folder`: an image file is decoded to the picture that a viewer shows, or is named in an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.data import Folder
from zoo.errors import DataError

ORANGE = (230, 120, 40)


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def folder(root: Path, resolution: int = 16, **settings: Any) -> Folder:
    data = Folder(str(root), resolution=resolution, **{"held_out": 0, "batch_size": 1, **settings})
    data.setup()
    return data


def decoded(root: Path, resolution: int = 16, **settings: Any) -> NDArray[np.uint8]:
    """Return all images (N, H, W, C) of uint8, in the order of their paths."""
    data = folder(root, resolution, **settings)
    return data.train.batch(torch.arange(len(data.train))).images.permute(0, 2, 3, 1).numpy()


def only(
    root: Path, image: Image.Image, name: str = "a.png", resolution: int = 16, channels: int = 3, **options: Any
) -> NDArray[np.uint8]:
    """Save an image, and return it as `Folder` decodes it (H, W, C)."""
    save(root / name, image, **options)
    (result,) = decoded(root, resolution, channels=channels)
    return result


# --- which files -----------------------------------------------------------------------------------------------------


def test_images_are_found_at_any_depth_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for i, name in enumerate(["a/b/c/d.png", "a/e.png", "f.png", "z/g.png"]):
        save(tmp_path / "set" / name, Image.new("L", (16, 16), 50 * i))
    assert decoded(tmp_path / "set", channels=1)[:, 3, 5, 0].tolist() == [0, 50, 100, 150]


def test_hidden_files_and_other_files_are_left_alone(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.new("L", (16, 16), 9))
    (tmp_path / "._a.png").write_bytes(b"what macOS leaves in archives")
    (tmp_path / "readme.txt").write_text("no image")
    (tmp_path / "labels.csv").write_text("no image")
    assert len(decoded(tmp_path)) == 1


def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path) -> None:
    save(tmp_path / "a.PNG", Image.new("L", (16, 16), 9))
    save(tmp_path / "b.Jpeg", Image.new("L", (16, 16), 9))
    assert len(decoded(tmp_path)) == 2


def test_a_missing_folder_is_named_with_three_ways_to_get_images(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        folder(tmp_path / "nowhere")
    for part in (str(tmp_path / "nowhere"), "data.root=FOLDER", "data.download=true", "data.class=Digits"):
        assert part in str(error.value)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        folder(save(tmp_path / "a.png", Image.new("L", (16, 16))))


def test_a_folder_without_images_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("no image")
    with pytest.raises(DataError) as error:
        folder(tmp_path / "set")
    for part in ("no images below", str(tmp_path / "set"), ".png", ".jpg", ".webp", "at any depth"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"channels": 2}, r"1 \(grey\) or 3 \(colour\); got 2"), ({"on_corrupt": "ignore"}, "'raise' or 'skip'; got 'ig")],
)
def test_settings_that_do_not_exist_are_refused(wrong: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=text):
        Folder(str(tmp_path), resolution=16, **wrong)


# --- sizes and crops -------------------------------------------------------------------------------------------------


def test_mixed_sizes_come_out_square_at_the_resolution(tmp_path: Path) -> None:
    sizes = [(16, 16), (7, 5), (100, 30), (30, 100), (1, 1), (33, 200)]
    for i, size in enumerate(sizes):
        save(tmp_path / f"{i}.png", Image.new("RGB", size, ORANGE))
    images = decoded(tmp_path)
    assert images.shape == (6, 16, 16, 3)
    assert (images == ORANGE).all()


@pytest.mark.parametrize("upright", [False, True])
def test_of_a_long_image_the_centre_is_kept(upright: bool, tmp_path: Path) -> None:
    pixels = np.zeros((16, 48, 3), dtype=np.uint8)
    for third in range(3):  # red, green and blue bars
        pixels[:, 16 * third : 16 * third + 16, third] = 255
    image = Image.fromarray(pixels.swapaxes(0, 1).copy() if upright else pixels)
    assert (only(tmp_path, image) == (0, 255, 0)).all()


def test_an_image_at_the_resolution_passes_untouched(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(only(tmp_path, Image.fromarray(pixels)), pixels)


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((128, 128), dtype=np.uint8)
    stripes[:, ::2] = 255
    result = only(tmp_path, Image.fromarray(stripes), channels=1)
    assert abs(result.astype(int) - 127).max() <= 12  # picking pixels would leave 0 or 255
    assert abs(float(result.mean()) - 127.5) < 1


# --- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.tiff", "a.ppm", "a.gif", "a.webp", "a.jpg", "a.jpeg"])
def test_a_colour_survives_every_format(name: str, tmp_path: Path) -> None:
    result = only(tmp_path, Image.new("RGB", (40, 30), ORANGE), name)
    assert result.shape == (16, 16, 3)
    assert abs(result.astype(int) - ORANGE).max() <= (4 if name[2] in "jw" else 0)  # JPEG and WebP are lossy


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGB", "RGBA", "I;16", "CMYK"])
def test_white_and_black_survive_every_mode(mode: str, tmp_path: Path) -> None:
    half = np.zeros((32, 32), dtype=np.uint8)
    half[:16] = 255
    if mode == "I;16":
        image = Image.fromarray(half.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(half).convert("RGB" if mode == "CMYK" else mode).convert(mode)
    result = only(tmp_path, image, "a.tif" if mode == "CMYK" else "a.png", resolution=32)
    assert (result[:16] == 255).all()
    assert (result[16:] == 0).all()


def test_grey_images_have_equal_channels_in_colour(tmp_path: Path) -> None:
    assert (only(tmp_path, Image.new("L", (20, 20), 77)) == 77).all()


def test_colour_becomes_luma_in_grey(tmp_path: Path) -> None:
    result = only(tmp_path, Image.new("RGB", (20, 20), ORANGE), channels=1)
    assert result.shape == (16, 16, 1)
    assert abs(result.astype(float) - (0.299 * 230 + 0.587 * 120 + 0.114 * 40)).max() <= 1


@pytest.mark.parametrize(("alpha", "expected"), [(0, (255, 255, 255)), (255, ORANGE), (102, (245, 201, 169))])
def test_transparency_is_put_on_white(alpha: int, expected: tuple[int, ...], tmp_path: Path) -> None:
    result = only(tmp_path, Image.new("RGBA", (20, 20), (*ORANGE, alpha)))
    assert abs(result.astype(int) - expected).max() <= (1 if alpha == 102 else 0)


def test_transparent_grey_is_put_on_white(tmp_path: Path) -> None:
    assert (only(tmp_path, Image.new("LA", (20, 20), (30, 0)), channels=1) == 255).all()


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_palette_entry_is_white(suffix: str, tmp_path: Path) -> None:
    image = Image.new("P", (32, 32), 0)
    image.putpalette([0, 0, 0, *ORANGE, 10, 20, 30])
    image.paste(1, (0, 0, 32, 16))
    result = only(tmp_path, image, f"a.{suffix}", resolution=32, transparency=0)
    assert (result[:16] == ORANGE).all()
    assert (result[16:] == 255).all()


def test_a_palette_with_degrees_of_transparency_is_mixed_with_white(tmp_path: Path) -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 0, 0, 0])
    result = only(tmp_path, image, transparency=bytes([255, 102]))
    assert abs(result.astype(int) - 153).max() <= 1


def test_a_colour_declared_transparent_is_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), ORANGE)
    image.paste((1, 2, 3), (0, 0, 32, 16))
    result = only(tmp_path, image, resolution=32, transparency=(1, 2, 3))
    assert (result[:16] == 255).all()
    assert (result[16:] == ORANGE).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("value", "expected"), [(0, 0), (32768, 128), (65535, 255), (300, 1)])
def test_sixteen_bits_are_scaled_and_not_clipped(value: int, expected: int, suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.full((20, 20), value, dtype=np.uint16))
    assert (only(tmp_path, image, f"a.{suffix}") == expected).all()


def test_a_big_endian_sixteen_bit_grey_map_is_scaled_too(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 16 16 65535\n" + np.full(256, 32768, dtype=">u2").tobytes())
    (result,) = decoded(tmp_path, channels=1)
    assert abs(result.astype(int) - 128).max() <= 1


def test_of_a_film_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (ORANGE, (0, 0, 0))]
    assert (only(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:]) == ORANGE).all()


def picture() -> NDArray[np.uint8]:
    """Return a picture of four quadrants with different grey levels, upright."""
    return np.kron(np.array([[250, 170], [90, 10]]), np.ones((16, 16))).astype(np.uint8)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, picture()),
        (2, picture()[:, ::-1]),
        (3, picture()[::-1, ::-1]),
        (6, np.rot90(picture())),  # the viewer has to turn it a quarter clockwise
        (8, np.rot90(picture(), -1)),
    ],
)
def test_a_photo_taken_with_a_turned_camera_comes_upright(
    orientation: int, stored: NDArray[np.uint8], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    result = only(tmp_path, image, "a.jpg", resolution=32, channels=1, exif=exif, quality=95)
    assert abs(result[:, :, 0].astype(int) - picture()).max() < 12


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_the_subfolders_in_alphabetical_order(tmp_path: Path) -> None:
    for i, name in enumerate(["zebra/1.png", "ant/2.png", "ant/deep/er/3.png", "cat/4.png"]):
        save(tmp_path / "set" / name, Image.new("L", (16, 16), 40 * i))
    data = folder(tmp_path / "set", channels=1, labels=True)
    batch = data.train.batch(torch.arange(4))
    assert batch.labels is not None
    assert dict(zip(batch.images[:, 0, 0, 0].tolist(), batch.labels.tolist())) == {0: 2, 40: 0, 80: 0, 120: 1}
    assert data.train.pool.class_names == ("ant", "cat", "zebra")
    assert data.num_classes == 3


def test_without_labels_asked_for_there_are_none(tmp_path: Path) -> None:
    save(tmp_path / "cat/1.png", Image.new("L", (16, 16)))
    data = folder(tmp_path)
    assert data.train.batch(torch.tensor([0])).labels is None
    assert data.num_classes == 0


def test_loose_images_beside_class_folders_are_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "cat/1.png", Image.new("L", (16, 16)))
    save(tmp_path / "stray.png", Image.new("L", (16, 16)))
    with pytest.raises(DataError) as error:
        folder(tmp_path, labels=True)
    for part in ("stray.png", "1 lie directly in", "data.labels=false", "subfolder that names its class"):
        assert part in str(error.value)


# --- corrupt files ---------------------------------------------------------------------------------------------------


def noise(size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def garble(path: Path) -> None:
    """Write a text under the name of an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"this is not an image" * 10)


def cut(path: Path) -> None:
    """Write the first half of an image file."""
    save(path, noise())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Write an empty file, as a full disk leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


FAULTS = [
    (garble, "bad.png"),
    (cut, "bad.jpg"),
    (cut, "bad.png"),
    (cut, "bad.webp"),
    (cut, "bad.tif"),
    (cut, "bad.bmp"),
    (cut, "bad.gif"),
    (cut, "bad.ppm"),
    (empty, "bad.jpg"),
]


@pytest.mark.parametrize(("spoil", "name"), FAULTS)
def test_a_corrupt_image_is_named_with_the_remedy(spoil: Any, name: str, tmp_path: Path) -> None:
    save(tmp_path / "set/good.png", noise())
    spoil(tmp_path / "set/deep" / name)
    with pytest.raises(DataError) as error:
        folder(tmp_path / "set")
    assert str(tmp_path / "set/deep" / name) in str(error.value)
    assert "Repair or remove it, or set data.on_corrupt=skip" in str(error.value)


@pytest.mark.parametrize(("spoil", "name"), FAULTS)
def test_a_corrupt_image_is_left_out_where_asked_for(
    spoil: Any, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "set/good.png", Image.new("L", (16, 16), 5))
    spoil(tmp_path / "set" / name)
    images = decoded(tmp_path / "set", on_corrupt="skip", channels=1)
    assert images[:, 0, 0, 0].tolist() == [5]
    stderr = capsys.readouterr().err
    assert str(tmp_path / "set" / name) in stderr
    assert "1 of 2 images could not be decoded and are left out" in stderr


def test_labels_still_line_up_when_images_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for i in range(12):  # grey level 10 * i, class i // 4
        save(root / "abc"[i // 4] / f"{i:02d}.png", Image.new("L", (16, 16), 10 * i))
    for broken in ("a/00.png", "a/03.png", "b/05.png", "c/11.png"):
        garble(root / broken)
    data = folder(root, channels=1, labels=True, on_corrupt="skip")
    batch = data.train.batch(torch.arange(len(data.train)))
    assert batch.labels is not None
    levels = batch.images[:, 0, 0, 0].tolist()
    assert levels == [10 * i for i in (1, 2, 4, 6, 7, 8, 9, 10)]
    assert batch.labels.tolist() == [level // 40 for level in levels]


def test_what_was_left_out_is_said_again_when_the_cache_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "set/good.png", Image.new("L", (16, 16), 5))
    garble(tmp_path / "set/bad.png")
    for _ in range(2):
        assert len(decoded(tmp_path / "set", on_corrupt="skip")) == 1
        assert "1 of 2 images could not be decoded" in capsys.readouterr().err


@pytest.mark.parametrize("on_corrupt", ["raise", "skip"])
def test_a_folder_of_nothing_but_corrupt_images_is_refused(on_corrupt: str, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        garble(tmp_path / "set" / name)
    with pytest.raises(DataError) as error:
        folder(tmp_path / "set", on_corrupt=on_corrupt)
    assert str(tmp_path / "set/a.png") in str(error.value)


def test_a_link_that_leads_nowhere_is_a_corrupt_image(tmp_path: Path) -> None:
    save(tmp_path / "set/good.png", Image.new("L", (16, 16), 5))
    (tmp_path / "set/lost.png").symlink_to(tmp_path / "moved away.png")
    with pytest.raises(DataError, match=r"lost\.png"):
        folder(tmp_path / "set")
    assert decoded(tmp_path / "set", on_corrupt="skip")[:, 0, 0, 0].tolist() == [5]
