"""One line about a data set: what is read, what is held out, and what is left out."""

from __future__ import annotations

import numpy as np

from zoo.data.listing import described
from zoo.data.pool import Pool, Split

SHOWN = 12  # classes with their names; of more, the first are named


def description(name: str, pool: Pool, train: Split, held_out: Split) -> str:
    """Describe a data set in one line.

    Args:
        name: name of the source.
        pool: all images.
        train: training images.
        held_out: held-out images.
    """
    size, channels = pool.images.shape[1], pool.images.shape[3]
    kind = f"{size} px, {'grey' if channels == 1 else 'colour'}" if size > 1 else "points"
    facts = pool.facts
    if facts.longest_side and (facts.shortest_side, facts.longest_side) != (size, size):
        sides = f"{facts.shortest_side:,} to {facts.longest_side:,}"
        kind += f" from {sides if facts.shortest_side < facts.longest_side else f'{facts.longest_side:,}'} px"
    text = (
        f"{name}: {len(pool.images):,} images ({kind}), {len(train):,} to train on, {len(held_out):,} held out"
        f"{_classes(pool, train)}"
    )
    left_out = described(dict(pool.left_out))
    return f"{text}; left out: {left_out}" if left_out else text


def _classes(pool: Pool, train: Split) -> str:
    """Return the classes with number, name and training images; empty without labels."""
    if pool.labels is None:
        return ""
    counts = class_sizes(pool, train)
    names = class_labels(pool, len(counts))
    if len(counts) > 100:  # their sizes would fill pages
        return f"; {len(counts):,} classes with {counts.min():,} to {counts.max():,} training images"
    shown = [f"{name} ({count:,})" for name, count in zip(names[:SHOWN], counts[:SHOWN])]
    more = f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    return f"; {len(counts)} class{'' if len(counts) == 1 else 'es'}: {', '.join(shown)}{more}"


def class_sizes(pool: Pool, train: Split, at_least: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the number of training images of each class.

    Args:
        pool: all images, with labels.
        train: training images.
        at_least: smallest number of classes to count.
    """
    assert pool.labels is not None
    return np.bincount(
        pool.labels[train.indices], minlength=max(len(pool.class_names), pool.labels.max() + 1, at_least)
    )


def class_labels(pool: Pool, count: int) -> list[str]:
    """Return number and name of each class, such as "0 cat"; the number alone where there is no other name."""
    names = [*pool.class_names, *[""] * count][:count]
    return [str(i) if name in ("", str(i)) else f"{i} {name}" for i, name in enumerate(names)]


def missing_classes(pool: Pool, train: Split, num_classes: int) -> str:
    """Describe the classes of a conditional model that have no training images, with the remedy; empty without any.

    Args:
        pool: all images.
        train: training images.
        num_classes: number of classes of the model; 0 for an unconditional one.
    """
    if not num_classes or pool.labels is None:
        return ""
    counts = class_sizes(pool, train, num_classes)
    missing = np.flatnonzero(counts == 0)
    if not len(missing):
        return ""
    labels = [label for label, count in zip(class_labels(pool, len(counts)), counts) if not count]
    more = f" and {len(labels) - 6} more" if len(labels) > 6 else ""
    present = max(len(pool.class_names), int(pool.labels.max()) + 1)
    remedy = (
        f"The data have {present} class{'' if present == 1 else 'es'}: set model.num_classes={present}"
        if present < num_classes
        else "Give them images, hold out fewer (data.held_out), or leave the classes out"
    )
    return (
        f"{len(missing)} of the model's {num_classes} classes have no image to train on: {', '.join(labels[:6])}"
        f"{more}. Generated images of these classes show nothing that is in the data. {remedy}"
    )
