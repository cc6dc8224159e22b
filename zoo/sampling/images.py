"""Sampling from a trained model: images, truncated sampling, and interpolations between latents.

Nothing here changes the model or, where a seed is given, the global random state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.nn.functional import interpolate as interpolate_pixels

from zoo.errors import did_you_mean, require_at_least
from zoo.sampling.protocol import GenerativeModel, RowNetworks
from zoo.training.seeding import seeded

MAX_REDRAWS = 10_000  # truncation=0.01 needs little more than 2,000
Labels = int | str | Sequence[int | str] | Tensor
"""Classes by number, or by name where the model knows the names of its classes."""
TruncationBy = Literal["redrawing", "scaling"]


def sample(
    model: GenerativeModel,
    n: int,
    *,
    seed: int | None = None,
    labels: Labels | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    batch_size: int = 256,
) -> Tensor:
    """Draw images (n, C, H, W), float32 in [-1, 1], from the averaged generator; see `GAN.sample`."""
    return render(model, *_draw(model, n, seed, labels, truncation, truncation_by), batch_size=batch_size)


def in_batches(
    model: GenerativeModel,
    n: int,
    *,
    seed: int | None = None,
    labels: Labels | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    batch_size: int = 256,
) -> Iterator[Tensor]:
    """Yield the images of `sample` one batch at a time, so that memory does not grow with their number.

    All latents are drawn at once, so the images do not depend on `batch_size`.
    """
    yield from _rendered(model, *_draw(model, n, seed, labels, truncation, truncation_by), batch_size)


def _draw(
    model: GenerativeModel,
    n: int,
    seed: int | None,
    labels: Labels | None,
    truncation: float | None,
    truncation_by: TruncationBy,
) -> tuple[Tensor, Tensor | None, RowNetworks]:
    """Draw the latents and classes of n samples and choose their networks; given labels replace the drawn ones."""
    check_count("n", n)
    classes = None if labels is None else _classes(model, labels, n)
    with seeded(seed, model.device):
        latents = truncated(model.sample_latent, n, truncation, truncation_by)
        drawn_classes = model.sample_labels(n)
        networks = model.choose_networks(n)
    return latents, drawn_classes if classes is None else classes, networks


def interpolate(
    model: GenerativeModel,
    pairs: int,
    steps: int,
    *,
    seed: int | None = None,
    labels: Labels | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    batch_size: int = 256,
) -> Tensor:
    """Draw images (pairs * steps, C, H, W) along great circles between pairs of latents, one pair after the other.

    Args:
        model: a trained model.
        pairs: number of interpolations.
        steps: images of each interpolation, both ends included.
        seed: seed of the latents at the ends; None draws from torch's global random state.
        labels: one class for all interpolations, or one for each; None draws them as in training.
        truncation: truncation of the latents at the ends, see `truncated`.
        truncation_by: definition of the truncation, see `truncated`.
        batch_size: number of images computed at a time; it changes memory, not the images.

    Raises:
        ValueError: for fewer than two steps, labels that the model does not have, or an invalid truncation.
    """
    check_count("pairs", pairs)
    check_count("interpolate", steps)
    if steps < 2:
        raise ValueError(f"interpolate: at least 2 steps, the two ends; got {steps}")
    classes = None if labels is None else _classes(model, labels, pairs)
    with seeded(seed, model.device):
        ends = truncated(model.sample_latent, 2 * pairs, truncation, truncation_by)
        drawn_classes = model.sample_labels(pairs)
        networks = model.choose_networks(pairs)
    classes = drawn_classes if classes is None else classes
    path = slerp(ends[:pairs], ends[pairs:], torch.linspace(0, 1, steps, device=model.device))
    pair_of = torch.arange(pairs, device=model.device).repeat_interleave(steps)  # of each image
    return render(model, path, None if classes is None else classes[pair_of], networks[pair_of], batch_size)


def render(
    model: GenerativeModel,
    latents: Tensor,
    labels: Tensor | None,
    networks: RowNetworks | None = None,
    batch_size: int = 256,
) -> Tensor:
    """Compute the images (N, C, H, W) of given latents, float32 in [-1, 1].

    They have no graph, but are no inference tensors (`no_grad`, not `inference_mode`): users can differentiate by them.

    Args:
        model: a trained model.
        latents: latents (N, Z).
        labels: class indices (N,), or None for an unconditional model.
        networks: the network that draws each image; None chooses as `GAN.choose_networks` does.
        batch_size: number of images computed at a time.
    """
    networks = model.choose_networks(len(latents)) if networks is None else networks
    images = list(_rendered(model, latents, labels, networks, batch_size))
    return torch.cat(images) if images else latents.new_zeros(0, model.channels, model.resolution, model.resolution)


@torch.no_grad()
def _rendered(
    model: GenerativeModel, latents: Tensor, labels: Tensor | None, networks: RowNetworks, batch_size: int
) -> Iterator[Tensor]:
    """Yield the images of latents one batch at a time, at the model's full resolution."""
    require_at_least(1, batch_size=batch_size)
    for first in range(0, len(latents), batch_size):
        rows = slice(first, first + batch_size)
        images = networks[rows].generate(model, latents[rows], None if labels is None else labels[rows])
        yield displayed(images, model.resolution)


