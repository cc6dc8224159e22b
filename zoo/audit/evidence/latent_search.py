"""Latent recovery: search the latents whose images are nearest to given images.

After Bojanowski et al. 2018 (arXiv:1707.05776) and Metz et al. 2017 (arXiv:1611.02163, section 3.4). Here, latents stay
inside the ball that holds 99.9 % of the prior, since outside it a generator can often draw anything, and the search for
each image starts at the nearest of many draws from the prior.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.audit.evidence.subject import CHUNK, SubjectAdapter, images_at_once
from zoo.audit.findings.finding import NotApplicable
from zoo.sampling.protocol import RowNetworks

CANDIDATES = 16  # draws from the prior for each image and restart; images of the same class share all their draws
OF_EACH_CLASS = 4  # draws of each class, at least, where the class is not known
PRIOR_SHARE = 0.999  # share of the prior inside the ball
STEP = 0.1  # learning rate of Adam in standard deviations of the prior; decays to 0 along a cosine


class Reconstructions(NamedTuple):
    """Reconstructions of N images.

    Args:
        errors: reconstruction errors (N,): root mean squared difference of pixels in [-1, 1].
        norms: Euclidean norms (N,) of the latents.
        images: reconstructions (N, C, H, W) in [-1, 1].
        latents: the latents (N, Z).
        labels: classes (N,) of the reconstructions; None for a subject without classes.
        networks: the network that draws each; None for the only one.
    """

    errors: Tensor
    norms: Tensor
    images: Tensor
    latents: Tensor
    labels: Tensor | None
    networks: RowNetworks | None


def reconstruct(
    subject: SubjectAdapter, images: Tensor, labels: Tensor | None, prior: Tensor, steps: int, restarts: int, seed: int
) -> Reconstructions:
    """Search the latents inside the ball of the prior whose images are nearest to given images.

    Args:
        subject: a subject with `generate`.
        images: images (N, C, H, W) in [-1, 1] to reconstruct.
        labels: classes (N,) of the images; used if the subject has classes. None then finds the classes too: those of
            the nearest draws.
        prior: latents (P, Z) drawn from the prior, which set the learning rate and the radius of the ball.
        steps: number of steps of Adam.
        restarts: number of searches for each image, of which the best counts.
        seed: seed of the starting points.
    """
    n, device = len(images), subject.device
    classes = labels if subject.num_classes else None
    radius = float(prior.norm(dim=1).quantile(PRIOR_SHARE))
    scale = float(prior.std())
    latents, many, networks = _starts(subject, images, classes, restarts, seed)
    targets = images.repeat_interleave(restarts, 0)
    chunk = images_at_once(images[0].numel())
    errors, reached = [], []
    with subject.frozen():
        for first in range(0, n * restarts, chunk):
            rows = slice(first, first + chunk)
            y = None if many is None else many[rows].to(device)
            m = None if networks is None else networks[rows]
            error, latent = _descend(
                subject, latents[rows].to(device), targets[rows].to(device), y, m, steps, STEP * scale, radius
            )
            errors.append(error.cpu())
            reached.append(latent.cpu())
    error, best = torch.cat(errors).view(n, restarts).min(1)
    chosen = torch.arange(n) * restarts + best
    nearest = torch.cat(reached)[chosen]
    found = None if many is None else many[chosen]
    drawn_by = None if networks is None else networks[chosen]
    shown = subject.render(nearest, found, drawn_by)
    return Reconstructions(error.sqrt().double(), nearest.norm(dim=1), shown, nearest, found, drawn_by)


def _starts(
    subject: SubjectAdapter, images: Tensor, labels: Tensor | None, restarts: int, seed: int
) -> tuple[Tensor, Tensor | None, RowNetworks | None]:
    """Choose the draws from the prior that are nearest to each image, from a pool that images of a class share.

    Without labels, the pool has all classes in equal shares, and images of every class share it.

    Returns:
        Latents (N * restarts, Z), their classes or None, and the network that draws each, or None for the only one.
    """
    n = len(images)
    size = n * CANDIDATES * restarts
    if labels is None and subject.num_classes:  # every class is tried, however many there are
        size = max(size, OF_EACH_CLASS * subject.num_classes)
    latents = subject.sample_latent(size, seed).detach().float().cpu()
    networks = subject.choose_networks(size, seed)
    classes = None if labels is None else labels.repeat_interleave(size // n)
    if labels is None and subject.num_classes:
        classes = torch.arange(size) % subject.num_classes
    distances = torch.empty(size, n)
    for first in range(0, size, CHUNK):
        rows = slice(first, first + CHUNK)
        y = None if classes is None else classes[rows]
        m = None if networks is None else networks[rows]
        drawn = subject.render(latents[rows], y, m)
        if drawn.shape[1:] != images.shape[1:]:
            raise NotApplicable(
                f"generate returns images {tuple(drawn.shape[1:])} (C, H, W); the real images are "
                f"{tuple(images.shape[1:])}"
            )
        distances[rows] = torch.cdist(drawn.flatten(1), images.flatten(1))
    if classes is not None and labels is not None:
        distances[classes[:, None] != labels[None]] = torch.inf
    chosen = distances.topk(restarts, dim=0, largest=False).indices.T.flatten()
    return (
        latents[chosen],
        None if classes is None else classes[chosen],
        None if networks is None else networks[chosen],
    )


@torch.enable_grad()
def _descend(
    subject: SubjectAdapter,
    start: Tensor,
    targets: Tensor,
    labels: Tensor | None,
    networks: RowNetworks | None,
    steps: int,
    step: float,
    radius: float,
) -> tuple[Tensor, Tensor]:
    """Minimise the squared error of each row by gradient descent.

    Rows are independent: in eval mode no layer mixes them, and Adam treats each coordinate separately.

    Args:
        subject: a subject with `generate`.
        start: latents (B, Z) to start from.
        targets: images (B, C, H, W) to reconstruct.
        labels: classes (B,), or None.
        networks: the network that draws each row, from `SubjectAdapter.choose_networks`; None for the only one.
        steps: number of steps.
        step: learning rate.
        radius: radius of the ball that latents stay in.

    Returns:
        The smallest mean squared error (B,) of each row over all steps, and the latents (B, Z) that have it.
    """
    z = _clip_to_ball(start.clone(), radius).requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=step, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    least = torch.full((len(z),), torch.inf, device=z.device)
    best = z.detach().clone()
    for _ in range(steps):
        errors = (subject.generate(z, labels, networks).float() - targets).square().flatten(1).mean(1)
        now = errors.detach()
        better = now < least
        least, best = torch.where(better, now, least), torch.where(better[:, None], z.detach(), best)
        (z.grad,) = torch.autograd.grad(errors.sum(), z)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            _clip_to_ball(z, radius)
    return least, best


def _clip_to_ball(z: Tensor, radius: float) -> Tensor:
    """Scale latents (B, Z) outside a ball back to its surface, in place."""
    return z.mul_((radius / z.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1))
