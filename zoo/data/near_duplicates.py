"""Near-duplicates in a set of images: copies that were stored, sized, brightened or recoloured anew, and small shifts.

Two images are near-duplicates if their brightness agrees, as the correlation of their pixels at 32 x 32: that of the
whole image, and that of its detail (the image less its coarse parts, since two skies agree without being copies). So a
picture in other colours is one as well, and another crop often is not. Checked by eye: of 272 pairs among 15,000 drawn
faces 30 were looked at and all were the same picture; of 63 pairs among 12,000 images of CIFAR-10 some 8 of 30 were
only alike (ships on a horizon). Copies at JPEG quality 40, at two thirds of the size, or 30 % brighter are found in 93
to 100 % of cases, copies cut by 5 % on each side in 0 to 67 %.

For each image its nearest neighbours by a coarse picture are looked at, so the time grows with the square of the number
of images, but the memory does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, normalize

from zoo.io.progress import step

MOST = 30_000
"""Images that are compared at most, in a minute or two; of more, so many are drawn at random."""
NEAREST = 10
"""Nearest neighbours of an image that are looked at."""
COARSE, FINE, CELLS = 16, 32, 4
"""Sides in pixels of the pictures by which neighbours are found and judged, and of the coarse parts."""
ALIKE, ALIKE_IN_DETAIL = 0.9, 0.6
"""Smallest correlations of near-duplicates: of whole images, and of their detail."""
BRIGHTNESS = 0.299, 0.587, 0.114
ROWS = 1024
"""Images that are read, or rows of correlations that are held, at once."""


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of near-duplicates.

    Args:
        first: indices (P,) of the one image of each pair.
        second: indices (P,) of the other, larger than those of the first.
        likeness: correlations (P,) of the pairs.
        compared: number of images that were compared.
        images: number of all images.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    likeness: NDArray[np.float32]
    compared: int
    images: int

    def __len__(self) -> int:
        return len(self.first)

    def clusters(self) -> NDArray[np.int64]:
        """Return a number (N,) for each image, the same for images that a chain of near-duplicates joins."""
        number = np.arange(self.images)

        def root(i: int) -> int:
            while number[i] != i:
                number[i] = number[number[i]]
                i = int(number[i])
            return i

        for i, j in zip(self.first.tolist(), self.second.tolist()):
            a, b = sorted((root(i), root(j)))
            number[b] = a
        return np.fromiter((root(i) for i in range(self.images)), np.int64, self.images)

    def across(self, held_out: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the held-out images with a near-duplicate among the training images.

        Args:
            held_out: indices of the held-out images.
        """
        is_held_out = np.zeros(self.images, bool)
        is_held_out[held_out] = True
        parted = is_held_out[self.first] != is_held_out[self.second]
        ends = np.concatenate([self.first[parted], self.second[parted]])
        return np.unique(ends[is_held_out[ends]])


def near_duplicates(images: Any, most: int = MOST, seed: int = 0) -> NearDuplicates:
    """Find the near-duplicates among images.

    Args:
        images: images (N, H, W, C) of uint8, an array or rows that are read when they are asked for.
        most: images that are compared at most.
        seed: seed of the choice among more images.
    """
    count = len(images)
    chosen = np.arange(count)
    if count > most:
        chosen = np.sort(np.random.default_rng(seed).permutation(count)[:most])
    coarse, fine = _pictures(images, chosen)
    i, j = _neighbours(coarse)
    whole, detail = _likeness(fine, i, j)
    found = (whole >= ALIKE) & (detail >= ALIKE_IN_DETAIL)
    return NearDuplicates(chosen[i[found].numpy()], chosen[j[found].numpy()], whole[found].numpy(), len(chosen), count)


def _pictures(images: Any, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Return the brightness of images as unit vectors (N, COARSE^2), and as bytes (N, FINE, FINE)."""
    coarse, fine = [], []
    with step(f"looking for near-duplicates: reading {len(chosen):,} images", len(chosen)) as advance:
        for first in range(0, len(chosen), ROWS):
            part = torch.from_numpy(np.ascontiguousarray(images[chosen[first : first + ROWS]])).float()
            grey = part @ torch.tensor(BRIGHTNESS) if part.shape[3] == 3 else part.mean(3)
            small = adaptive_avg_pool2d(grey[:, None], FINE) if grey.shape[-1] >= FINE else _enlarged(grey)
            coarse.append(_unit(adaptive_avg_pool2d(small, COARSE)))
            fine.append(small[:, 0].round().to(torch.uint8))
            advance(len(part))
    return torch.cat(coarse), torch.cat(fine)


def _enlarged(grey: Tensor) -> Tensor:
    return interpolate(grey[:, None], (FINE, FINE), mode="bilinear")


def _unit(pictures: Tensor) -> Tensor:
    """Return pictures (N, 1, S, S) without their mean as vectors (N, S^2) of length 1; 0 for one of a single colour."""
    flat = pictures.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    return normalize(flat * (flat.norm(dim=1, keepdim=True) > flat.shape[1] ** 0.5 / 2))


def _neighbours(coarse: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pairs (P,) of each image and its nearest neighbours, each pair once, the smaller index first."""
    count = len(coarse)
    nearest = min(NEAREST, count - 1)
    keys = []
    with step(f"looking for near-duplicates: comparing {count:,} images", count) as advance:
        for first in range(0, count if nearest else 0, ROWS):
            likeness = coarse[first : first + ROWS] @ coarse.T
            own = torch.arange(first, first + len(likeness))
            likeness[torch.arange(len(likeness)), own] = -1
            best = likeness.topk(nearest, 1)
            row, column = (best.values >= ALIKE - 0.15).nonzero(as_tuple=True)
            other = best.indices[row, column]
            keys.append(torch.minimum(own[row], other) * count + torch.maximum(own[row], other))
            advance(len(likeness))
    if not keys:
        return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    pairs = torch.unique(torch.cat(keys))
    return pairs // count, pairs % count


def _likeness(fine: Tensor, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """Return the correlations (P,) of pairs of pictures (N, FINE, FINE), whole and in detail."""
    whole, detail = [torch.empty(0)], [torch.empty(0)]
    for a, b in zip(torch.split(i, ROWS), torch.split(j, ROWS)):
        left, right = fine[a, None].float(), fine[b, None].float()
        whole.append((_unit(left) * _unit(right)).sum(1))
        detail.append((_unit(_details(left)) * _unit(_details(right))).sum(1))
    return torch.cat(whole), torch.cat(detail)


def _details(pictures: Tensor) -> Tensor:
    """Return pictures (N, 1, S, S) less their coarse parts."""
    parts = adaptive_avg_pool2d(pictures, CELLS)
    return pictures - interpolate(parts, pictures.shape[2:], mode="bilinear")
