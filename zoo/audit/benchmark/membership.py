"""Membership inference: which images were trained on, by a score of each image, such as the nearest generated image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.audit.benchmark.power import Design, draw, halves
from zoo.audit.statistics.significance import auc
from zoo.metrics.pairwise_distances import Cloud, squared_distances, tiles

FALSE_POSITIVES = 0.001
MOST = 10_000  # training images that are attacked, at most
SETS = 5  # sets of each kind, share and seed, at most


class Attack(NamedTuple):
    """How well a score tells members of the training set from other images.

    Args:
        auc: probability that a member scores higher than another image; 0.5 by chance.
        tpr: share of the members that are recognised where 0.1 % of the others are taken for members.
    """

    auc: float
    tpr: float


def attack(members: Tensor, others: Tensor) -> Attack:
    """Measure an attack (Carlini et al. 2022, arXiv:2112.03570) by its scores, whatever they are of.

    White-box attacks give scores of the discriminator, black-box attacks minus the distance to the nearest generated
    image.

    Args:
        members: scores (N,) of training images; higher means more likely a member.
        others: scores (M,) of images of the same origin that were not trained on.
    """
    allowed = math.floor(FALSE_POSITIVES * len(others))
    bound = others.double().sort(descending=True).values[allowed]  # exceeded by at most `allowed` of them
    return Attack(auc(members, others)[0], float((members.double() > bound).double().mean()))


def black_box(
    train: Tensor, images: Tensor, copies: Mapping[str, Tensor], held_out: int, design: Design
) -> list[dict[str, Any]]:
    """Attack sets by the distance of each real image to the nearest image of the set.

    Members are training images, at most MOST, others the images of the reference, which no set contains.

    Args:
        train: features (N, D) of the training images.
        images: features (B, D) of the held-out images and, after them, the copies.
        copies: rows (K,) of the copies by kind.
        held_out: number of held-out images.
        design: the sizes; each kind and share has at most SETS sets for each seed.

    Returns:
        A row for each kind and share: `kind`, `share`, and `auc` and `tpr`, a mean for each seed.
    """
    drawn: list[tuple[str, float, int, Tensor]] = []
    references: list[Tensor] = []
    kinds: dict[str, Tensor | None] = {"honest": None, **copies}
    for seed, (half, pool, rng) in enumerate(halves(held_out, design.seeds, "attacks on membership")):
        references.append(half.rows)
        for kind, rows in kinds.items():
            for share in design.shares if kind != "honest" else (0.0,):
                count = min(design.planted, SETS)
                drawn += [(kind, share, seed, draw(pool, rows, share, design.n, rng)) for _ in range(count)]
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:MOST]
    scores = _nearness(torch.cat([train[chosen], images[:held_out]]), images, [rows for *_, rows in drawn])
    found: dict[tuple[str, float], list[list[Attack]]] = {}
    for (kind, share, seed, _), score in zip(drawn, scores):
        attacks = found.setdefault((kind, share), [[] for _ in range(design.seeds)])
        attacks[seed].append(attack(score[: len(chosen)], score[len(chosen) :][references[seed]]))
    return [
        {
            "kind": kind,
            "share": share,
            "auc": [float(np.mean([each.auc for each in own])) for own in seeds],
            "tpr": [float(np.mean([each.tpr for each in own])) for own in seeds],
        }
        for (kind, share), seeds in found.items()
    ]


def _nearness(candidates: Tensor, images: Tensor, sets: list[Tensor]) -> Tensor:
    """Return minus the squared distance (S, C) of each candidate (C, D) to the nearest of the rows of each set."""
    a, b = Cloud.of(images, candidates)
    nearness = torch.empty(len(sets), len(b))
    for columns in tiles(len(b)):
        block = torch.cat([squared_distances(a, rows, b, columns) for rows in tiles(len(a))])
        for number, rows in enumerate(sets):
            nearness[number, columns] = -block[rows].amin(0)
    return nearness