def displayed(images: Tensor, resolution: int) -> Tensor:
    """Return what a network generated as images: float32 in [-1, 1], at the full resolution also while it is growing.

    Args:
        images: output (B, C, H, W) of a generator.
        resolution: height and width of the result, in pixels.
    """
    images = images.float().clamp(-1, 1)
    if images.shape[-1] != resolution:
        images = interpolate_pixels(images, size=resolution, mode="nearest")
    return images


def truncated(
    draw: Callable[[int], Tensor], n: int, truncation: float | None, by: TruncationBy = "redrawing"
) -> Tensor:
    """Draw latents (n, Z) from a truncated distribution. Two definitions of truncation are in use:

    - `redrawing`, the paper's (Brock et al. 2019, section 3.1): coordinates outside [-truncation, truncation] are drawn
      again.
    - `scaling`, that of the TF-Hub modules: coordinates outside [-2, 2] are drawn again, then all are multiplied by
      the truncation.

    Args:
        draw: a function from n to latents (n, Z) that are not truncated.
        n: number of latents.
        truncation: bound or factor, positive; None draws without truncation.
        by: definition of the truncation.

    Raises:
        ValueError: when the truncation is not positive and finite, or too small, or for an unknown definition.

    Example:
        >>> import torch
        >>> from zoo.sampling import truncated
        >>> latents = truncated(lambda n: torch.randn(n, 128), n=100, truncation=0.5)
        >>> latents.shape, bool(latents.abs().max() <= 0.5)
        (torch.Size([100, 128]), True)
    """
    latents = draw(n)
    if by not in get_args(TruncationBy):
        raise ValueError(f"truncation_by is 'redrawing' or 'scaling'; got {by!r}")
    if truncation is None:
        return latents
    if isinstance(truncation, bool) or not isinstance(truncation, Real):
        raise ValueError(f"truncation is a positive number, or None for none; got {truncation!r}")
    if not 0 < truncation < math.inf:
        least = "finite, or None for none" if truncation == math.inf else "positive"
        raise ValueError(f"truncation must be {least}; got {truncation}")
    bound, factor = (truncation, 1.0) if by == "redrawing" else (2.0, truncation)
    for _ in range(MAX_REDRAWS):
        outside = latents.abs() > bound
        if not bool(outside.any()):
            return latents if factor == 1.0 else latents * factor
        latents = torch.where(outside, draw(n), latents)
    raise ValueError(f"truncation={truncation} leaves almost nothing of the latents' distribution; choose a larger one")


