"""Base classes that accumulate features or counts batch by batch, on one process or several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

SIDES = ("real", "generated")


def check_features(features: Tensor, width: int | None) -> Tensor:
    """Check a batch of features and detach it from the graph; half precision becomes float32.

    Args:
        features: features (B, D).
        width: the expected D; None or 0 accepts any.

    Returns:
        Features (B, D) in float32 or float64.

    Raises:
        ValueError: if the shape is another one or the features are integers.
    """
    if features.dim() != 2 or (width and features.shape[1] != width):
        raise ValueError(
            f"features must be (B, {width or 'width'}); got {tuple(features.shape)}. A metric takes the features that "
            "an extractor computes from images, and one metric takes the features of one extractor"
        )
    if not features.is_floating_point():
        raise ValueError(f"features must be floats; got {features.dtype}")
    return features.detach() if features.dtype == torch.float64 else features.detach().float()


def require_samples(least: int, metric: str, *samples: int) -> None:
    """Check that a metric has enough samples.

    Args:
        least: the smallest number of samples on each side.
        metric: name of the metric, for the error message.
        samples: numbers of real and generated samples, or of generated ones alone.

    Raises:
        ValueError: if a number is below `least`.
    """
    sides = zip(SIDES if len(samples) == 2 else SIDES[1:], samples)
    for side, n in reversed(list(sides)):  # as many real samples are often drawn as there are generated ones
        if n < least:
            raise ValueError(f"{metric} needs at least {least:,} {side} samples; got {n:,}")


def require_finite(real: Tensor, fake: Tensor) -> None:
    """Check that features, or statistics of them, are finite.

    Raises:
        ValueError: naming the side that holds NaN or infinity.
    """
    for side, features in zip(SIDES, (real, fake)):
        if not torch.isfinite(features).all():
            raise ValueError(
                f"features of the {side} samples hold NaN or infinity: the images or the extractor's weights are broken"
            )


class FeatureMetric(Metric, ABC):
    """Base of all metrics between features of real and of generated images.

    Call `update(features, real=...)` any number of times for either side, in any order, then `compute()`. States are
    reduced over processes, so that `compute()` returns the same numbers on all of them. `higher_is_better` holds for
    the first number that `compute()` returns.

    Example:
        A metric of one's own, the squared distance |mean_r - mean_g|^2:

        >>> import torch
        >>> from zoo.metrics import FeatureMetric
        >>> class MeanDistance(FeatureMetric):
        ...     def __init__(self, width):
        ...         super().__init__()
        ...         self.add_state("sums", torch.zeros(2, width), dist_reduce_fx="sum")
        ...         self.add_state("counts", torch.zeros(2, 1), dist_reduce_fx="sum")
        ...     def update(self, features, real):
        ...         self.sums[int(real)] += features.sum(0)
        ...         self.counts[int(real)] += len(features)
        ...     def compute(self):
        ...         fake, real = self.sums / self.counts
        ...         return self.named(mean_distance=(real - fake).square().sum())
        >>> metric = MeanDistance(2)
        >>> metric.update(torch.zeros(4, 2), real=True)
        >>> metric.update(torch.ones(3, 2), real=False)
        >>> metric.compute()
        {'mean_distance': tensor(2., dtype=torch.float64)}
    """

    full_state_update = False
    is_differentiable = False

    @abstractmethod
    def update(self, features: Tensor, real: bool) -> None:
        """Add a batch of features.

        Args:
            features: features (B, D).
            real: whether they are of real samples or of generated ones.
        """

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """Return the metric's numbers by name, as scalars in float64."""

    def named(self, **values: float | Tensor) -> dict[str, Tensor]:
        """Convert numbers, by name, to float64 scalars on the metric's device."""
        return {name: torch.as_tensor(value, dtype=torch.float64, device=self.device) for name, value in values.items()}


class StoredFeatures(FeatureMetric):
    """Base of metrics that store all features, in float32 or float64 as they come, on the metric's device.

    With several processes, samples are ordered by rank. Metrics that draw subsets by a seed return the numbers of one
    process that saw the samples in this order; the other metrics do not depend on the order.

    Example:
        >>> import torch
        >>> from zoo.metrics import StoredFeatures
        >>> class LargestNorm(StoredFeatures):
        ...     def compute(self):
        ...         real, fake = self.features()
        ...         return self.named(real=real.norm(dim=1).amax(), generated=fake.norm(dim=1).amax())
        >>> metric = LargestNorm()
        >>> metric.update(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), real=True)
        >>> metric.update(torch.zeros(1, 2), real=False)
        >>> {name: value.item() for name, value in metric.compute().items()}
        {'real': 5.0, 'generated': 0.0}
    """

    width: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Flat, so that a process without a sample can take part in the gathering without knowing the width.
        self.add_state("real_features", default=[], dist_reduce_fx="cat")
        self.add_state("fake_features", default=[], dist_reduce_fx="cat")
        self.add_state("width", default=torch.tensor(0), dist_reduce_fx="max")

    def update(self, features: Tensor, real: bool) -> None:
        """Store a batch of features.

        Args:
            features: features (B, D); D is that of the first batch.
            real: whether they are of real samples or of generated ones.
        """
        features = check_features(features, int(self.width)).to(self.device)
        self.width.fill_(features.shape[1])
        stored: list[Tensor] = self.real_features if real else self.fake_features  # type: ignore[assignment]
        stored.append(features.clone().flatten())

    def _stored(self, name: str) -> Tensor:
        flat: Tensor | list[Tensor] = getattr(self, name)
        if isinstance(flat, list):
            flat = dim_zero_cat(flat) if flat else torch.zeros(0, device=self.device)
            setattr(self, name, [flat])  # one copy, not two, while the metric computes
        return flat.view(-1, max(int(self.width), 1))

    def features(self) -> tuple[Tensor, Tensor]:
        """Return all real features (N, D) and all generated features (M, D).

        Raises:
            ValueError: if some are not finite.
        """
        real, fake = self._stored("real_features"), self._stored("fake_features")
        require_finite(real, fake)
        return real, fake


class Counts(FeatureMetric):
    """Base of metrics on two histograms over the same bins, one of real and one of generated samples.

    Args:
        bins: number of bins.
    """

    real_counts: Tensor
    fake_counts: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.add_state("real_counts", default=torch.zeros(bins, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("fake_counts", default=torch.zeros(bins, dtype=torch.long), dist_reduce_fx="sum")

    def count(self, bins: Tensor, real: bool) -> None:
        """Add samples to a histogram.

        Args:
            bins: each sample's bin (B,), integers in [0, self.bins).
            real: whether the samples are real or generated.

        Raises:
            ValueError: if a bin does not exist.
        """
        if bins.dim() != 1 or bins.is_floating_point():
            raise ValueError(f"classes must be whole numbers (B,); got {bins.dtype} {tuple(bins.shape)}")
        if len(bins) and not (int(bins.min()) >= 0 and int(bins.max()) < self.bins):
            wrong = bins[(bins < 0) | (bins >= self.bins)][0]
            raise ValueError(f"classes must lie in 0 to {self.bins - 1}; got {int(wrong)}")
        counts = self.real_counts if real else self.fake_counts
        counts += torch.bincount(bins.to(self.device), minlength=self.bins)


def subset(features: Tensor, rows: Sequence[int] | Tensor) -> Tensor:
    """Select rows of features (N, D), on their device, by indices (n,): (n, D)."""
    return features[torch.as_tensor(rows, device=features.device)]
