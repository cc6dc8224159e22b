"""Candidates for registration: the real images with a window that is like the middle of a query.

Windows are cut from each real image on a grid of shifts and scales, and compared with the middle of the query as it is,
mirrored and slightly turned. They are so coarse that the steps of the grid hardly matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from zoo.features.base_extractor import resized

WINDOW = 22 / 32  # side of the window, as a share of the side of the image: shifts of up to 16 % keep it inside
COARSE = 32  # height and width in pixels from which the windows of the candidates are cut
CELLS = 11  # cells of a coarse window in a row
CENTRES = {1.0: (-4, -2, 0, 2, 4), 0.9: (-1, 1), 0.8: (-2, 0, 2), 0.7: (-4, -2, 0, 2, 4)}
"""Scales of the windows cut from real images, and their centres in pixels of `COARSE` in both directions."""
ANGLES = (0.0, -8.0, 8.0)  # degrees by which queries are turned
TURNED = (1.0, 0.9)  # scales that are tried for turned queries
COMPONENTS = 64  # principal components of coarse windows
FITTED_TO = 3_000  # real images that the components are fitted to
CANDIDATES = 6  # real images that are registered to each query
TILE, QUERIES, PAIRS = 1_024, 1_024, 256  # real images, queries and pairs that are compared at once
BATCH = 16  # images in which rows go through a convolution, see `products`


class Rows(Protocol):
    """Images that are read by their indices."""

    def __len__(self) -> int: ...

    def rows(self, chosen: Tensor) -> Tensor:
        """Return images (n, C, H, W), uint8."""
        ...


@dataclass(frozen=True)
class Joined:
    """Several sets of images, one after another.

    Args:
        parts: the sets.
    """

    parts: tuple[Rows, ...]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def rows(self, chosen: Tensor) -> Tensor:
        """Return images (n, C, H, W), uint8, by their indices in the joined sets."""
        found: Tensor | None = None
        first = 0
        for part in self.parts:
            mine = (chosen >= first) & (chosen < first + len(part))
            if bool(mine.any()):
                images = part.rows(chosen[mine] - first)
                found = images.new_empty(len(chosen), *images.shape[1:]) if found is None else found
                found[mine] = images
            first += len(part)
        assert found is not None
        return found


Describe = Callable[[Tensor], Tensor]


def _placements() -> list[tuple[float, float, float]]:
    """Return scale and centre (x, y), in pixels of `COARSE`, of every coarse window of a real image."""
    return [(scale, x, y) for scale, centres in CENTRES.items() for y in centres for x in centres]


def _variants() -> list[tuple[bool, float]]:
    """Return whether a query is mirrored, and the degrees it is turned by, for every view of a query."""
    return [(mirrored, angle) for mirrored in (False, True) for angle in ANGLES]


def _coarse(images: Tensor) -> Tensor:
    """Return images (N, C, COARSE, COARSE) in [-1, 1] of images (N, C, H, W), uint8."""
    return resized(images.float() / 127.5 - 1, COARSE)


def _averages(scale: float, centre: float) -> Tensor:
    """Return the matrix (CELLS, COARSE) that averages pixels in a row over the cells of a window."""
    width = WINDOW * COARSE / CELLS * scale
    edges = COARSE / 2 + centre + width * (torch.arange(CELLS + 1) - CELLS / 2)
    pixels = torch.arange(COARSE)
    first, last = torch.maximum(edges[:-1, None], pixels[None]), torch.minimum(edges[1:, None], pixels[None] + 1.0)
    return (last - first).clamp(min=0) / width


def _cut(images: Tensor, placement: tuple[float, float, float]) -> Tensor:
    """Return the coarse window (N, C, CELLS, CELLS) of images (N, C, COARSE, COARSE)."""
    scale, x, y = placement
    return _averages(scale, y) @ images @ _averages(scale, x).T


def unit(values: Tensor) -> Tensor:
    """Return rows (N, D) of length 1; rows of zeros stay."""
    lengths: Tensor = values.norm(dim=1, keepdim=True)
    return values / lengths.clamp(min=1e-6)


def _centred(windows: Tensor) -> Tensor:
    """Return windows (N, C, n, n) as rows (N, D) of length 1, without the mean of each channel."""
    return unit((windows - windows.mean((-1, -2), keepdim=True)).flatten(1))


def fit_components(references: Rows, seed: int) -> Describe:
    """Return a function from windows to descriptors (N, COMPONENTS) of length 1.

    They are principal components, each divided by the square root of its standard deviation: what all images share
    counts less.
    """
    order = torch.randperm(len(references), generator=torch.Generator().manual_seed(seed))[:FITTED_TO]
    rows = torch.cat([_centred(_cut(_coarse(references.rows(part)), (1.0, 0, 0))) for part in torch.split(order, TILE)])
    mean = rows.mean(0)
    variances, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    kept = slice(-COMPONENTS, None)
    basis = vectors[:, kept] * variances[kept].clamp(min=1e-9) ** -0.25
    offset, channels = mean @ basis, len(mean) // CELLS**2
    centred = basis - basis.view(channels, CELLS**2, -1).mean(1).repeat_interleave(CELLS**2, 0)

    def describe(windows: Tensor) -> Tensor:
        flat = windows.flatten(2)  # the same as (_centred(windows) - mean) @ basis, in one product
        length = (flat.square().sum((1, 2)) - flat.sum(2).square().sum(1) / CELLS**2).clamp(min=1e-12).sqrt()
        described: Tensor = unit(flat.flatten(1) @ centred / length[:, None] - offset)
        return described

    return describe


def views_of(queries: Rows, describe: Describe) -> Tensor:
    """Describe every query as it is, mirrored and turned: descriptors (variants, N, D)."""
    parts = []
    for chosen in torch.split(torch.arange(len(queries)), TILE):
        images = _coarse(queries.rows(chosen))
        variants = []
        for mirrored, angle in _variants():
            view = _turned(images.flip(3) if mirrored else images, angle)
            variants.append(describe(_cut(view, (1.0, 0, 0))))
        parts.append(torch.stack(variants))
    return torch.cat(parts, 1)


def _turned(images: Tensor, degrees: float) -> Tensor:
    """Return images turned about their centre, with border pixels repeated."""
    if not degrees:
        return images
    angle = torch.deg2rad(torch.tensor(degrees))
    rows = torch.tensor([[angle.cos(), -angle.sin(), 0.0], [angle.sin(), angle.cos(), 0.0]])
    grid = affine_grid(rows.expand(len(images), -1, -1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


def _described_tiles(references: Rows, describe: Describe, chosen: Tensor) -> Iterator[Tensor]:
    """Describe all windows of the chosen real images, in order, tile by tile: descriptors (windows, T, D)."""
    for tile in torch.split(chosen, TILE):
        images = _coarse(references.rows(tile))
        windows = []
        for scale, centres in CENTRES.items():  # in the order of _placements
            for y in centres:
                band = _averages(scale, y) @ images
                windows += [describe(band @ _averages(scale, x).T) for x in centres]
        yield torch.stack(windows)


def _tried() -> list[tuple[int, int]]:
    """Return the pairs of a view of the query and a window of the real image that are compared, as indices."""
    return [
        (variant, window)
        for variant, (_, angle) in enumerate(_variants())
        for window, (scale, _, _) in enumerate(_placements())
        if not angle or scale in TURNED
    ]


def products(left: Tensor, right: Tensor) -> Tensor:
    """Return the inner products left @ right.T (N, M) of rows (N, D) and (M, D).

    They are computed as a convolution of one pixel. On one core of a processor of AMD with AVX-512, that is twice as
    fast as torch's own product of matrices, by a library that does not use AVX-512 there. torch leaves convolutions of
    one pixel to the faster library only for batches of `BATCH` or more.
    """
    n, width = left.shape
    batch = pad(left, (0, 0, 0, -n % BATCH)) if n % BATCH else left
    images = batch.view(BATCH, -1, 1, width).permute(0, 3, 1, 2)  # (BATCH, D, n / BATCH, 1), channels last
    found: Tensor = conv2d(images, right[:, :, None, None])
    return found.permute(0, 2, 3, 1).reshape(len(batch), len(right))[:n]


def candidates(
    views: Tensor, references: Rows, describe: Describe, own: Tensor, advance: Callable[[int], None]
) -> Tensor:
    """Return the indices (N, K) of the real images with the most similar window, for the best of all views."""
    n = views.shape[1]
    count = min(CANDIDATES, len(references) - int((own >= 0).any()))
    best = torch.full((n, count), -torch.inf)
    indices = torch.zeros(n, count, dtype=torch.long)
    first = 0
    for windows in _described_tiles(references, describe, torch.arange(len(references))):
        for rows in (slice(start, min(start + QUERIES, n)) for start in range(0, n, QUERIES)):
            similar = torch.full((rows.stop - rows.start, windows.shape[1]), -2.0)
            for variant, window in _tried():
                torch.maximum(similar, products(views[variant, rows], windows[window]), out=similar)
            self_match = own[rows] - first
            mine = ((self_match >= 0) & (self_match < windows.shape[1])).nonzero()[:, 0]
            similar[mine, self_match[mine]] = -torch.inf
            top = similar.topk(min(count, similar.shape[1]), dim=1)
            joined = torch.cat([best[rows], top.values], 1).topk(count, dim=1)
            indices[rows] = torch.cat([indices[rows], top.indices + first], 1).gather(1, joined.indices)
            best[rows] = joined.values
        first += windows.shape[1]
        advance(windows.shape[1])
    return indices


def best_windows(views: Tensor, pairs: Tensor, references: Rows, describe: Describe) -> Tensor:
    """Return the motion (N, K, 5) that the most similar view and window of each candidate stand for."""
    tried = torch.tensor(_tried())
    placements, variants = _placements(), _variants()
    motions = torch.stack([_motion(variants[v], placements[w]) for v, w in tried.tolist()])
    queries = torch.arange(len(pairs)).repeat_interleave(pairs.shape[1])
    distinct, places = torch.unique(pairs.flatten(), return_inverse=True)
    starts, first = torch.zeros(len(places), 5), 0
    for windows in _described_tiles(references, describe, distinct):
        mine = ((places >= first) & (places < first + windows.shape[1])).nonzero()[:, 0]
        for part in torch.split(mine, PAIRS):
            here, there = views[:, queries[part]], windows[:, places[part] - first]
            similar = torch.einsum("vpd,wpd->vwp", here, there)[tried[:, 0], tried[:, 1]]
            starts[part] = motions[similar.argmax(0)]
        first += windows.shape[1]
    return starts.view(*pairs.shape, 5)


def _motion(variant: tuple[bool, float], placement: tuple[float, float, float]) -> Tensor:
    """Return the motion (5,) of a view of the query that shows a window of the real image."""
    (mirrored, degrees), (scale, x, y) = variant, placement
    angle = -torch.deg2rad(torch.tensor(degrees))  # the turned view shows the window upright
    middle = torch.tensor([float(x), float(y)]) * 2 / COARSE
    turned = torch.stack([scale * angle.cos(), scale * angle.sin()])
    return torch.cat([torch.tensor([float(mirrored)]), turned, middle])
