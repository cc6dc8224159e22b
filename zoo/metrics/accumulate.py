"""How metrics gather features batch by batch, on one process or several, before they compute anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

SIDES = ("real", "generated")


def check_features(features: Tensor, width: int | None) -> Tensor:
    """Features (B, width) as floats without a graph; half precision becomes float32.

    Raises:
        ValueError: for another shape, or whole numbers.
    """
    if features.dim() != 2 or (width and features.shape[1] != width):
        raise ValueError(
            f"features must be (B, {width or 'width'}); got {tuple(features.shape)}. A metric takes what an extractor "
            "made of the images, and one metric the features of one extractor"
        )
    if not features.is_floating_point():
        raise ValueError(f"features must be floats; got {features.dtype}")
    return features.detach() if features.dtype == torch.float64 else features.detach().float()


def require_samples(least: int, what: str, *samples: int) -> None:
    """Check how many real and generated samples came.

    Raises:
        ValueError: if one is below `least`; `what` says who needs them.
    """
    for side, n in zip(SIDES if len(samples) == 2 else SIDES[1:], samples):
        if n < least:
            raise ValueError(f"{what} needs at least {least:,} {side} samples; got {n:,}")


def require_finite(real: Tensor, fake: Tensor) -> None:
    """Check that features are numbers.

    Raises:
        ValueError: naming the side that holds NaN or infinity.
    """
    for side, features in zip(SIDES, (real, fake)):
        if not torch.isfinite(features).all():
            raise ValueError(
                f"features of the {side} samples hold NaN or infinity: the images or the extractor's weights are broken"
            )


class FeatureMetric(Metric, ABC):
    """A metric between features of real and of generated images.

    `update(features, real=...)` any number of times for either side, in any order, then `compute()`. States are reduced
    over processes; after that all processes compute the same. `higher_is_better` is that of the first key.
    """

    full_state_update = False
    is_differentiable = False

    @abstractmethod
    def update(self, features: Tensor, real: bool) -> None:
        """Add features (B, width)."""

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """The metric's numbers by name, scalars in float64."""

    def named(self, **values: float | Tensor) -> dict[str, Tensor]:
        """Numbers as scalar tensors on the metric's device."""
        return {name: torch.as_tensor(value, dtype=torch.float64, device=self.device) for name, value in values.items()}


class StoredFeatures(FeatureMetric):
    """Keeps all features, in float32 unless they come in float64, on the metric's device.

    Several processes: the samples of the first process come first, then those of the second and so on. Metrics that
    draw subsets by a seed give the numbers of one process that saw the samples in this order; the others do not depend
    on the order.
    """

    width: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Flat, so that a process without a sample can take part in the gathering without knowing the width.
        self.add_state("real_features", default=[], dist_reduce_fx="cat")
        self.add_state("fake_features", default=[], dist_reduce_fx="cat")
        self.add_state("width", default=torch.tensor(0), dist_reduce_fx="max")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (B, width) of real or of generated samples."""
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
        """All real features (N, width) and all generated ones (M, width).

        Raises:
            ValueError: if some are not finite.
        """
        real, fake = self._stored("real_features"), self._stored("fake_features")
        require_finite(real, fake)
        return real, fake


class Counts(FeatureMetric):
    """Keeps how often each of a number of bins was hit.

    Args:
        bins: how many.
    """

    real_counts: Tensor
    fake_counts: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.add_state("real_counts", default=torch.zeros(bins, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("fake_counts", default=torch.zeros(bins, dtype=torch.long), dist_reduce_fx="sum")

    def count(self, bins: Tensor, real: bool) -> None:
        """Add hits (B,).

        Raises:
            ValueError: for a bin that does not exist.
        """
        if bins.dim() != 1 or bins.is_floating_point():
            raise ValueError(f"classes must be whole numbers (B,); got {bins.dtype} {tuple(bins.shape)}")
        if len(bins) and not (int(bins.min()) >= 0 and int(bins.max()) < self.bins):
            wrong = bins[(bins < 0) | (bins >= self.bins)][0]
            raise ValueError(f"classes must lie in 0 to {self.bins - 1}; got {int(wrong)}")
        counts = self.real_counts if real else self.fake_counts
        counts += torch.bincount(bins.to(self.device), minlength=self.bins)


def subset(features: Tensor, rows: Sequence[int] | Tensor) -> Tensor:
    """Rows of features, on their device."""
    return features[torch.as_tensor(rows, device=features.device)]
