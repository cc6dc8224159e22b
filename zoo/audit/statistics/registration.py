"""Registered pixels: the real image that a query shows moved, mirrored, cropped or slightly turned.

A central window of the query is compared with windows of each real image. Candidates are found first, from coarse
windows on a grid of shifts and scales, by products of matrices. Each candidate is then registered: a similarity (shift,
scale, rotation) is fitted by Gauss-Newton steps, so that the windows agree best after their slow changes of brightness
are removed (Lucas and Kanade 1981, IJCAI; the correlation is that of Evangelidis and Psarakis 2008, IEEE PAMI 30).
Brightness and contrast do not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from zoo.audit.statistics.candidates import (
    WINDOW,
    Rows,
    best_windows,
    candidates,
    fit_components,
    unit,
    views_of,
)
from zoo.features.base_extractor import resized

SMALLEST = 16  # height and width in pixels below which images are too small to be registered
FINE = 64  # largest height and width in pixels at which images are registered
POINTS = 22  # largest number of points of a registered window in a row; smaller images have one for each pixel
BLUR = 1.2 / 64  # deviation of the blur before registration, as a share of the side
SLOW = 2.5 / 22  # deviation of what counts as a slow change of brightness, as a share of the side of the window
STEPS = 4  # Gauss-Newton steps
SCALES = (0.62, 1.1)  # scales that a registration may reach
PAIRS = 64  # pairs of images that are registered at once: their arrays stay in the cache of a processor


class Registered(NamedTuple):
    """The real images that each of N queries was registered to, nearest first.

    Args:
        distances: distances (N, K) between the windows, 0 to 2: the square root of 2 - 2 x their correlation.
        indices: indices (N, K) of the real images.
        motions: where the query shows the real image (N, K, 5): whether it is mirrored (0 or 1), then a, b, x and y.
            The point (u, v) of the query, mirrored if so, shows the point (a u - b v + x, b u + a v + y) of the real
            image; coordinates go from -1 to 1.
    """

    distances: Tensor
    indices: Tensor
    motions: Tensor


@torch.no_grad()
def register(
    queries: Rows,
    references: Rows,
    own: Tensor,
    seed: int,
    advance: Callable[[int], None] = lambda done: None,
) -> Registered:
    """Find the real images that queries may be copies of, and register each of them.

    Args:
        queries: the images to be explained, N of them.
        references: the real images, at least as many as candidates are wanted.
        own: index (N,) of each query among the real images, which is no candidate for it; -1 for none.
        seed: seed of the choice of real images that the coarse windows' components are fitted to.
        advance: function that is called with the number of real images that were searched since the last call.

    Returns:
        `candidates.CANDIDATES` registered real images for each query, or all if there are fewer.
    """
    describe = fit_components(references, seed)
    views = views_of(queries, describe)
    pairs = candidates(views, references, describe, own, advance)
    starts = best_windows(views, pairs, references, describe)
    return _registered(queries, references, pairs, starts)


def _registered(queries: Rows, references: Rows, pairs: Tensor, starts: Tensor) -> Registered:
    """Register all candidates of all queries, and order them by distance."""
    flat, count = pairs.flatten(), pairs.shape[1]
    distances, motions = torch.empty(len(flat)), torch.empty(len(flat), 5)
    for part in torch.split(torch.arange(len(flat)), PAIRS):
        distinct, inverse = torch.unique(part // count, return_inverse=True)
        wanted, position = torch.unique(flat[part], return_inverse=True)
        here, there = _fine(queries.rows(distinct))[inverse], _fine(references.rows(wanted))[position]
        distances[part], motions[part] = _fit(here, there, starts.view(-1, 5)[part])
    ordered = distances.view(-1, count).sort(dim=1, stable=True)
    chosen = ordered.indices
    return Registered(
        ordered.values.double(),
        pairs.gather(1, chosen),
        motions.view(-1, count, 5).gather(1, chosen[:, :, None].expand(-1, -1, 5)),
    )


def _fine(images: Tensor) -> Tensor:
    """Return images (N, C, S, S) in [-1, 1], slightly blurred, of images (N, C, H, W), uint8."""
    size = min(FINE, *images.shape[-2:])
    smooth = _smoothing(size, BLUR * size)
    return smooth @ resized(images.float() / 127.5 - 1, size) @ smooth.T


def _smoothing(size: int, deviation: float) -> Tensor:
    """Return the matrix (size, size) that blurs in one direction; weights at the border are scaled to a sum of 1."""
    distances = torch.arange(size)[:, None] - torch.arange(size)
    weights = torch.exp(-distances.square() / (2 * deviation**2))
    return weights / weights.sum(1, keepdim=True)


def _details(windows: Tensor) -> Tensor:
    """Return windows (..., n, n) without their slow changes of brightness."""
    slow = _smoothing(windows.shape[-1], SLOW * windows.shape[-1])
    return windows - slow @ windows @ slow.T


def _with_slopes(images: Tensor) -> Tensor:
    """Return images (N, C, S, S) with their derivatives in x and in y as further channels, (N, 3C, S, S)."""
    channels, width = images.shape[1], images.shape[-1] / 4  # two pixels are 4 / S of the range from -1 to 1
    found = images.new_zeros(len(images), 3 * channels, *images.shape[2:])
    found[:, :channels] = images
    found[:, channels : 2 * channels, :, 1:-1] = (images[..., 2:] - images[..., :-2]) * width
    found[:, 2 * channels :, 1:-1] = (images[..., 2:, :] - images[..., :-2, :]) * width
    return found


def _fit(queries: Tensor, references: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Register pairs of images (P, C, S, S) from a motion (P, 5) each; return distances (P,) and motions (P, 5)."""
    count = min(POINTS, round(WINDOW * queries.shape[-1]))
    line = (torch.arange(count) - (count - 1) / 2) * 2 * WINDOW / count
    v, u = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([u, v], -1).expand(len(queries), -1, -1, -1)
    seen = torch.where(starts[:, 0, None, None, None] > 0, queries.flip(3), queries)
    target = unit(_details(grid_sample(seen, grid, padding_mode="border", align_corners=False)).flatten(1))
    channels, sampled = references.shape[1], _with_slopes(references)
    motion, best = starts[:, 1:], torch.full((len(queries),), -1.0)
    best_motion = motion
    for step in range(STEPS + 1):
        a, b, x, y = (value[:, None, None] for value in motion.unbind(1))
        points = torch.stack([a * u - b * v + x, b * u + a * v + y], -1)
        source = sampled if step < STEPS else references  # no further step needs the slopes
        values = grid_sample(source, points, padding_mode="border", align_corners=False)
        window = _details(values[:, :channels]).flatten(1)
        length = window.norm(dim=1, keepdim=True).clamp(min=1e-3)
        window = window / length
        correlation = (window * target).sum(1)
        scale = motion[:, :2].norm(dim=1)
        allowed = (scale > SCALES[0]) & (scale < SCALES[1]) & (points.abs().amax((1, 2, 3)) < 1)
        better = allowed & (correlation > best)
        best, best_motion = torch.where(better, correlation, best), torch.where(better[:, None], motion, best_motion)
        if step < STEPS:
            across, down = values[:, channels : 2 * channels], values[:, 2 * channels :]
            slopes = torch.stack([across * u + down * v, down * u - across * v, across, down], 1)
            motion = motion + _gauss_newton(_details(slopes).flatten(2) / length[:, None], window, target, correlation)
    distances = (2 - 2 * best.clamp(-1, 1)).clamp(min=0).sqrt()
    return distances, torch.cat([starts[:, :1], best_motion], 1)


def _gauss_newton(slopes: Tensor, window: Tensor, target: Tensor, correlation: Tensor) -> Tensor:
    """Return the step (P, 4) of a, b, x and y that brings windows (P, D) of length 1 nearest to their targets (P, D).

    Args:
        slopes: derivatives (P, 4, D) of the windows.
        window: windows (P, D) of length 1.
        target: targets (P, D) of length 1.
        correlation: inner products (P,) of both.
    """
    slopes = slopes - (slopes * window[:, None]).sum(2, keepdim=True) * window[:, None]  # their length is fixed
    left = slopes @ slopes.transpose(1, 2)
    right = (slopes * (target - correlation[:, None] * window)[:, None]).sum(2)
    damping = torch.diag_embed(1e-3 * left.diagonal(dim1=1, dim2=2) + 1e-9)
    step = torch.linalg.solve(left + damping, right / correlation.clamp(min=0.1)[:, None]).nan_to_num(0.0)
    largest = torch.tensor([0.08, 0.08, 0.16, 0.16])
    return torch.maximum(torch.minimum(step, largest), -largest)
