"""What a pass over the distances computes from each block of them: sums of kernels, nearest samples, directions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.metrics.neighbours import Candidates
from zoo.metrics.pairwise_distances import Cloud

CANDIDATES = 4  # nearest real samples of a generated one in float32, among which float64 decides


class Kernel(NamedTuple):
    """Gaussian kernel exp(-gamma |x - y|^2), whose sums over pairs are wanted.

    Args:
        gamma: factor of the squared distance.
        unit: divide all features by their length first.
        less_one: sum exp(-gamma |x - y|^2) - 1, which stays accurate where the kernel is close to 1.
    """

    gamma: float
    unit: bool = False
    less_one: bool = False


class Angles:
    """1 - cos of the angles between points, from their squared distances and lengths, in which nothing cancels.

        1 - cos = (|x - y|^2 - (|x| - |y|)^2) / (2 |x| |y|)

    Args:
        a: cloud of N points.
        b: cloud of M points, of the same centre and scale.
    """

    def __init__(self, a: Cloud, b: Cloud) -> None:
        lengths = [cloud.features.double().norm(dim=1) * cloud.scale for cloud in (a, b)]
        mean = torch.cat(lengths).mean()
        self.excess = [(length - mean).float() for length in lengths]  # small numbers with accurate differences
        self.doubled = (2 * lengths[0]).float(), lengths[1].float()

    def __call__(self, rows: slice, columns: slice, block: Tensor) -> Tensor:
        """Return 1 - cos (n, m) of one block of squared distances; not finite for points of length 0."""
        difference = self.excess[0][rows][:, None] - self.excess[1][columns]
        angles = torch.addcmul(block, difference, difference, value=-1)
        return angles.div_(self.doubled[0][rows][:, None]).div_(self.doubled[1][columns])


class KernelSum:
    """Sum of a kernel over the pairs of two clouds, block by block; one cloud given twice has its blocks once."""

    def __init__(self, kernel: Kernel, a: Cloud, b: Cloud) -> None:
        self.kernel, self.same, self.pairs = kernel, a is b, len(a) * len(b)
        self.angles = Angles(a, b) if kernel.unit else None
        # the squared distance of two directions is 2 (1 - cos)
        self.factor = -kernel.gamma * (2 if kernel.unit else a.scale**-2)
        self.total = torch.zeros((), dtype=torch.float64, device=a.points.device)

    def visit(self, rows: slice, columns: slice, block: Tensor) -> None:
        """Add one block; those off the diagonal of a symmetric matrix count twice."""
        values = (block if self.angles is None else self.angles(rows, columns, block)).clamp(min=0).mul_(self.factor)
        values = values.expm1_() if self.kernel.less_one else values.exp_()
        self.total += values.sum(dtype=torch.float64) * (2 if self.same and rows != columns else 1)

    def mean(self) -> Tensor:
        """Return the mean over all pairs."""
        return self.total / self.pairs


class NearestReal:
    """The real samples nearest to each generated one."""

    def __init__(self, a: Cloud, b: Cloud) -> None:
        self.candidates = Candidates(len(b), min(CANDIDATES, len(a)), b.points.device)

    def visit(self, rows: slice, columns: slice, block: Tensor) -> None:
        """Take up one block: rows of real samples, columns of generated ones."""
        self.candidates.merge(columns, block.T.contiguous(), rows)


class Directions:
    """The sample of the other side whose direction, or its opposite, is most similar; for both sides."""

    def __init__(self, a: Cloud, b: Cloud) -> None:
        self.a, self.b, self.angles = a, b, Angles(a, b)
        self.least = [torch.full((len(side),), torch.inf, device=a.points.device) for side in (a, b)]
        self.index = [torch.zeros(len(side), dtype=torch.long, device=a.points.device) for side in (a, b)]

    def visit(self, rows: slice, columns: slice, block: Tensor) -> None:
        """Take up one block: rows of real samples, columns of generated ones."""
        angles = self.angles(rows, columns, block)
        angles = torch.where(angles.isfinite(), angles.minimum(2 - angles), torch.inf)
        for side, (own, other) in enumerate(((rows, columns), (columns, rows))):
            values, index = angles.min(1 - side)
            nearer = values < self.least[side][own]
            self.least[side][own] = torch.where(nearer, values, self.least[side][own])
            self.index[side][own] = torch.where(nearer, index + other.start, self.index[side][own])

    def cosines(self) -> tuple[Tensor, Tensor]:
        """Return the largest |cos| of each real (N,) and of each generated sample (M,); NaN for those of length 0."""
        return _cosines(self.a, self.b, self.index[0]), _cosines(self.b, self.a, self.index[1])


def _cosines(a: Cloud, b: Cloud, index: Tensor) -> Tensor:
    """Return |cos| (N,) of the angle between each point of `a` and the one of `b` with the given index, in float64."""
    parts = []
    for x, chosen in zip(torch.split(a.features, 4096), torch.split(index, 4096)):
        x, y = x.double(), b.features[chosen].double()
        parts.append(torch.linalg.vecdot(x, y).abs() / (x.norm(dim=1) * y.norm(dim=1)))
    return torch.cat(parts)
