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

from zoo.training.batch import Batch

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


class Wasserstein(Objective):
    """Wasserstein distance with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028, equation 3, algorithm 1).

    Checked against the authors' code (igul222/improved_wgan_training, gan_cifar_resnet.py and gan_64x64.py).

    The critic must not couple the images of a batch: the penalty is on each image's own gradient.

    Args:
        penalty: weight of the two-sided penalty, the paper's lambda.
    """

    def __init__(self, penalty: float = 10.0) -> None:
        super().__init__()
        if penalty < 0:
            raise ValueError(f"penalty, the weight of the gradient penalty, must not be negative; got {penalty}")
        self.penalty = penalty

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """E[f] - E[r]."""
        return fake.mean() - real.mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """-E[f]."""
        return -fake.mean()

    def discriminator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Weighted terms `adversarial` and `gradient_penalty`; the i-th real and generated image make a pair."""
        terms = super().discriminator(scores, real, fake)
        return {**terms, "gradient_penalty": self.gradient_penalty(scores, real, fake)}

    def gradient_penalty(self, scores: Scores, real: Batch, fake: Batch) -> Tensor:
        """`penalty * E[(|grad f(x)| - 1)^2]`, a scalar, at one random point between each real and generated image."""
        penalty: Tensor = self.penalty * (interpolated_gradient_norms(scores, real, fake) - 1).square().mean()
        return penalty


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


def input_gradient(scores: Scores, batch: Batch) -> Tensor:
    """Gradient of each score with respect to its own image: (B, C, H, W), float32, with its graph.

    Computed in float32 also under autocast: bf16 keeps 8 bits, too few for a second derivative. The result can be
    differentiated with respect to the discriminator's weights; do so outside autocast, or that backward pass casts to
    bf16 again (the loop of `zoo.GAN` takes care).
    """
    with torch.autocast(batch.images.device.type, enabled=False):
        images = batch.images.detach().float().requires_grad_(True)
        (values,) = scores(Batch(images, batch.labels))
        (gradient,) = torch.autograd.grad(values.sum(), images, create_graph=True)
        return gradient


def squared_gradient_norm(scores: Scores, batch: Batch) -> Tensor:
    """Squared norm, over all channels and pixels, of each score's gradient with respect to its own image: (B,)."""
    return input_gradient(scores, batch).square().flatten(1).sum(1)


def interpolated_gradient_norms(scores: Scores, real: Batch, fake: Batch) -> Tensor:
    """Norms (B,) of the scores' gradients at one random point between each real and generated image.

    One position for each pair and one norm for each image, over all its channels and pixels. In the conditional case
    real and generated images share their labels, and so do the points between. There is no epsilon in the norm: its
    gradient is taken as 0 where the norm is 0, so a critic that is flat somewhere gives no NaN.
    """
    start, end = real.images.detach().float(), fake.images.detach().float()
    where = torch.rand(len(start), *[1] * (start.ndim - 1), device=start.device)
    between = Batch(start + where * (end - start), fake.labels)
    slopes: Tensor = torch.linalg.vector_norm(input_gradient(scores, between).flatten(1), dim=1)
    return slopes
