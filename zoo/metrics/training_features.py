"""Base class of metrics that compare three sets of features: training, held-out and generated ones."""

from __future__ import annotations

from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, check_features, require_samples


class ThreeSets(StoredFeatures):
    """Base of metrics of copying, which need the training samples beside held-out real ones.

    Call `update(features, real=True, train=True)` with features of the samples that the model was trained on,
    `update(features, real=True)` with those of held-out ones, and `update(features, real=False)` with generated ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.add_state("train_features", default=[], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool, train: bool = False) -> None:
        """Store a batch of features.

        Args:
            features: features (B, D); D is that of the first batch.
            real: whether they are of real samples or of generated ones.
            train: whether the real samples are those that the model was trained on.
        """
        if not train:
            return super().update(features, real)
        if not real:
            raise ValueError("real=False, train=True: generated samples are no training samples. Leave out train")
        features = check_features(features, int(self.width)).to(self.device)
        self.width.fill_(features.shape[1])
        self.train_features.append(features.clone().flatten())  # type: ignore[operator,union-attr]

    def three_sets(self, least: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return all features of training, held-out and generated samples, (L, D), (N, D) and (M, D).

        Args:
            least: the smallest number of samples in each.

        Raises:
            ValueError: if there are fewer, or some are not finite.
        """
        held_out, generated = self.features()
        train = self._stored("train_features")
        name = type(self).__name__
        if len(train) < least:
            raise ValueError(
                f"{name} needs at least {least:,} training samples; got {len(train):,}. Give them with "
                "update(features, real=True, train=True)"
            )
        require_samples(least, name, len(held_out), len(generated))
        if not bool(train.isfinite().all()):
            raise ValueError("features of the training samples hold NaN or infinity")
        return train, held_out, generated
