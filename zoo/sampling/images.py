"""Images from a trained model: samples, truncated samples, and walks between latents.

Nothing here changes the model or, where a seed is given, the global random state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch.nn.functional import interpolate as interpolate_pixels

from zoo.sampling.protocol import GenerativeModel
from zoo.training.seeding import seeded

REDRAWS = 10_000  # until a truncation counts as too small; even 0.01 needs few more than 2,000
Labels = int | Sequence[int] | Tensor
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
    members: Tensor | None = None,
) -> Tensor:
    """Images (n, C, H, W), float32 in [-1, 1], from the averaged generator; see `GAN.sample`.

    `members` (n,) says which member of a mixture draws each image; None leaves it to the model.
    """
    latents, classes, members = _draws(model, n, seed, labels, truncation, truncation_by, members)
    return render(model, latents, classes, batch_size, members)


def in_batches(
    model: GenerativeModel,
    n: int,
    *,
    seed: int | None = None,
    labels: Labels | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    batch_size: int = 256,
    members: Tensor | None = None,
) -> Iterator[Tensor]:
    """The images of `sample`, a batch at a time, so that any number of them takes little memory.

    All latents are drawn at once, so the images do not depend on `batch_size`.
    """
    latents, classes, members = _draws(model, n, seed, labels, truncation, truncation_by, members)
    yield from _rendered(model, latents, classes, batch_size, members)


def _draws(
    model: GenerativeModel,
    n: int,
    seed: int | None,
    labels: Labels | None,
    truncation: float | None,
    truncation_by: TruncationBy,
    members: Tensor | None,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Latents, classes and members of a mixture that images are made of; what is not given is drawn."""
    classes = None if labels is None else checked_labels(labels, n, model.num_classes).to(model.device)
    with seeded(seed, model.device):
        latents = truncated(model.sample_latent, n, truncation, truncation_by)
        drawn = model.sample_labels(n)
        members = model.sample_members(n) if members is None else members
    return latents, drawn if classes is None else classes, members


def interpolate(
    model: GenerativeModel,
    pairs: int,
    steps: int,
    *,
    seed: int | None = None,
    labels: Labels | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
) -> Tensor:
    """Images (pairs * steps, C, H, W) on the way from one latent to another, the steps of each pair in a row.

    Args:
        model: what draws.
        pairs: how many walks.
        steps: images in each, both ends included.
        seed: of the ends.
        labels: the class of each walk; None draws them as in training.
        truncation: of the ends.
        truncation_by: how, see `truncated`.

    Raises:
        ValueError: for fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"interpolate: at least 2 steps, the two ends; got {steps}")
    classes = None if labels is None else checked_labels(labels, pairs, model.num_classes).to(model.device)
    with seeded(seed, model.device):
        ends = truncated(model.sample_latent, 2 * pairs, truncation, truncation_by)
        drawn = model.sample_labels(pairs)
        members = model.sample_members(pairs)  # one for each walk
    classes = drawn if classes is None else classes
    path = slerp(ends[:pairs], ends[pairs:], torch.linspace(0, 1, steps, device=model.device))
    labels, members = (None if each is None else each.repeat_interleave(steps) for each in (classes, members))
    return render(model, path, labels, members=members)


def render(
    model: GenerativeModel, latents: Tensor, labels: Tensor | None, batch_size: int = 256, members: Tensor | None = None
) -> Tensor:
    """Images of given latents (N, Z), `batch_size` at a time. `no_grad`, not `inference_mode`: users differentiate."""
    images = list(_rendered(model, latents, labels, batch_size, members))
    return torch.cat(images) if images else latents.new_zeros(0, model.channels, model.resolution, model.resolution)


@torch.no_grad()
def _rendered(
    model: GenerativeModel, latents: Tensor, labels: Tensor | None, batch_size: int, members: Tensor | None
) -> Iterator[Tensor]:
    for first in range(0, len(latents), batch_size):
        y = None if labels is None else labels[first : first + batch_size]
        network = model.average
        if members is not None:
            network = cast("Any", network).drawn(members[first : first + batch_size])
        drawn = model.generate(network, latents[first : first + batch_size], y).float().clamp(-1, 1)
        if drawn.shape[-1] != model.resolution:  # a network that is still growing
            drawn = interpolate_pixels(drawn, size=model.resolution, mode="nearest")
        yield drawn


def truncated(
    draw: Callable[[int], Tensor], n: int, truncation: float | None, by: TruncationBy = "redrawing"
) -> Tensor:
    """Latents (n, Z) drawn closer to the middle. Two definitions go by the same name:

    - `redrawing`, the paper's (Brock et al. 2019, section 3.1): coordinates outside [-truncation, truncation] are drawn
      again.
    - `scaling`, that of the TF-Hub modules: coordinates outside [-2, 2] are drawn again, then all are multiplied by
      the truncation.

    Raises:
        ValueError: when the truncation is not positive, or for an unknown definition.
    """
    latents = draw(n)
    if by not in get_args(TruncationBy):
        raise ValueError(f"truncation_by is 'redrawing' or 'scaling'; got {by!r}")
    if truncation is None:
        return latents
    if not truncation > 0:
        raise ValueError(f"truncation must be positive; got {truncation}")
    bound, factor = (truncation, 1.0) if by == "redrawing" else (2.0, truncation)
    for _ in range(REDRAWS):
        outside = latents.abs() > bound
        if not bool(outside.any()):
            return latents if factor == 1.0 else latents * factor
        latents = torch.where(outside, draw(n), latents)
    raise ValueError(f"truncation={truncation} leaves almost nothing of the latents' distribution; choose a larger one")


def checked_labels(labels: Labels, n: int, num_classes: int) -> Tensor:
    """Class indices (n,) from one class for all or from one for each image.

    Raises:
        ValueError: for an unconditional model, a wrong number of labels, or classes that the model does not have.
    """
    if not num_classes:
        raise ValueError("labels were given, but this model is unconditional (num_classes=0)")
    classes = torch.as_tensor(labels).long()
    if classes.ndim == 0:
        classes = classes.expand(n)
    if classes.shape != (n,):
        raise ValueError(f"labels must be one class, or one for each of {n} images; got shape {tuple(classes.shape)}")
    if n and not 0 <= int(classes.min()) <= int(classes.max()) < num_classes:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}; got {int(classes.min())} to {int(classes.max())}")
    return classes


def slerp(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """Spherical interpolation (White 2016, arXiv:1609.04468): (N, Z), (N, Z) and (S,) give (N * S, Z).

    Straight lines pass through latents shorter than any the generator was trained on; great circles do not.
    """
    cosine = cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine)[:, None, None]
    t = fractions[None, :, None]
    path = (torch.sin((1 - t) * angle) * start[:, None] + torch.sin(t * angle) * end[:, None]) / torch.sin(angle)
    return path.flatten(0, 1)