def check_count(name: str, count: object) -> None:
    """Check a number of images.

    Args:
        name: name of the argument, for the error.
        count: the number.

    Raises:
        ValueError: for anything but a whole number of at least 0.
    """
    if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
        raise ValueError(f"{name} is a whole number of at least 0; got {count!r}")


def _classes(model: GenerativeModel, labels: Labels, n: int) -> Tensor:
    """Return class indices (n,) on the model's device, from one class for all images or from one for each."""
    names = tuple(getattr(model, "class_names", ()))
    return checked_labels(numbered_labels(labels, names), n, model.num_classes).to(model.device)


def numbered_labels(labels: Labels, class_names: Sequence[str]) -> int | Sequence[int] | Tensor:
    """Return labels with the number of a class in place of each name; numbers stay as they are.

    Args:
        labels: one class or several.
        class_names: names of the classes in the order of their numbers; empty if they are not known.

    Raises:
        ValueError: for a name that no class has.

    Example:
        >>> from zoo.sampling.images import numbered_labels
        >>> numbered_labels(["dog", 0], ("cat", "dog"))
        [1, 0]
    """
    if isinstance(labels, Tensor | int):
        return labels
    if isinstance(labels, str):
        return class_number(labels, class_names)
    return [class_number(label, class_names) if isinstance(label, str) else label for label in labels]


def class_number(name: str, class_names: Sequence[str]) -> int:
    """Return the number of a class by its name.

    Args:
        name: name of the class.
        class_names: names of all classes in the order of their numbers; empty if they are not known.

    Raises:
        ValueError: if no class has this name.
    """
    if name in class_names:
        return list(class_names).index(name)
    if not class_names:
        raise ValueError(
            f"labels: no class is called {name!r}. The names of its classes are not known to this model; give numbers"
        )
    known = did_you_mean(name, class_names) or f" There are {len(class_names)} classes"
    raise ValueError(f"labels: no class is called {name!r}.{known}")


def checked_labels(labels: int | Sequence[int] | Tensor, n: int, num_classes: int) -> Tensor:
    """Return class indices (n,) from one class for all images or from one for each.

    Raises:
        ValueError: for an unconditional model, a wrong number of labels, or classes that the model does not have.
    """
    if not num_classes:
        raise ValueError("labels were given, but this model is unconditional (num_classes=0)")
    try:
        classes = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"labels are classes by number or name; got {labels!r}") from error
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ValueError(f"labels are whole numbers, the numbers of classes; got {labels!r}")
    classes = classes.long()
    if classes.ndim == 0:
        classes = classes.expand(n)
    if classes.shape != (n,):
        raise ValueError(f"labels must be one class, or one for each of {n} images; got shape {tuple(classes.shape)}")
    if n and not 0 <= int(classes.min()) <= int(classes.max()) < num_classes:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}; got {int(classes.min())} to {int(classes.max())}")
    return classes


def slerp(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """Interpolate spherically (White 2016, arXiv:1609.04468): (N, Z), (N, Z) and (S,) give (N * S, Z).

    With a the angle between the two latents and t the fraction:
    `(sin((1 - t) a) * start + sin(t a) * end) / sin(a)`.
    Straight lines pass through latents shorter than any the generator was trained on; great circles do not.

    Example:
        >>> import torch
        >>> from zoo.sampling import slerp
        >>> start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> path = slerp(start, end, torch.tensor([0.0, 0.5, 1.0]))
        >>> path.shape
        torch.Size([3, 2])
        >>> bool(torch.allclose(path.norm(dim=1), torch.ones(3)))  # all on the unit circle
        True
    """
    cosine = cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine)[:, None, None]
    t = fractions[None, :, None]
    path = (torch.sin((1 - t) * angle) * start[:, None] + torch.sin(t * angle) * end[:, None]) / torch.sin(angle)
    return path.flatten(0, 1)
