"""Draw images from a trained model: the work of `python -m zoo.sample`."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import UserError
from zoo.gan import GAN
from zoo.io.files import with_home
from zoo.models.mix.mixgan import MixGAN
from zoo.rendering import pictures
from zoo.runs.opening import load_model
from zoo.sampling.images import TruncationBy, class_number, interpolate

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def sample(
    checkpoint: str,
    n: int = 64,
    seed: int = 0,
    out: str = "samples.png",
    labels: int | str | list[int | str] | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    interpolate: int = 0,
    columns: int = 0,
    component: int | None = None,
    cls: str | list[str] | None = None,
) -> Path:
    """Draw images from a trained model and write them to one picture or to single files.

    Args:
        checkpoint: run folder, checkpoint file, or release (its name, its folder or file, or hf:ORG/NAME).
        n: number of images; with `interpolate`, number of pairs of latents.
        seed: seed of the latents.
        out: picture file for one grid, or a folder (ending in /) for single PNG files.
        labels: one class for all images, or a list of classes that is repeated over the images, by number or by name;
            None for all classes in turn.
        truncation: bound of the latents: coordinates outside [-truncation, truncation] are drawn again; None for none.
        truncation_by: method of the truncation; `scaling` draws again outside [-2, 2] and multiplies by `truncation`.
        interpolate: number of images along the great circle between two latents, one pair in each row; 0 for
            independent samples.
        columns: columns of the grid; 0 for a number that suits the images.
        component: index of the generator of a mixture that draws all images; None to choose one by weight for each.
        cls: import path of your own class that a release was made of.

    Returns:
        The path of the picture or folder.

    Raises:
        UserError: for values from which no picture can be made.

    Examples:
        python -m zoo.sample checkpoint=dcgan_digits n=80 out=digits.png
        python -m zoo.sample checkpoint=runs/dcgan_digits/TIME labels=[0,1,2] truncation=0.7
        python -m zoo.sample checkpoint=runs/biggan_photos/TIME labels=[cat,dog]
        python -m zoo.sample checkpoint=dcgan_digits n=8 interpolate=10
        python -m zoo.sample checkpoint=dcgan_digits n=1000 out=samples/
    """
    if n < 1:
        raise UserError(f"n: at least 1 image; got {n}")
    if columns < 0:
        raise UserError(f"columns: at least 1, or 0 to let the picture choose; got {columns}")
    if labels == []:
        raise UserError("labels: name at least one class, or leave labels out for all of them")
    place = with_home(out)
    to_folder = out.endswith(("/", "\\")) or place.is_dir()
    _check_output(place, to_folder)
    model = load_model(checkpoint, cls)
    latents: dict[str, Any] = {"seed": seed, "truncation": truncation, "truncation_by": truncation_by}
    try:
        model = model if component is None else _member(model, component, interpolate)
        images, suitable_columns = _draw(model, n, labels, interpolate, latents)
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        if to_folder:
            digits = len(str(len(images) - 1))
            for i, image in enumerate(images):
                pictures.save(pictures.single(image), place / f"{i:0{digits}d}.png")
        else:
            pictures.save(pictures.grid(images, columns or suitable_columns), place)
    except OSError as error:
        raise UserError(f"out: cannot write {place}: {error}") from error
    return place


@wraps(sample)
def main(**options: Any) -> None:
    """Run `sample` and print the path of its output."""
    print(sample(**options))


def _check_output(out: Path, to_folder: bool) -> None:
    """Check that images can be written to a path.

    Raises:
        UserError: for another ending than a picture's, or a folder with pictures.
    """
    if not to_folder and not str(out).lower().endswith(PICTURE_SUFFIXES):
        raise UserError(
            f"out: a picture ending in {', '.join(PICTURE_SUFFIXES)}, or a folder ending in /; got {str(out)!r}"
        )
    if to_folder and any(path.suffix.lower() in PICTURE_SUFFIXES for path in out.glob("*")):
        raise UserError(f"out: {out} holds pictures already, which would be taken for samples. Choose a new folder")


def _member(model: GAN, component: int, steps: int) -> GAN:
    """Return one generator of a mixture as a model.

    Raises:
        UserError: for a model that is no mixture, or with interpolation.
        ValueError: for a component that the mixture does not have.
    """
    if not isinstance(model, MixGAN) or steps:
        raise UserError(f"component: for samples of a MixGAN, without interpolate; got a {type(model).__name__}")
    return model.member(component)


def _numbers(labels: Any, class_names: tuple[str, ...]) -> list[int]:
    """Return the numbers of classes that are given by number or by name.

    Raises:
        ValueError: for anything else, or a name that no class has.
    """
    wrong = [each for each in labels if type(each) not in (int, str)] if isinstance(labels, list | tuple) else [labels]
    if wrong:
        raise ValueError(f"labels: a class, by its number or its name, or a list of classes; got {wrong[0]!r}")
    return [class_number(label, class_names) if isinstance(label, str) else label for label in labels]


def _draw(model: GAN, n: int, labels: Any, steps: int, latents: dict[str, Any]) -> tuple[Tensor, int]:
    """Return images (N, C, H, W) in [-1, 1] and the number of columns that suits them."""
    given = [labels] if isinstance(labels, int | str) else labels
    chosen = None if given is None else _numbers(given, model.class_names)
    if chosen is None and model.num_classes:
        chosen = list(range(model.num_classes))
    classes = None if chosen is None else torch.tensor(chosen)[torch.arange(n) % len(chosen)]
    if steps:
        return interpolate(model, n, steps, labels=classes, **latents), steps
    columns = len(chosen) if chosen is not None and 1 < len(chosen) <= 16 else max(1, round(n**0.5))
    return model.sample(n, labels=classes, **latents), columns
