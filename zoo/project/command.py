"""Find the latents whose images are nearest to given pictures: the work of `python -m zoo.project`."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.latent_search import Reconstructions, reconstruct
from zoo.audit.zoo_model import adapt
from zoo.data.decode import Rendering, square_of
from zoo.data.given_folder import picture_settings, rendering_of
from zoo.data.raster import UNDECODABLE, open_raster
from zoo.errors import UserError, first_line
from zoo.gan import GAN
from zoo.io.files import atomic_write, with_home
from zoo.rendering import pictures
from zoo.runs.drawing import class_numbers
from zoo.runs.opening import load_model, reading_of
from zoo.sampling.images import render, slerp
from zoo.training.hardware import select_device

PRIOR = 1_000  # latents drawn from the prior, which set the learning rate and the largest norm
OWN = 8  # images of the model itself that are searched as a control
MOST = 64  # pictures in one call


def project(
    checkpoint: str,
    image: str | list[str],
    labels: int | str | list[int | str] | None = None,
    steps: int = 300,
    restarts: int = 4,
    between: int = 8,
    seed: int = 0,
    out: str = "projection",
    device: str = "auto",
    cls: str | list[str] | None = None,
    data: dict[str, Any] | None = None,
) -> Path:
    """Find the latents whose images are nearest to given pictures.

    Each search starts at the nearest of many random draws and descends the squared difference of pixels, inside the
    ball that holds 99.9 % of the prior. It is how the audit reconstructs images. Images that the model itself drew are
    searched as well: what is left of their difference is due to the search, and everything beyond it to the generator,
    which cannot draw the picture. `zoo.sample latents=FOLDER/latents.npz` draws what was found.

    Written to the folder `out`: `projection.png` with each picture above what was found, `latents.npz` with the latents
    `z` (N, Z), `labels`, `component` of a mixture and `difference`, and with two pictures or more `walk.png` with the
    images between each and the next.

    Args:
        checkpoint: run folder, checkpoint file, or release (its name, its folder or file, or hf:ORG/NAME).
        image: picture file, or a list of up to 64, such as image=[a.png,b.png]; each is cut to a square and resized to
            the model's resolution.
        labels: class of all pictures, or a list with the class of each, by number or by name; None finds the classes
            too, for a conditional model.
        steps: steps of each search.
        restarts: searches for each picture, of which the best counts.
        between: images of each row of `walk.png`, both ends included; 0 for no walk.
        seed: seed of the random draws.
        out: the folder.
        device: device to compute on: auto, cpu or cuda.
        cls: import path of your own class that a release was made of.
        data: how the pictures are read, as data.background=black or data.value_range=[0,4095]; what is not given is
            that of the model's training images.

    Returns:
        The folder.

    Raises:
        UserError: for pictures that cannot be read, unknown classes, or a model of points in the plane.

    Examples:
        python -m zoo.project checkpoint=progan_emoji image=smile.png
        python -m zoo.project checkpoint=dcgan_digits image=[three.png,eight.png] labels=[3,8] out=digits
    """
    names = [image] if isinstance(image, str) else [str(name) for name in image]
    _check(names, steps, restarts, between)
    given = picture_settings(data)
    folder = with_home(out)
    model = load_model(checkpoint, cls).to(select_device(device))
    if model.resolution == 1:
        raise UserError(f"checkpoint: {checkpoint} draws points in the plane; only pictures are projected")
    rendering = rendering_of(model.resolution, model.channels, {**reading_of(checkpoint), **given})
    targets = torch.cat([_picture(with_home(name), rendering) for name in names])
    found, own = _search(model, targets, _classes(model, labels, len(names)), steps, restarts, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, model, targets, found, between)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error
    _print(names, model, found, own)
    return folder


@wraps(project)
def main(**options: Any) -> None:
    """Run `project` and print where the results are."""
    print(f"pictures and latents: {project(**options)}")


def _check(names: list[str], steps: int, restarts: int, between: int) -> None:
    """Check the numbers of pictures, steps and restarts.

    Raises:
        UserError: for those that are out of range.
    """
    if not 1 <= len(names) <= MOST:
        raise UserError(f"image: 1 to {MOST} picture files; got {len(names)}")
    for name, value in (("steps", steps), ("restarts", restarts)):
        if value < 1:
            raise UserError(f"{name}: at least 1; got {value}")
    if between < 0 or between == 1:
        raise UserError(f"between: at least 2 images with the two ends, or 0 for no walk; got {between}")


def _picture(path: Path, rendering: Rendering) -> Tensor:
    """Read a picture (1, C, H, W) in [-1, 1], cut to a square at the model's resolution.

    Raises:
        UserError: for a file that is missing or cannot be decoded.
    """
    if not path.is_file():
        raise UserError(f"image: there is no file {path}. Give a picture file, or several: image=[a.png,b.png]")
    try:
        square = square_of(open_raster(path), rendering)
    except UNDECODABLE as error:
        raise UserError(f"image: {path} cannot be decoded as a picture ({first_line(error)})") from error
    return torch.from_numpy(square.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def _classes(model: GAN, labels: Any, n: int) -> Tensor | None:
    """Return the classes (n,) that were given by number or by name; None to find them.

    Raises:
        UserError: for an unknown class, another number of them, or an unconditional model.
    """
    if labels is None:
        return None
    given = labels if isinstance(labels, list) else [labels] * n
    if not model.num_classes:
        raise UserError("labels: this model is unconditional (num_classes=0). Leave them out")
    if len(given) != n:
        raise UserError(f"labels: one class for all pictures, or one for each of {n}; got {len(given)}")
    try:
        numbers = class_numbers(given, model.class_names)
    except ValueError as error:
        raise UserError(str(error)) from error
    wrong = [number for number in numbers if not 0 <= number < model.num_classes]
    if wrong:
        raise UserError(f"labels: classes are numbered 0 to {model.num_classes - 1}; got {wrong[0]}")
    return torch.tensor(numbers)


def _search(
    model: GAN, targets: Tensor, labels: Tensor | None, steps: int, restarts: int, seed: int
) -> tuple[Reconstructions, Reconstructions]:
    """Search the latents of the pictures, and as a control those of images that the model drew."""
    subject = adapt(model)
    prior = subject.sample_latent(PRIOR, seed).detach().float()
    classes = torch.arange(OWN) % model.num_classes if model.num_classes else None
    drawn = subject.sample(OWN, seed + 1, classes)
    own = reconstruct(subject, drawn, None if labels is None else classes, prior, steps, restarts, seed)
    return reconstruct(subject, targets, labels, prior, steps, restarts, seed), own


def _write(folder: Path, model: GAN, targets: Tensor, found: Reconstructions, between: int) -> None:
    """Write the pictures and the latents."""
    n = len(targets)
    columns = min(n, 16)
    blank = torch.ones_like(targets[:1])
    starts = range(0, n, columns)
    cells = [_filled(side[i : i + columns], columns, blank) for i in starts for side in (targets, found.images)]
    pictures.save(pictures.grid(torch.cat(cells), columns), folder / "projection.png")
    arrays: dict[str, Any] = {"z": found.latents.numpy(), "difference": found.errors.float().numpy()}
    if found.labels is not None:
        arrays["labels"] = found.labels.numpy()
    if found.networks is not None and found.networks.choice is not None:
        arrays["component"] = found.networks.choice.cpu().numpy()
    with atomic_write(folder / "latents.npz") as scratch, open(scratch, "wb") as file:
        np.savez(file, **arrays)
    if n > 1 and between:
        pictures.save(pictures.grid(_walks(model, found, between), between), folder / "walk.png")


def _filled(cells: Tensor, columns: int, blank: Tensor) -> Tensor:
    """Fill a row of cells up with blank ones."""
    return torch.cat([cells, blank.expand(columns - len(cells), -1, -1, -1)])


def _walks(model: GAN, found: Reconstructions, between: int) -> Tensor:
    """Draw the images on the great circle from each latent to the next; the class is that of the nearer end."""
    ends, shares = found.latents.to(model.device), torch.linspace(0, 1, between, device=model.device)
    path = slerp(ends[:-1], ends[1:], shares)
    pair = torch.arange(len(ends) - 1).repeat_interleave(between)
    nearer = pair + (torch.linspace(0, 1, between) > 0.5).long().repeat(len(ends) - 1)
    labels = None if found.labels is None else found.labels[nearer].to(model.device)
    return render(model, path, labels, None if found.networks is None else found.networks[nearer])


def _print(names: list[str], model: GAN, found: Reconstructions, own: Reconstructions) -> None:
    """Print how far each reconstruction is from its picture, and what the search leaves of the model's own images."""
    print("root mean squared difference of pixels, black to white is 255:")
    for i, name in enumerate(names):
        label = "" if found.labels is None else f"  class {_class_name(model, int(found.labels[i]))}"
        print(f"  {name}: {127.5 * float(found.errors[i]):.1f}{label}")
    control = 127.5 * own.errors.quantile(0.5)
    print(f"  images that the model itself drew: {control:.1f} (median of {len(own.errors)}), due to the search alone")


def _class_name(model: GAN, number: int) -> str:
    """Return the number of a class with its name, if it has one."""
    return f"{number} {model.class_names[number]}" if number < len(model.class_names) else str(number)
