"""Authenticity (Alaa et al. 2022, arXiv:2102.08921)."""

from __future__ import annotations

from torch import Tensor

from zoo.metrics.accumulate import require_samples
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs


class Authenticity(DistanceMetric):
    """Share of generated samples that are no near copies of a training sample, in [0, 1]. Higher is better.

    A generated sample is authentic if it is farther from its nearest training sample than that one is from its own
    nearest other training sample:

        authentic(y) = d(x*, nearest other x) < d(y, x*),    x* the training sample nearest to y

    The real samples must be those that the model was trained on. A model that knows nothing of its training samples
    gets 1/3 for features of one dimension and up to 1/2 for many, so compare with the share of held-out samples, which
    is the floor. 100 times the share equals `compute_authpct` of layer6ai-labs/dgm-eval (74c79f7); marcojira/fld takes
    at most 10,000 samples and subtracts 50. The code of the paper (vanderschaarlab/evaluating-generative-models,
    093910e) averages over training samples instead, and looks up their distances with the generated samples' indices.

    Example:
        >>> import torch
        >>> from zoo.metrics import Authenticity
        >>> metric = Authenticity()
        >>> metric.update(torch.tensor([[0.0], [1.0], [3.0]]), real=True)
        >>> metric.update(torch.tensor([[0.1], [5.5]]), real=False)  # a near copy of 0, and a sample of its own
        >>> metric.compute()["authenticity"].item()
        0.5
    """

    higher_is_better = True

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the nearest training samples; see `DistanceMetric.needs`."""
        require_samples(1, "authenticity", len(fake))
        return Needs(nearest=True)

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `authenticity`; see `DistanceMetric.numbers`."""
        assert found.to_real is not None
        assert found.spacing is not None
        return self.named(authenticity=(found.spacing < found.to_real).double().mean())
