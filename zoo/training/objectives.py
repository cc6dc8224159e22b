"""Adversarial losses of both players, and gradient penalties.

An objective turns scores into named, weighted loss terms; the training loop sums and logs them. It calls the
discriminator only through `scores`, a method of the model, so penalties on new images work for labelled, growing and
mixed models alike. In the formulas r are the scores (raw logits) of real images and f those of generated images.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from zoo.layers.convolution import input_gradients_only
from zoo.training.batch import Batch

Terms = dict[str, Tensor]
PenaltyPrecision = Literal["float32", "mixed"]


class Scores(Protocol):
    """A function that scores batches, in one pass of the network unless a layer mixes the images of a batch."""

    def __call__(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Return a tensor of scores (B,), raw logits, for each batch."""


class Objective:
    """A pair of losses. Subclasses define `discriminator_value` and `generator_value` as functions of scores.

    Args:
        r1: weight of the zero-centred gradient penalty on real images, `r1 / 2 * E[|grad D(x)|^2]` (Mescheder et al.
            2018, arXiv:1801.04406, equation 9); 0 for none.
    """

    undecided: float | None = 0.0
    """Score at which the discriminator is undecided: the one that minimises its loss on images that are real or
    generated with equal probability. Images with higher scores count as real. None where scores have no absolute
    meaning, such as those of a Wasserstein critic, to which any constant may be added."""

    penalty_precision: PenaltyPrecision = "float32"
    """Precision of the passes of a gradient penalty, see `input_gradient`; `zoo.GAN` sets it."""

    def __init__(self, r1: float = 0.0) -> None:
        if r1 < 0:
            raise ValueError(f"r1, the weight of a gradient penalty, must not be negative; got {r1}")
        self.r1 = r1

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss, a scalar, from scores (B,) of real and generated images."""
        raise NotImplementedError

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return the generator's loss, a scalar, from scores (B,) of generated images."""
        raise NotImplementedError

    def discriminator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Return the weighted terms that the discriminator minimises.

        Args:
            scores: the model's method that scores batches.
            real: real images.
            fake: generated images.
        """
        real_scores, fake_scores = scores(real, fake)
        terms = {"adversarial": self.discriminator_value(real_scores, fake_scores)}
        if self.r1:
            terms["r1"] = 0.5 * self.r1 * squared_gradient_norm(scores, real, self.penalty_precision).mean()
        return terms

    def generator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Return the weighted terms that the generator minimises.

        Args:
            scores: the model's method that scores batches.
            real: real images, which only relativistic objectives use.
            fake: generated images.
        """
        (fake_scores,) = scores(fake)
        return {"adversarial": self.generator_value(fake_scores)}


class NonSaturating(Objective):
    """Binary cross entropy; the generator maximises log D(G(z)) (Goodfellow et al. 2014, arXiv:1406.2661, section 3).

    The two halves of the discriminator's loss are summed, not averaged, as in the authors' DCGAN code.
    """

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return `E[softplus(-r)] + E[softplus(f)]`, which is `-E[log D(x)] - E[log(1 - D(G(z)))]`."""
        return softplus(-real).mean() + softplus(fake).mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return `E[softplus(-f)]`, which is `-E[log D(G(z))]`."""
        return softplus(-fake).mean()


class Saturating(NonSaturating):
    """The minimax game itself: the generator minimises log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return `-E[softplus(f)]`, which is `E[log(1 - D(G(z)))]`."""
        return -softplus(fake).mean()


class Hinge(Objective):
    """Hinge loss (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17)."""

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return `E[relu(1 - r)] + E[relu(1 + f)]`."""
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return `-E[f]`."""
        return -fake.mean()


class LeastSquares(Objective):
    """Least squares with targets 0, 1 and 1 (Mao et al. 2017, arXiv:1611.04076, equation 9)."""

    undecided = 0.5  # midway between the targets of generated (0) and real images (1)

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return `E[(r - 1)^2] / 2 + E[f^2] / 2`."""
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return `E[(f - 1)^2] / 2`."""
        return 0.5 * (fake - 1).square().mean()


