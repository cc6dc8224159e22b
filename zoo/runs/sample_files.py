"""The files that samples are written to: a grid, single pictures, an animation, or arrays of NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from zoo.errors import UserError
from zoo.io.files import atomic_write
from zoo.rendering import pictures

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
ANIMATIONS, ARRAYS = (".gif", ".mp4"), ".npz"
FRAME_MILLISECONDS = 80


@dataclass(frozen=True)
class Samples:
    """Images that were drawn, and how they belong together.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        labels: class of each image (N,); None for an unconditional model.
        columns: columns of a grid that suit them.
        steps: images of each interpolation, which follow each other; 0 for single samples.
        seeds: the seed of each image; empty if they have none of their own.
    """

    images: Tensor
    labels: Tensor | None
    columns: int
    steps: int = 0
    seeds: tuple[int, ...] = ()


def check_output(out: Path, to_folder: bool, steps: int) -> None:
    """Check that samples can be written to a path.

    Args:
        out: the path.
        to_folder: whether it is a folder for single pictures.
        steps: images of each interpolation; 0 for single samples.

    Raises:
        UserError: for another ending than one of a picture or of arrays, an animation of single samples, or a folder
            with pictures.
    """
    ending = out.suffix.lower()
    if to_folder:
        if any(path.suffix.lower() in PICTURE_SUFFIXES for path in out.glob("*")):
            raise UserError(f"out: {out} holds pictures already, which would be taken for samples. Choose a new folder")
    elif ending in ANIMATIONS:
        if not steps:
            raise UserError(f"out: a {ending} shows the way between latents; give interpolate=STEPS as well")
    elif ending not in (*PICTURE_SUFFIXES, ARRAYS):
        raise UserError(
            f"out: a picture ending in {', '.join(PICTURE_SUFFIXES)}, or a folder ending in / for single pictures, or "
            f"{ARRAYS} for arrays, or {' or '.join(ANIMATIONS)} for an animation of interpolate=STEPS; got {str(out)!r}"
        )
    if ending == ".mp4" and find_spec("av") is None:
        raise UserError("out: a .mp4 needs PyAV. Install it with pip install 'gan-zoo[video]', or write a .gif")


def write(samples: Samples, out: Path, to_folder: bool, columns: int, scale: int) -> None:
    """Write samples to a path that `check_output` has passed.

    Args:
        samples: the images.
        out: the path.
        to_folder: whether it is a folder for single pictures, whose names are the seeds or the places of the images.
        columns: columns of the grid; 0 for a number that suits the images.
        scale: factor by which pictures are enlarged, without smoothing.

    Raises:
        UserError: if the path cannot be written.
    """
    try:
        if to_folder:
            names = samples.seeds or tuple(range(len(samples.images)))
            digits = len(str(max(names)))
            for name, image in zip(names, samples.images):
                pictures.save(_enlarged(pictures.single(image), scale), out / f"{name:0{digits}d}.png")
        elif out.suffix.lower() == ARRAYS:
            _write_arrays(samples, out)
        elif out.suffix.lower() in ANIMATIONS:
            _write_animation(samples, out, columns, scale)
        else:
            pictures.save(_enlarged(pictures.grid(samples.images, columns or samples.columns), scale), out)
    except OSError as error:
        raise UserError(f"out: cannot write {out}: {error}") from error


def _enlarged(picture: Image.Image, scale: int) -> Image.Image:
    """Return a picture enlarged by a whole factor, without smoothing."""
    size = picture.width * scale, picture.height * scale
    return picture if scale == 1 else picture.resize(size, Image.Resampling.NEAREST)


def _write_arrays(samples: Samples, out: Path) -> None:
    """Write images as `arr_0`, uint8 (N, H, W, C), and classes as `arr_1` (N,), as the evaluation code of ADM reads."""
    arrays = [pictures.to_uint8(samples.images).permute(0, 2, 3, 1).numpy()]
    if samples.labels is not None:
        arrays.append(samples.labels.cpu().numpy())
    with atomic_write(out) as scratch, open(scratch, "wb") as file:
        np.savez(file, *arrays)


def _write_animation(samples: Samples, out: Path, columns: int, scale: int) -> None:
    """Write an animation in which each cell goes from one latent to another, and back."""
    pairs = len(samples.images) // samples.steps
    columns = columns or min(pairs, max(1, round(pairs**0.5)))
    by_step = samples.images.view(pairs, samples.steps, *samples.images.shape[1:]).transpose(0, 1)
    forth = [_enlarged(pictures.grid(images, columns), scale) for images in by_step]
    frames = [*forth, *forth[-2:0:-1]]
    if out.suffix.lower() == ".mp4":
        _write_video(frames, out)
        return
    pictures.save(frames[0], out, save_all=True, append_images=frames[1:], duration=FRAME_MILLISECONDS, loop=0)


def _write_video(frames: list[Image.Image], out: Path) -> None:
    """Write frames as H.264, which every browser plays; an odd side is made even, as its colours need."""
    av: Any = import_module("av")  # an extra, partly without types

    width, height = (side + side % 2 for side in frames[0].size)
    with atomic_write(out) as scratch, av.open(str(scratch), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(1000, FRAME_MILLISECONDS))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "12"}  # close to lossless: samples are judged by their detail
        for frame in frames:
            even = Image.new("RGB", (width, height), "white")
            even.paste(frame)
            container.mux(stream.encode(av.VideoFrame.from_image(even)))
        container.mux(stream.encode())
