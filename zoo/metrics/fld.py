"""Feature likelihood divergence (FLD; Jiralerspong et al. 2023, arXiv:2302.04440)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.gaussian_mixture import fitted_log_variances, log_likelihoods, squared_distances_of_all, standardised
from zoo.metrics.training_features import ThreeSets


class FLD(ThreeSets):
    """Likelihood of held-out samples under a density made of the generated ones, against real ones. Lower is better.

    The density is a mixture of Gaussians, one on each generated sample, whose variances are fitted to the training
    samples. Copies of training samples get tiny variances, under which held-out samples are unlikely, so one number
    sees quality, variety and memorisation:

        L(c, x) = mean over x of -1/D log 1/M sum_j N(x; c_j, s_j I),    s fitted to training samples
        fld     = 100 (L(generated, held-out) - L(half of the training samples, held-out))
        fld_gap = 100 (L(generated, training) - L(generated, held-out))

    In the second term the variances are fitted to the other half. 0 is as good as training samples; far above 1000,
    most is copied. `fld_gap` far below 0 means overfitting. Features are standardised by the held-out samples; those
    that do not vary are left out. Constants and draws are those of the authors' code (marcojira/fld, ffbbf20), whose
    numbers in float64 these equal to about 0.01: the last steps of the fit multiply rounding errors.

    Distances of all training samples to all centres are in memory: 400 MB for 10,000 of each.

    Args:
        centres: largest number of generated samples, which are drawn from all; 10,000 in the paper.
        seed: seed of the draws.

    Example:
        >>> import torch
        >>> from zoo.metrics import FLD
        >>> train, held_out, generated = torch.randn(3, 200, 4, generator=torch.Generator().manual_seed(0))
        >>> copying = FLD()
        >>> copying.update(train, real=True, train=True)
        >>> copying.update(held_out, real=True)
        >>> copying.update(train + 1e-4, real=False)
        >>> copying.compute()["fld_gap"] < -300
        tensor(True)
    """

    higher_is_better = False

    def __init__(self, centres: int = 10_000, seed: int = 0) -> None:
        super().__init__()
        require_at_least(2, centres=centres)
        self.centres, self.seed = centres, seed

    def compute(self) -> dict[str, Tensor]:
        """Return `fld` and `fld_gap`."""
        train, held_out, generated = self.three_sets(4)
        draw = np.random.RandomState(self.seed)  # draws in the order of the authors' code
        if len(generated) > self.centres:
            generated = _drawn(generated, self.centres, draw)
        train, held_out, generated = standardised(held_out, train, held_out, generated)
        of_train, of_held_out = _log_likelihoods(generated, train, (train, held_out), draw)
        train = _drawn(train, len(train), draw)
        half = min(len(generated), len(train) // 2)
        (baseline,) = _log_likelihoods(train[:half], train[half:], (held_out,), draw)
        return self.named(fld=100 * (baseline - of_held_out), fld_gap=100 * (of_held_out - of_train))


def _log_likelihoods(
    centres: Tensor, known: Tensor, measured: tuple[Tensor, ...], draw: np.random.RandomState
) -> list[Tensor]:
    """Fit variances to known samples; return the mean log-likelihood of each measured set, per dimension."""
    known = _drawn(known, len(known), draw)
    to_known = squared_distances_of_all(known, centres)
    log_variances = fitted_log_variances(to_known, known)
    del to_known
    return [log_likelihoods(samples, centres, log_variances).mean() for samples in measured]


def _drawn(samples: Tensor, n: int, draw: np.random.RandomState) -> Tensor:
    """Return n samples in random order."""
    return samples[torch.from_numpy(draw.choice(len(samples), n, replace=False)).to(samples.device)]
