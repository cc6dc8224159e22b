"""`python -m zoo.sample checkpoint=RUN`: draw images from a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo import pictures
from zoo.command import checked_arguments, run_command
from zoo.errors import UserError
from zoo.gan import GAN
from zoo.run import load_run

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def sample(
    checkpoint: str,
    n: int = 64,
    seed: int = 0,
    out: str = "samples.png",
    labels: int | list[int] | None = None,
    truncation: float | None = None,
    interpolate: int = 0,
    columns: int = 0,
) -> Path:
    """Draw images and write them.

    Args:
        checkpoint: a run folder or a checkpoint file.
        n: how many images; with `interpolate`, how many pairs of latents.
        seed: of the latents.
        out: a picture file for one grid, or a folder (ending in /) for single PNG files.
        labels: one class for all, or a list that is repeated over the images; None for all classes in turn.
        truncation: redraw latent coordinates outside [-truncation, truncation].
        interpolate: draw so many steps along the great circle between two latents, one pair in each row.
        columns: of the grid; 0 chooses.

    Raises:
        UserError: for values that make no picture.
    """
    if n < 1:
        raise UserError(f"n: at least 1 image; got {n}")
    to_folder = out.endswith(("/", "\\")) or Path(out).is_dir()
    if not to_folder and not out.lower().endswith(PICTURE_SUFFIXES):
        raise UserError(f"out: a picture ending in {', '.join(PICTURE_SUFFIXES)}, or a folder ending in /; got {out!r}")
    model = load_run(checkpoint)
    if labels is not None and not model.num_classes:
        raise UserError("labels: this model is unconditional, it has no classes to choose from")
    try:
        images, across = _draw(model, n, seed, labels, truncation, interpolate)
    except ValueError as error:
        raise UserError(str(error)) from error
    if to_folder:
        digits = len(str(len(images) - 1))
        for i, image in enumerate(images):
            picture = torch.as_tensor(pictures.to_uint8(image[None])[0])
            pictures.save(_single(picture), Path(out) / f"{i:0{digits}d}.png")
        return Path(out)
    pictures.save(pictures.grid(images, columns or across), Path(out))
    return Path(out)


def _draw(
    model: GAN, n: int, seed: int, labels: int | list[int] | None, truncation: float | None, steps: int
) -> tuple[Tensor, int]:
    """Images and the number of columns that suits them."""
    if steps:
        if steps < 2:
            raise ValueError(f"interpolate: at least 2 steps, the two ends; got {steps}")
        return interpolation(model, n, steps, seed, labels, truncation), steps
    if not model.num_classes:
        return model.sample(n, seed=seed, truncation=truncation), max(1, round(n**0.5))
    chosen = list(range(model.num_classes)) if labels is None else [labels] if isinstance(labels, int) else labels
    classes = torch.tensor(chosen)[torch.arange(n) % len(chosen)]
    across = len(chosen) if 1 < len(chosen) <= 16 else max(1, round(n**0.5))
    return model.sample(n, seed=seed, labels=classes, truncation=truncation), across


@torch.no_grad()
def interpolation(
    model: GAN, pairs: int, steps: int, seed: int, labels: int | list[int] | None = None, truncation: float | None = None
) -> Tensor:
    """Images (pairs * steps, C, H, W) along the great circles between pairs of latents (White 2016, arXiv:1609.04468).

    Straight lines pass through latents shorter than any the generator was trained on; great circles do not.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        ends = model.sample_latent(2 * pairs)
        if truncation is not None:
            ends = model.truncate(ends, truncation)
        drawn = model.sample_labels(pairs)
    if labels is not None:
        chosen = [labels] if isinstance(labels, int) else labels
        drawn = torch.tensor(chosen, device=model.device)[torch.arange(pairs) % len(chosen)]
    classes = None if drawn is None else drawn.repeat_interleave(steps)
    path = slerp(ends[:pairs], ends[pairs:], torch.linspace(0, 1, steps, device=model.device))
    images = [model.generate(model.average, z, y).float().clamp(-1, 1)
              for z, y in zip(path.split(256), [None] * len(path) if classes is None else classes.split(256))]  # fmt: skip
    return torch.cat(images)


def slerp(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """Spherical interpolation: (N, Z), (N, Z) and (S,) give (N * S, Z), the S steps of each pair in a row."""
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine)[:, None, None]
    t = fractions[None, :, None]
    path = (torch.sin((1 - t) * angle) * start[:, None] + torch.sin(t * angle) * end[:, None]) / torch.sin(angle)
    return path.flatten(0, 1)


def _single(pixels: Tensor) -> Any:
    from PIL import Image

    array = pixels.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] != 3 else array)


def main(**words: Any) -> None:
    """Draw images from a trained model.

      checkpoint=RUN        a run folder or a checkpoint file
      n=64 seed=0           how many, and which
      out=samples.png       one grid, or a folder ending in / for single files
      labels=3              one class, or a list: labels=[0,1,2]
      truncation=0.7        redraw latent coordinates outside [-0.7, 0.7]
      interpolate=10        walk in 10 steps between two latents in each row; n is then the number of rows
    """
    print(sample(**checked_arguments(sample, words)))


if __name__ == "__main__":
    run_command("sample", main)
