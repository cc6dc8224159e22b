"""`python -m zoo.sample checkpoint=RUN`: draw images from a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.gan import GAN
from zoo.models.mix.mixgan import MixGAN
from zoo.rendering import pictures
from zoo.runs.opening import load_model
from zoo.sampling.images import TruncationBy, interpolate

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def sample(
    checkpoint: str,
    n: int = 64,
    seed: int = 0,
    out: str = "samples.png",
    labels: int | list[int] | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    interpolate: int = 0,
    columns: int = 0,
    component: int | None = None,
    cls: str | list[str] | None = None,
) -> Path:
    """Draw images and write them.

    Args:
        checkpoint: a run folder, a checkpoint file, or a release: its name, folder or file, or `hf:ORG/NAME`.
        n: how many images; with `interpolate`, how many pairs of latents.
        seed: of the latents.
        out: a picture file for one grid, or a folder (ending in /) for single PNG files.
        labels: one class for all, or a list that is repeated over the images; None for all classes in turn.
        truncation: redraw latent coordinates outside [-truncation, truncation].
        truncation_by: `scaling` redraws outside [-2, 2] and multiplies by the truncation instead.
        interpolate: draw so many steps along the great circle between two latents, one pair in each row.
        columns: of the grid; 0 chooses.
        component: of a mixture, the generator that draws all images; None draws one by weight for each.
        cls: import path of a class of the user's own that a release was made of.

    Raises:
        UserError: for values that make no picture.
    """
    if n < 1:
        raise UserError(f"n: at least 1 image; got {n}")
    if columns < 0:
        raise UserError(f"columns: at least 1, or 0 to let the picture choose; got {columns}")
    if labels == []:
        raise UserError("labels: name at least one class, or leave labels out for all of them")
    to_folder = out.endswith(("/", "\\")) or Path(out).is_dir()
    if not to_folder and not out.lower().endswith(PICTURE_SUFFIXES):
        raise UserError(f"out: a picture ending in {', '.join(PICTURE_SUFFIXES)}, or a folder ending in /; got {out!r}")
    if to_folder and any(path.suffix.lower() in PICTURE_SUFFIXES for path in Path(out).glob("*")):
        raise UserError(f"out: {out} holds pictures already, which would be taken for samples. Choose a new folder")
    model = load_model(checkpoint, cls)
    latents: dict[str, Any] = {"seed": seed, "truncation": truncation, "truncation_by": truncation_by}
    try:
        model = model if component is None else _member(model, component, interpolate)
        images, across = _draw(model, n, labels, interpolate, latents)
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        if to_folder:
            digits = len(str(len(images) - 1))
            for i, image in enumerate(images):
                pictures.save(pictures.single(image), Path(out) / f"{i:0{digits}d}.png")
        else:
            pictures.save(pictures.grid(images, columns or across), Path(out))
    except OSError as error:
        raise UserError(f"out: cannot write {out}: {error}") from error
    return Path(out)


def _member(model: GAN, component: int, steps: int) -> GAN:
    """Return one generator of a mixture as a model.

    Raises:
        UserError: for a model that is no mixture, or with interpolation.
        ValueError: for a component that the mixture does not have.
    """
    if not isinstance(model, MixGAN) or steps:
        raise UserError(f"component: for samples of a MixGAN, without interpolate; got a {type(model).__name__}")
    return model.member(component)


def _draw(
    model: GAN, n: int, labels: int | list[int] | None, steps: int, latents: dict[str, Any]
) -> tuple[Tensor, int]:
    """Images and the number of columns that suits them."""
    chosen = [labels] if isinstance(labels, int) else labels
    if chosen is None and model.num_classes:
        chosen = list(range(model.num_classes))
    classes = None if chosen is None else torch.tensor(chosen)[torch.arange(n) % len(chosen)]
    if steps:
        return interpolate(model, n, steps, labels=classes, **latents), steps
    across = len(chosen) if chosen is not None and 1 < len(chosen) <= 16 else max(1, round(n**0.5))
    return model.sample(n, labels=classes, **latents), across


def main(**words: Any) -> None:
    """Draw images from a trained model.

    checkpoint=RUN        a run folder, a checkpoint file, or a release: dcgan_digits, FOLDER, hf:ORG/NAME
    n=64 seed=0           how many, and which
    out=samples.png       one grid, or a folder ending in / for single files
    labels=3              one class, or a list: labels=[0,1,2]
    truncation=0.7        redraw latent coordinates outside [-0.7, 0.7]
    truncation_by=scaling redraw outside [-2, 2] and multiply by the truncation instead
    component=2           of a mixture: all images by this generator
    interpolate=10        walk in 10 steps between two latents in each row; n is then the number of rows
    cls=my_ideas.Mine     the class, where it is one of your own and checkpoint is a release
    """
    print(sample(**checked_arguments(sample, words)))


if __name__ == "__main__":
    run_command("sample", main)
