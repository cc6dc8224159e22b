"""Export the generator of a trained model: the work of `python -m zoo.export`."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.export.checking import largest_difference
from zoo.export.facts import facts_of
from zoo.export.formats import WRITERS
from zoo.export.gallery import write_gallery
from zoo.export.page import write_page
from zoo.export.space import write_space
from zoo.gan import GAN
from zoo.io.files import atomic_write, with_home
from zoo.runs.locating import report_name, split_named
from zoo.runs.opening import load_model
from zoo.sampling.exportable import Pixels

PAGE, GALLERY, SPACE = "html", "gallery", "space"
FOLDERS = (PAGE, GALLERY, SPACE)
"""Formats that are folders."""


def export(
    checkpoint: str,
    format: str = "onnx",
    out: str = "",
    pixels: Pixels = "float",
    runtime: str = "",
    cls: str | list[str] | None = None,
) -> tuple[Path, float]:
    """Write the averaged generator of a trained model as a file for other runtimes, and check it against the model.

    The file takes any number of rows: latents `z` (B, Z) from a standard normal distribution, `labels` (B,) if the
    model is conditional, and `component` (B,), the number of the generator, if it is a mixture. It returns images
    (B, C, H, W). Name, classes, range and licence are in its metadata. The same latents are computed by the file and
    by the model in batches of 1, 3 and 17; if the images differ by more than 0.0001, or 1 of 255 grey levels, there is
    no file.

    Args:
        checkpoint: run folder, checkpoint file, or release (its name, its folder or file, or hf:ORG/NAME); for
            `gallery` one or several, joined by commas.
        format: `onnx`; `torch`, a program of `torch.export` (.pt2); `npz`, the weights as arrays of NumPy; `html`, a
            folder with a page that draws in the browser, for any static server; `gallery`, a folder with such a page
            for each of several models and one that leads to them; or `space`, a folder that runs as a Gradio Space of
            the Hugging Face hub.
        out: the file, or the folder of `html`, `gallery` and `space`; empty for the name of the model, or `gallery`.
        pixels: `float` for images in [0, 1], `uint8` for 0 to 255; the pages have uint8.
        runtime: for `html` and `gallery`, the npm package onnxruntime-web as a file or folder; empty to fetch it with
            npm, once.
        cls: import path of your own class that a release was made of.

    Returns:
        The path of the file, and the largest difference from the model.

    Raises:
        UserError: for an unknown format, packages that are missing, or a file that differs from the model.

    Examples:
        python -m zoo.export checkpoint=dcgan_digits format=onnx
        python -m zoo.export checkpoint=dcgan_digits format=html out=site
        python -m zoo.export checkpoint=dcgan_digits,dcgan_fashion format=gallery
        python -m zoo.export checkpoint=dcgan_digits format=space out=space
        python -m zoo.export checkpoint=runs/progan_celeba/TIME format=torch out=faces.pt2 pixels=uint8
    """
    if format not in (*WRITERS, *FOLDERS):
        raise UserError(f"format: one of {', '.join([*WRITERS, *FOLDERS])}; got {format!r}")
    places = split_named(checkpoint)
    if len(places) > 1 and format != GALLERY:
        raise UserError(f"checkpoint: one model for format={format}, several for format={GALLERY}; got {checkpoint!r}")
    if runtime and format not in (PAGE, GALLERY):
        raise UserError(f"runtime={runtime} has no effect with format={format}; it is for {PAGE} and {GALLERY}")
    if format in FOLDERS:
        folder = with_home(out or (GALLERY if format == GALLERY else report_name(checkpoint)))
        return _export_folder(format, places, folder, runtime, cls)
    ending, write = WRITERS[format]
    path = with_home(out) if out else Path(report_name(checkpoint) + ending)
    if path.suffix != ending:
        raise UserError(f"out: a file ending in {ending} for format={format}; got {str(path)!r}")
    model = _load(checkpoint, cls)
    try:
        generator = model.exportable(pixels)
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        with atomic_write(path) as scratch:
            run = write(scratch, model, generator, facts_of(checkpoint, model, generator))
            difference = largest_difference(model, generator, run, path.name)
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error
    return path, difference


def _load(checkpoint: str, cls: str | list[str] | None) -> GAN:
    """Load a model of images."""
    model = load_model(checkpoint, cls)
    if model.resolution == 1:
        raise UserError(f"checkpoint: {checkpoint} draws points in the plane; only generators of images are exported")
    return model


def _export_folder(
    format: str, places: list[str], folder: Path, runtime: str, cls: str | list[str] | None
) -> tuple[Path, float]:
    """Write the folder of a page, a gallery or a Space; return it with the largest difference in grey levels."""
    try:
        if format == GALLERY:
            return folder, write_gallery(folder, places, lambda where: _load(where, cls), runtime)
        model = _load(places[0], cls)
        if format == PAGE:
            return folder, write_page(folder, places[0], model, runtime)
        return folder, write_space(folder, places[0], model)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error


@wraps(export)
def main(**options: Any) -> None:
    """Run `export` and print the path of the file and how far it is from the model."""
    path, difference = export(**options)
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    print(f"{path} ({size / 1e6:,.1f} MB)\nlargest difference from the model: {difference:.1e}")
    if options.get("format") == SPACE:
        print(f"look at it: pip install -r {path / 'requirements.txt'}, and python {path / 'app.py'}")
    elif path.is_dir():
        print(f"look at it: python -m http.server --directory {path}, and open the address that it prints")
