"""What each side minimises: adversarial objectives and gradient penalties.

An objective turns scores into named, weighted terms; the loop sums and logs them. It is handed `scores`, the model's
own way to call its discriminator, so a penalty on new images carries labels, growth and mixtures without knowing them.
Scores are raw logits (B,). r = scores of real images, f = scores of generated ones.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from zoo.batch import Batch

Terms = dict[str, Tensor]


class Scores(Protocol):
    """Scores one or more batches: (B,) logits for each, in one pass of the network where no layer couples a batch."""

    def __call__(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Return one tensor of scores (B,) for each batch."""


class Objective:
    """A pair of losses. Subclasses define `discriminator_value` and `generator_value` on scores.

    Args:
        r1: weight of the zero-centred penalty on real images, `r1 / 2 * E[|grad D(x)|^2]` (Mescheder et al. 2018,
            arXiv:1801.04406, equation 9). 0: none.
    """

    def __init__(self, r1: float = 0.0) -> None:
        if r1 < 0:
            raise ValueError(f"r1, the weight of a gradient penalty, must not be negative; got {r1}")
        self.r1 = r1

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Loss of the discriminator, a scalar, from scores (B,) of real and generated images."""
        raise NotImplementedError

    def generator_value(self, fake: Tensor) -> Tensor:
        """Loss of the generator, a scalar, from scores (B,) of generated images."""
        raise NotImplementedError

    def discriminator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Weighted terms that the discriminator minimises."""
        real_scores, fake_scores = scores(real, fake)
        terms = {"adversarial": self.discriminator_value(real_scores, fake_scores)}
        if self.r1:
            terms["r1"] = 0.5 * self.r1 * squared_gradient_norm(scores, real).mean()
        return terms

    def generator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Weighted terms that the generator minimises. `real` is there for relativistic objectives."""
        (fake_scores,) = scores(fake)
        return {"adversarial": self.generator_value(fake_scores)}


class NonSaturating(Objective):
    """Binary cross entropy; the generator maximises log D(G(z)) (Goodfellow et al. 2014, arXiv:1406.2661, section 3).

    The two halves of the discriminator's loss are summed, not averaged, as in the authors' DCGAN code.
    """

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[softplus(-r)] + E[softplus(f)]."""
        return softplus(-real).mean() + softplus(fake).mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """E[softplus(-f)]."""
        return softplus(-fake).mean()


class Saturating(NonSaturating):
    """The minimax game itself: the generator minimises log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""

    def generator_value(self, fake: Tensor) -> Tensor:
        """-E[softplus(f)]."""
        return -softplus(fake).mean()


class Hinge(Objective):
    """Hinge loss (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17)."""

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[relu(1 - r)] + E[relu(1 + f)]."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """-E[f]."""
        return -fake.mean()


class LeastSquares(Objective):
    """Least squares with targets 0, 1 and 1 (Mao et al. 2017, arXiv:1611.04076, equation 9)."""

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[(r - 1)^2] / 2 + E[f^2] / 2."""
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())

    def generator_value(self, fake: Tensor) -> Tensor:
        """E[(f - 1)^2] / 2."""
        return 0.5 * (fake - 1).square().mean()


OBJECTIVES: dict[str, type[Objective]] = {
    "non_saturating": NonSaturating,
    "saturating": Saturating,
    "hinge": Hinge,
    "least_squares": LeastSquares,
}


def objective(name: str, r1: float = 0.0) -> Objective:
    """The objective called `name` in recipes.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective is one of {', '.join(OBJECTIVES)}; got {name!r}")
    return OBJECTIVES[name](r1=r1)


def squared_gradient_norm(scores: Scores, batch: Batch) -> Tensor:
    """Squared norm, over all channels and pixels, of each score's gradient with respect to its own image: (B,).

    Computed in float32 also under autocast: bf16 keeps 8 bits, too few for a second derivative. The result can be
    differentiated with respect to the discriminator's weights.
    """
    with torch.autocast(batch.images.device.type, enabled=False):
        images = batch.images.detach().float().requires_grad_(True)
        (values,) = scores(Batch(images, batch.labels))
        (gradient,) = torch.autograd.grad(values.sum(), images, create_graph=True)
        return gradient.square().flatten(1).sum(1)