class Wasserstein(Objective):
    """Wasserstein distance with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028, equation 3, algorithm 1).

    Checked against the authors' code (igul222/improved_wgan_training, gan_cifar_resnet.py and gan_64x64.py).

    The critic must not couple the images of a batch: the penalty is on each image's own gradient.

    Args:
        penalty: weight of the two-sided gradient penalty, the paper's lambda.
    """

    undecided = None

    def __init__(self, penalty: float = 10.0) -> None:
        super().__init__()
        if penalty < 0:
            raise ValueError(f"penalty, the weight of the gradient penalty, must not be negative; got {penalty}")
        self.penalty = penalty

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return `E[f] - E[r]`."""
        return fake.mean() - real.mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return `-E[f]`."""
        return -fake.mean()

    def discriminator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Return the terms `adversarial` and `gradient_penalty`; the i-th real and generated image form a pair."""
        terms = super().discriminator(scores, real, fake)
        return {**terms, "gradient_penalty": self.gradient_penalty(scores, real, fake)}

    def gradient_penalty(self, scores: Scores, real: Batch, fake: Batch) -> Tensor:
        """Compute `penalty * E[(|grad D(x)| - 1)^2]`, a scalar.

        x is one random point on the line between each real image and its generated partner (algorithm 1, lines 5-7).
        """
        norms = interpolated_gradient_norms(scores, real, fake, self.penalty_precision)
        penalty: Tensor = self.penalty * (norms - 1).square().mean()
        return penalty


OBJECTIVES: dict[str, type[Objective]] = {
    "non_saturating": NonSaturating,
    "saturating": Saturating,
    "hinge": Hinge,
    "least_squares": LeastSquares,
}


def objective(name: str, r1: float = 0.0) -> Objective:
    """Return the objective that recipes call `name`.

    Args:
        name: one of `OBJECTIVES`.
        r1: weight of the zero-centred gradient penalty on real images; 0 for none.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective is one of {', '.join(OBJECTIVES)}; got {name!r}")
    return OBJECTIVES[name](r1=r1)


def check_penalty_precision(precision: str) -> PenaltyPrecision:
    """Return a precision of gradient penalties.

    Raises:
        ValueError: when it is not offered.
    """
    for known in get_args(PenaltyPrecision):
        if precision == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(
        f"penalty_precision is float32, or mixed for that of the networks in a bf16-mixed run; got {precision!r}"
    )


def input_gradient(scores: Scores, batch: Batch, precision: PenaltyPrecision = "float32") -> Tensor:
    """Compute the gradient of each score by its own image: (B, C, H, W), float32, with its graph.

    The result can be differentiated by the discriminator's weights. Do so outside autocast, or that backward pass casts
    to bf16 again; the loop of `zoo.GAN` does.

    Args:
        scores: the model's method that scores batches.
        batch: images (B, C, H, W) and their labels.
        precision: `float32` computes without autocast; `mixed` in the precision of autocast, so in bf16 in a run with
            bf16-mixed: about half the time on processors with bf16 units. The convolutions must then be those of
            `zoo.layers.convolution`, since torch's second derivative is wrong in bf16 on some processors.
    """
    device = batch.images.device.type
    with torch.autocast(device, enabled=False) if precision == "float32" else nullcontext():
        images = batch.images.detach().float().requires_grad_(True)
        (values,) = scores(Batch(images, batch.labels))
        with input_gradients_only():
            (gradient,) = torch.autograd.grad(values.sum(), images, create_graph=True)
        return gradient


def squared_gradient_norm(scores: Scores, batch: Batch, precision: PenaltyPrecision = "float32") -> Tensor:
    """Compute the squared norm (B,), over channels and pixels, of each score's gradient by its own image."""
    return input_gradient(scores, batch, precision).square().flatten(1).sum(1)


def interpolated_gradient_norms(
    scores: Scores, real: Batch, fake: Batch, precision: PenaltyPrecision = "float32"
) -> Tensor:
    """Compute the norms (B,) of the scores' gradients at one random point between each real and generated image.

    Each pair has one random position, uniform on the line between both images, and one norm, over all channels and
    pixels. In the conditional case the points have the labels of the generated images, which are those of the real
    images. The norm has no epsilon: its gradient is taken as 0 where the norm is 0, so a critic that is flat somewhere
    gives no NaN.
    """
    start, end = real.images.detach().float(), fake.images.detach().float()
    position = torch.rand(len(start), *[1] * (start.ndim - 1), device=start.device)
    between = Batch(start + position * (end - start), fake.labels)
    norms: Tensor = torch.linalg.vector_norm(input_gradient(scores, between, precision).flatten(1), dim=1)
    return norms
