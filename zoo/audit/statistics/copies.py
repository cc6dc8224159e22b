"""Which generated image copies which training image, and the share of copies, from registered pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.audit.statistics.distances import NEIGHBOURS
from zoo.audit.statistics.memory import RealNeighbours
from zoo.audit.statistics.registration import Registered
from zoo.audit.statistics.significance import wilson

FALSE_ALARMS = 0.01  # share of held-out images below the threshold at which an image is listed as a copy
NEAR = 0.2
"""Distance below which a held-out image is a copy itself: the same picture as a training image, such as a second scan.
It is the distance at a correlation of 0.98."""
NEAR_MEDIAN = 1 / 3  # where all distances are small: the same, as a share of the median of held-out images
FAR = 9.0  # distance of an image that no training image was registered to


@dataclass(frozen=True)
class Closest:
    """The training image that each of N images most likely copies.

    Args:
        distances: distances (N,) between the registered windows; `FAR` without a training image among the candidates.
        ratios: these distances divided by the distance (N,) of the last candidate that counts.
        indices: indices (N,) of the training images.
        motions: how the image shows the training image (N, 5), see `Registered`.
    """

    distances: Tensor
    ratios: Tensor
    indices: Tensor
    motions: Tensor


def closest_training_images(found: Registered, train: int) -> Closest:
    """Return the nearest training image of each query.

    Args:
        found: registered real images; those with an index below `train` are training images.
        train: number of training images.
    """
    distances = torch.where(found.indices < train, found.distances, FAR)
    first = distances.min(1)
    rows = torch.arange(len(distances))
    last = found.distances[:, min(NEIGHBOURS, found.distances.shape[1]) - 1]
    ratios = first.values / last.clamp(min=1e-9)
    return Closest(first.values, ratios, found.indices[rows, first.indices], found.motions[rows, first.indices])


def registered_neighbours(found: Registered, train: int, held_out: int) -> RealNeighbours:
    """Return the nearest real image of each query, for the tests of `zoo.audit.statistics.memory`."""
    last = found.distances[:, min(NEIGHBOURS, found.distances.shape[1]) - 1]
    ratios = found.distances[:, 0] / last.clamp(min=1e-9)
    return RealNeighbours(ratios, found.indices[:, 0], train, held_out)


@dataclass(frozen=True)
class Calibration:
    """What held-out images say about a ratio.

    Args:
        null: ratios (M,) of held-out images that are no copies themselves, in ascending order.
        near_copies: number of held-out images that were set aside, because they show the picture of a training image.
        threshold: ratio below which an image is listed; minus infinity if there are too few held-out images.
        false_alarms: number of held-out images, near copies among them, that would be listed.
    """

    null: Tensor
    near_copies: int
    threshold: float
    false_alarms: int

    @property
    def images(self) -> int:
        """The number of held-out images, with near copies."""
        return len(self.null) + self.near_copies

    def p_values(self, ratios: Tensor) -> Tensor:
        """Return the p-value of each ratio (N,): the share of held-out images, plus one, with a ratio as small."""
        return (1.0 + torch.searchsorted(self.null, ratios, right=True).double()) / (1 + len(self.null))


def calibrate(held_out: Closest) -> Calibration:
    """Calibrate on held-out images that were searched for in the same way."""
    limit = min(NEAR, NEAR_MEDIAN * float(held_out.distances.median()))
    near = held_out.distances <= limit
    null = held_out.ratios[~near].sort().values
    # A ratio has p <= FALSE_ALARMS if fewer than `rank` ratios of `null` are as small.
    rank = int(FALSE_ALARMS * (len(null) + 1))
    threshold = float(null[rank - 1]) if rank else -torch.inf
    return Calibration(null, int(near.sum()), threshold, int((held_out.ratios < threshold).sum()))


def share_of_copies(
    listed: int, n: int, calibration: Calibration, found: dict[str, tuple[int, int]]
) -> tuple[float, float, float]:
    """Estimate the share of copies among the generated images, with its 95 % interval.

    A share s gives s x power + (1 - s) x false alarms of listed images. Listed images and false alarms have Wilson's
    intervals, and their difference Newcombe's (1998, Statist. Med. 17, method 10). The power, the share of copies that
    is found, is measured on planted copies; it depends on their kind. The value takes the median kind, the lower end a
    power of 1, and the upper end the lower end of the interval of the kind that is found least often.

    Args:
        listed: number of generated images that were listed.
        n: number of generated images.
        calibration: the calibration that they were listed by.
        found: planted copies of each kind that were found, and how many were planted.

    Returns:
        The share, and the lower and upper end of its interval, in [0, 1].
    """
    share, false = listed / n, calibration.false_alarms / calibration.images
    (low, high), (false_low, false_high) = wilson(listed, n), wilson(calibration.false_alarms, calibration.images)
    down = ((share - low) ** 2 + (false_high - false) ** 2) ** 0.5
    up = ((high - share) ** 2 + (false - false_low) ** 2) ** 0.5
    powers = sorted(hits / planted for hits, planted in found.values())
    weakest = min(wilson(hits, planted)[0] for hits, planted in found.values())
    spread = share - false

    def corrected(difference: float, power: float) -> float:
        return min(1.0, max(0.0, difference) / max(power - false, 0.01))

    value = corrected(spread, powers[len(powers) // 2])
    return value, min(value, corrected(spread - down, 1.0)), max(value, corrected(spread + up, weakest))
