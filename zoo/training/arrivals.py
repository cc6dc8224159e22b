"""Checks of every batch that a loader gives, without waiting for the device between two logs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.training.batch import Batch

MOST = 1000
"""Batches that are remembered at most, so that a run which never logs does not grow."""


@dataclass(frozen=True)
class Arrival:
    """What is remembered of a batch until the next log.

    Args:
        round: number of the round, from 1.
        images_seen: images seen before it.
        sums: sum of each image (B,), which is finite only if the image is.
        bad_labels: whether each label (B,) is no class index of the model.
    """

    round: int
    images_seen: int
    sums: Tensor
    bad_labels: Tensor


class Arrivals:
    """The batches since the last log: images have to be finite, labels have to be class indices.

    To check a batch when it arrives would make the host wait for the device in every round. So the check is made when
    losses are logged, before a checkpoint is saved, and after `MOST` batches without either. Until then a label that is
    out of range is replaced by the nearest class: on a GPU, indexing with it would end the process without a usable
    message. On a CPU nothing has to be waited for, and labels are checked before the round (`check_on_host`). Sources
    of `zoo.data` check all their labels when they are read.

    Args:
        num_classes: number of classes of the model; 0 if it takes no labels.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self._unchecked: list[Arrival] = []

    def add(self, batch: Batch, number: int, images_seen: int, are_classes: bool = True) -> Batch:
        """Remember a batch for `check`; return it with labels that are safe to index with.

        Args:
            batch: the batch, on the device.
            number: number of the round, from 1.
            images_seen: images seen before the round.
            are_classes: whether the labels are to be classes of the model. Others, of which a model makes its own
                labels, are neither checked nor changed.

        Raises:
            DataError: see `check`, which is called when `MOST` batches are remembered.
        """
        labels = batch.labels if self.num_classes else None
        safe = labels.clamp(0, self.num_classes - 1) if labels is not None and are_classes else labels
        # The sum is one pass over the images, a test of each pixel would be three.
        sums = batch.images.flatten(1).sum(1)
        bad = torch.zeros_like(sums, dtype=torch.bool) if labels is None or safe is None else labels != safe
        self._unchecked.append(Arrival(number, images_seen, sums, bad))
        if len(self._unchecked) >= MOST:
            self.check()
        return Batch(batch.images, safe)

    def check_on_host(self, labels: Tensor | None, number: int, images_seen: int) -> None:
        """Check the labels of a batch on a CPU, where the host waits for nothing; others are left to `check`.

        Args:
            labels: the labels (B,), or None.
            number: number of the round, from 1.
            images_seen: images seen before the round.

        Raises:
            DataError: see `check`.
        """
        if self.num_classes and labels is not None and labels.device.type == "cpu" and not labels.is_floating_point():
            classes = labels.numpy()  # which a tensor on a device refuses, so this can never wait for one
            bad = (classes < 0) | (classes >= self.num_classes)
            if bad.any():
                raise self._label_error(number, images_seen, torch.from_numpy(bad))

    def check(self) -> None:
        """Check the batches since the last call; the host waits for the device.

        Raises:
            DataError: naming the round, the place in the batch, and what is wrong there.
        """
        arrivals, self._unchecked = self._unchecked, []
        if not arrivals:
            return
        good = torch.stack([a.sums.isfinite().all() & a.bad_labels.logical_not().all() for a in arrivals]).tolist()
        if all(good):
            return
        arrival = arrivals[good.index(False)]
        infinite = arrival.sums.isfinite().logical_not().nonzero().flatten().tolist()
        if infinite:
            raise DataError(
                f"images must be finite; {_where(arrival.round, arrival.images_seen)} "
                f"{_places(infinite, len(arrival.sums), 'image')} NaN or infinity. Repair the image, or leave it out"
            )
        raise self._label_error(arrival.round, arrival.images_seen, arrival.bad_labels)

    def _label_error(self, number: int, images_seen: int, bad: Tensor) -> DataError:
        """Return the error for labels (B,) of which some are `bad`."""
        return DataError(
            f"labels must be class indices from 0 to num_classes - 1 = {self.num_classes - 1}; "
            f"{_where(number, images_seen)} {_places(bad.nonzero().flatten().tolist(), len(bad), 'label')} another "
            "value. Repair the labels, or train a model with more classes"
        )


def _where(number: int, images_seen: int) -> str:
    """Return which batch is meant."""
    return f"in the batch of round {number:,} (after {images_seen:,} images)"


def _places(places: list[int], count: int, what: str) -> str:
    """Return which of the images or labels of a batch are meant, counted from 0, and a verb."""
    if len(places) == count:
        return f"all {count} {what}s have"
    named = ", ".join(map(str, places[:5])) + (f" and {len(places) - 5} more" if len(places) > 5 else "")
    return f"{what}{'s' if len(places) > 1 else ''} {named} (of {count}, from 0) {'have' if len(places) > 1 else 'has'}"
