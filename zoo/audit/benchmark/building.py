"""Read the images of a benchmark, make the planted copies, and compute everything that all sets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.audit.benchmark.bank import RegisteredView, View, Views, registered_view, view_of
from zoo.audit.benchmark.missing import WIDTH, Gallery, gallery
from zoo.audit.benchmark.plants import planted_copies
from zoo.audit.benchmark.sorting import by_classes, by_clusters
from zoo.audit.evidence.classes import classes_of
from zoo.audit.evidence.evidence import PIXEL_SIZE
from zoo.audit.evidence.folders import list_folder
from zoo.audit.evidence.images import MIRRORED, ImageSet, digests, mirror_invariant
from zoo.audit.statistics.distances import NEIGHBOURS, nearest
from zoo.audit.statistics.memory import project
from zoo.audit.statistics.registration import SMALLEST
from zoo.data.pool import to_float
from zoo.features import Extractor, features_of
from zoo.features import extractor as named_extractor

PIXELS = "pixels"
REGISTERED = "registered pixels"


@dataclass(frozen=True)
class Points:
    """Features of all images in one space.

    Args:
        train: features (N, D) of the training images.
        images: features (B, D) of the held-out images and, after them, the copies.
    """

    train: Tensor
    images: Tensor


@dataclass(frozen=True)
class Bank:
    """What is known of all images.

    Args:
        views: views of held-out images and copies by the name of their space.
        points: features by the name of their space; the first is that of the network.
        equal: whether each of the B images equals a training image or its mirror image.
        copies: rows (K,) of the copies by kind.
        held_out: number of held-out images M, the first rows.
        labels: classes (N,) of the training and (M,) of the held-out images; None where they are unknown.
    """

    views: Views
    points: dict[str, Points]
    equal: Tensor
    copies: dict[str, Tensor]
    held_out: int
    labels: tuple[Tensor, Tensor] | None

    def gallery(self, n: int) -> Gallery:
        """Return the held-out images as points, for the faults without copies.

        Args:
            n: images in a set.
        """
        points = next(iter(self.points.values()))
        own, train = points.images[: self.held_out], points.train
        if self.labels is None:
            sorting = by_clusters(train, own, n)
        else:
            sorting = by_classes(train, self.labels[0], own, self.labels[1], nearest(own, train, NEIGHBOURS))
        low = project(train, own, width=WIDTH)[1]
        return gallery(tuple(each.images[: self.held_out] for each in self.points.values()), low, sorting)


def read_images(
    train: str, held_out: str, resolution: int, labels: str | None, reading: Mapping[str, Any]
) -> tuple[ImageSet, ImageSet]:
    """Read the training and the held-out images at one resolution, with their classes where these are known."""
    folders = [list_folder(path, name, reading) for name, path in (("train", train), ("held_out", held_out))]
    size = resolution or folders[0].sizes.common_side
    classes = classes_of(folders, labels)
    known = {} if classes is None else classes.labels
    names = () if classes is None else classes.names
    first, second = (folder.read(size, 3, known.get(folder.name), names).images for folder in folders)
    return first, second


def build(
    network: Extractor, train: ImageSet, held_out: ImageSet, kinds: list[str], copies: int, compared: bool
) -> Bank:
    """Compute what all sets share.

    Args:
        network: extractor of the features.
        train: the training images.
        held_out: the held-out images.
        kinds: kinds of copies.
        copies: number of training images that copies are made of.
        compared: whether there are views, which the tests for copies need.
    """
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:copies]
    sources = train.images(chosen)
    planted = [planted_copies(kind, sources, torch.Generator().manual_seed(i)) for i, kind in enumerate(kinds)]
    made = ImageSet("copies", torch.cat(planted))
    pixels = named_extractor("pixels", size=min(PIXEL_SIZE, train.shape[-1]))
    views: dict[str, View | RegisteredView] = {}
    points: dict[str, Points] = {}
    for name, extractor in ((network.name, network), (PIXELS, pixels)):
        known, own, changed = (_features(extractor, part) for part in (train, held_out, made))
        points[name] = Points(known, torch.cat([own, changed]))
        if compared:
            views[name] = view_of(name, known, own, changed, seed=0)
    if compared:
        own, changed = (_features(pixels, part.mirrored()) for part in (held_out, made))
        views[f"{MIRRORED}{PIXELS}"] = view_of(f"{MIRRORED}{PIXELS}", points[PIXELS].train, own, changed, seed=0)
    if compared and train.shape[-1] >= SMALLEST:
        views[REGISTERED] = registered_view(train, held_out, made, seed=0)
    originals = set(mirror_invariant(digests(train), train))
    equal = [d in originals for part in (held_out, made) for d in mirror_invariant(digests(part), part)]
    first = len(held_out)
    rows = {kind: torch.arange(copies) + first + i * copies for i, kind in enumerate(kinds)}
    labels = None if train.labels is None or held_out.labels is None else (train.labels, held_out.labels)
    return Bank(views, points, torch.tensor(equal), rows, first, labels)


def _features(network: Extractor, images: ImageSet) -> Tensor:
    """Compute the features (N, D) of images."""
    title = f"{network.name} of {images.name.replace('_', '-')} images"
    return features_of(network, (to_float(part) for part in images.parts()), total=len(images), title=title).values
