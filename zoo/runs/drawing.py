"""Draw images from a trained model: the work of `python -m zoo.sample`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.data.array_rows import FAULTS
from zoo.errors import UserError, first_line
from zoo.gan import GAN
from zoo.io.files import with_home
from zoo.models.mix.mixgan import MixGAN
from zoo.runs.opening import load_model
from zoo.runs.sample_files import Samples, check_output, write
from zoo.sampling.by_seed import sample_by_seeds
from zoo.sampling.images import TruncationBy, class_number, interpolate, render

SPAN = re.compile(r"(\d+)-(\d+)")
MOST_SEEDS = 1_000_000
USUAL, OF_EACH_LEVEL = 64, 8  # images, if their number is not given


def sample(
    checkpoint: str,
    n: int | None = None,
    seed: int = 0,
    seeds: str | int | list[int | str] | None = None,
    latents: str = "",
    out: str = "samples.png",
    labels: int | str | list[int | str] | None = None,
    truncation: float | list[float] | None = None,
    truncation_by: TruncationBy = "redrawing",
    interpolate: int = 0,
    columns: int = 0,
    scale: int = 1,
    component: int | None = None,
    cls: str | list[str] | None = None,
) -> Path:
    """Draw images from a trained model and write them to one picture, to single files or to arrays.

    Args:
        checkpoint: run folder, checkpoint file, or release (its name, its folder or file, or hf:ORG/NAME).
        n: number of images; with `interpolate`, number of pairs of latents; with several truncations, number of images
            of each. None for 64, or 8 for each of several truncations.
        seed: seed of the latents.
        seeds: seeds of single images, such as 0-31 or 3,7,12, in place of `n` and `seed`: each image has its own, and
            is the same whatever else is drawn.
        latents: file of latents (N, Z) to draw, .npy or .npz with the array `z`, in place of `n` and `seed`. The arrays
            `labels` and `component` (N,) of an .npz file, as `zoo.project` writes them, are used where the options of
            these names are not given.
        out: picture file for one grid; a folder (ending in /) for single PNG files; .npz for arrays, arr_0 of images
            (N, H, W, C) and arr_1 of classes; .gif or .mp4 for an animation of `interpolate`.
        labels: one class for all images, or a list of classes that is repeated over the images, by number or by name;
            None for all classes in turn.
        truncation: bound of the latents: coordinates outside [-truncation, truncation] are drawn again; a list for a
            row of images for each bound, of the same seed; None for none.
        truncation_by: method of the truncation; `scaling` draws again outside [-2, 2] and multiplies by `truncation`.
        interpolate: number of images along the great circle between two latents, one pair in each row; 0 for
            independent samples.
        columns: columns of the grid; 0 for a number that suits the images.
        scale: whole factor by which pictures are enlarged, without smoothing.
        component: index of the generator of a mixture that draws all images; None to choose one by weight for each.
        cls: import path of your own class that a release was made of.

    Returns:
        The path of the picture, the folder or the arrays.

    Raises:
        UserError: for values from which no picture can be made.

    Examples:
        python -m zoo.sample checkpoint=dcgan_digits n=80 out=digits.png
        python -m zoo.sample checkpoint=runs/dcgan_digits/TIME labels=[0,1,2] truncation=0.7
        python -m zoo.sample checkpoint=runs/biggan_photos/TIME labels=[cat,dog]
        python -m zoo.sample checkpoint=dcgan_digits seeds=0-31 out=digits/ scale=8
        python -m zoo.sample checkpoint=dcgan_digits n=9 interpolate=20 out=walk.gif
        python -m zoo.sample checkpoint=biggan_digits truncation=[0.2,0.5,1,2] n=10
        python -m zoo.sample checkpoint=dcgan_digits n=50000 out=samples.npz
    """
    levels = _levels_of(truncation, latents)
    if n is not None and n < 1:
        raise UserError(f"n: at least 1 image; got {n}")
    if columns < 0:
        raise UserError(f"columns: at least 1, or 0 to let the picture choose; got {columns}")
    if scale < 1:
        raise UserError(f"scale: a whole factor of at least 1; got {scale}")
    if labels == []:
        raise UserError("labels: name at least one class, or leave labels out for all of them")
    if sum(map(bool, (seeds is not None, latents, interpolate, len(levels) != 1))) > 1:
        raise UserError(
            "seeds, latents, interpolate and a list of truncations each say what is drawn. Give one of them"
        )
    numbers = None if seeds is None else seeds_of(seeds)
    by_number = numbers is None and not latents
    is_picture = not out.endswith((".npz", ".npy"))
    place = with_home(out)
    to_folder = out.endswith(("/", "\\")) or place.is_dir()
    _refuse_unused(
        n=n is not None and not by_number and n,
        seed=seed and not by_number and seed,
        truncation_by=truncation_by != "redrawing" and levels == [None] and truncation_by,
        scale=scale != 1 and not is_picture and scale,
        columns=columns and (to_folder or not is_picture) and columns,
    )
    n = n if n is not None else OF_EACH_LEVEL if len(levels) > 1 else USUAL
    check_output(place, to_folder, interpolate)
    model = load_model(checkpoint, cls)
    options: dict[str, Any] = {"truncation": levels[0], "truncation_by": truncation_by}
    try:
        model = model if component is None else _member(model, component, interpolate)
        if numbers is not None:
            samples = _draw_seeds(model, numbers, labels, options)
        elif latents:
            samples = _draw_latents(model, read_latents(with_home(latents)), labels)
        elif len(levels) > 1:
            samples = _draw_levels(model, n, labels, levels, {"seed": seed, "truncation_by": truncation_by})
        else:
            samples = _draw(model, n, labels, interpolate, {"seed": seed, **options})
    except ValueError as error:
        raise UserError(str(error)) from error
    write(samples, place, to_folder, columns, scale)
    return place


def _refuse_unused(**unused: int | str | bool) -> None:
    """Refuse options that have no effect on what is drawn; those that have are falsy here.

    Raises:
        UserError: naming the first.
    """
    for name, value in unused.items():
        if value:
            raise UserError(f"{name}={value} has no effect on what is drawn or written here; leave it out")


@wraps(sample)
def main(**options: Any) -> None:
    """Run `sample` and print the path of its output."""
    print(sample(**options))


def _levels_of(truncation: float | list[float] | None, latents: str) -> list[float | None]:
    """Return the levels of truncation as a list.

    Args:
        truncation: a number, a list of them, or None for no truncation.
        latents: file of latents to draw; empty for random ones.

    Raises:
        UserError: for an empty list, or a truncation of given latents, which are drawn as they are.
    """
    if truncation == []:
        raise UserError("truncation: name at least one bound, or leave truncation out for none")
    if latents and truncation is not None:
        raise UserError(
            f"truncation={truncation}: the latents of {latents} are drawn as they are. Leave out truncation or latents"
        )
    return [*truncation] if isinstance(truncation, list) else [truncation]


def seeds_of(given: str | int | Sequence[int | str]) -> list[int]:
    """Return seeds from numbers and spans, such as "0-31", "3,7,12" or [0, "8-11"].

    Raises:
        UserError: for anything else.

    Example:
        >>> from zoo.runs.drawing import seeds_of
        >>> seeds_of("0-3,7")
        [0, 1, 2, 3, 7]
    """
    parts = str(given).split(",") if isinstance(given, str | int) else [str(part) for part in given]
    seeds: list[int] = []
    for part in (part.strip() for part in parts):
        span = SPAN.fullmatch(part)
        first, last = (int(span[1]), int(span[2])) if span else (int(part), int(part)) if part.isdecimal() else (1, 0)
        if last < first or last - first >= MOST_SEEDS:
            raise UserError(
                f"seeds: whole numbers and spans of up to {MOST_SEEDS:,} joined by commas, such as 0-31 or 3,7; got "
                f"{part!r}"
            )
        seeds.extend(range(first, last + 1))
    return seeds


class GivenLatents(NamedTuple):
    """Latents from a file.

    Args:
        z: latents (N, Z), float32.
        labels: class of each (N,); None if the file does not say it.
        component: generator of a mixture that draws each (N,); None if the file does not say it.
    """

    z: Tensor
    labels: Tensor | None = None
    component: Tensor | None = None


def read_latents(path: Path) -> GivenLatents:
    """Return the latents of a .npy file, or of the arrays `z`, `labels` and `component` of a .npz file.

    Raises:
        UserError: if there are none, a number is not finite, or the arrays do not have as many rows.
    """
    others: dict[str, Tensor] = {}
    try:
        loaded = np.load(path, allow_pickle=False)
        values = loaded if isinstance(loaded, np.ndarray) else loaded["z"]
        latents = torch.from_numpy(np.array(values, dtype=np.float32))
        if not isinstance(loaded, np.ndarray):
            names = [name for name in ("labels", "component") if name in loaded]
            others = {name: torch.from_numpy(np.array(loaded[name], dtype=np.int64)) for name in names}
    except (*FAULTS, KeyError, TypeError) as error:  # NumPy lets those of `zipfile` through
        raise UserError(
            f"latents: {path} is no .npy file, nor a .npz file with an array z, or it is damaged ({first_line(error)})"
        ) from error
    if latents.ndim != 2 or not len(latents) or not bool(latents.isfinite().all()):
        raise UserError(f"latents: a table (N, Z) of finite numbers; {path} has shape {tuple(latents.shape)}")
    for name, array in others.items():
        if array.shape != latents.shape[:1]:
            raise UserError(f"latents: {name} of {path} has shape {tuple(array.shape)}; z has {len(latents)} rows")
    return GivenLatents(latents, **others)


def _member(model: GAN, component: int, steps: int) -> GAN:
    """Return one generator of a mixture as a model.

    Raises:
        UserError: for a model that is no mixture, or with interpolation.
        ValueError: for a component that the mixture does not have.
    """
    if not isinstance(model, MixGAN) or steps:
        raise UserError(f"component: for samples of a MixGAN, without interpolate; got a {type(model).__name__}")
    return model.member(component)


def class_numbers(labels: Any, class_names: tuple[str, ...]) -> list[int]:
    """Return the numbers of classes that are given by number or by name.

    Raises:
        ValueError: for anything else, or a name that no class has.
    """
    wrong = [each for each in labels if type(each) not in (int, str)] if isinstance(labels, list | tuple) else [labels]
    if wrong:
        raise ValueError(f"labels: a class, by its number or its name, or a list of classes; got {wrong[0]!r}")
    return [class_number(label, class_names) if isinstance(label, str) else label for label in labels]


def _classes(model: GAN, n: int, labels: Any) -> tuple[Tensor | None, int]:
    """Return the class of each of n images, None for an unconditional model, and the columns that suit them."""
    given = [labels] if isinstance(labels, int | str) else labels
    chosen = None if given is None else class_numbers(given, model.class_names)
    if chosen is None and model.num_classes:
        chosen = list(range(model.num_classes))
    classes = None if chosen is None else torch.tensor(chosen)[torch.arange(n) % len(chosen)]
    return classes, len(chosen) if chosen is not None and 1 < len(chosen) <= 16 else max(1, round(n**0.5))


def _draw(model: GAN, n: int, labels: Any, steps: int, latents: dict[str, Any]) -> Samples:
    """Draw n samples, or n interpolations, of one seed."""
    classes, columns = _classes(model, n, labels)
    if steps:
        images = interpolate(model, n, steps, labels=classes, **latents)
        return Samples(images, None if classes is None else classes.repeat_interleave(steps), steps, steps)
    return Samples(model.sample(n, labels=classes, **latents), classes, columns)


def _draw_seeds(model: GAN, seeds: list[int], labels: Any, options: dict[str, Any]) -> Samples:
    """Draw an image for each seed."""
    classes, columns = _classes(model, len(seeds), labels)
    images = sample_by_seeds(model, seeds, labels=classes, **options)
    return Samples(images, classes, columns, seeds=tuple(seeds))


def _draw_levels(model: GAN, n: int, labels: Any, levels: Sequence[float | None], options: dict[str, Any]) -> Samples:
    """Draw a row of n images of one seed for each truncation."""
    classes, _ = _classes(model, n, labels)
    images = torch.cat([model.sample(n, labels=classes, truncation=level, **options) for level in levels])
    return Samples(images, None if classes is None else classes.repeat(len(levels)), n)


def _draw_latents(model: GAN, given: GivenLatents, labels: Any) -> Samples:
    """Draw the images of latents.

    Raises:
        ValueError: for latents of another length than the model's, or classes or generators that it does not have.
    """
    latents = given.z
    length = model.sample_latent(1).shape[1]
    if latents.shape[1] != length:
        raise ValueError(f"latents: {latents.shape[1]} numbers for each image; this model takes {length}")
    classes, columns = _classes(model, len(latents), labels)
    if labels is None and given.labels is not None:
        classes, columns = given.labels, max(1, round(len(latents) ** 0.5))
    if classes is not None and not model.num_classes:
        raise ValueError("labels were given, but this model is unconditional (num_classes=0)")
    if classes is not None and not bool(((classes >= 0) & (classes < model.num_classes)).all()):
        raise ValueError(f"labels: classes are numbered 0 to {model.num_classes - 1}; got {classes.tolist()[:8]}")
    networks = None
    if given.component is not None and isinstance(model, MixGAN):
        networks = model.choose_networks(1)
        if not bool(((given.component >= 0) & (given.component < len(networks.networks))).all()):
            raise ValueError(f"component: generators are numbered 0 to {len(networks.networks) - 1} in this mixture")
        networks = replace(networks, choice=given.component.to(model.device))
    return Samples(render(model, latents.to(model.device), classes, networks), classes, columns)
