"""Adversarial losses of both players, with their gradient penalties.

An objective turns scores into named, weighted loss terms; the training loop sums and logs them. It calls the
discriminator only through `scores`, a method of the model, so penalties on new images work for labelled, growing and
mixed models alike. In the formulas r are the scores (raw logits) of real images and f those of generated images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from zoo.errors import did_you_mean, require_at_least
from zoo.training.batch import Batch
from zoo.training.penalties import (
    PenaltyPrecision,
    Scores,
    check_penalty_precision,
    interpolated_gradient_norms,
    scores_and_gradient_norms,
)

Terms = dict[str, Tensor]


class Objective:
    """A pair of losses. Subclasses define `discriminator_value` and `generator_value` as functions of scores.

    Args:
        r1: weight of the zero-centred gradient penalty on real images, `r1 / 2 * E[|grad D(x)|^2]` (Mescheder et al.
            2018, arXiv:1801.04406, equation 9); 0 for none.
        r2: weight of the same penalty on generated images (equation 10 there); 0 for none.
    """

    pairs = False
    """Whether the losses compare real and generated images pair by pair; the two images of a pair then have one class.
    """

    undecided: float | None = 0.0
    """Score at which the discriminator is undecided: the one that minimises its loss on images that are real or
    generated with equal probability. Images with higher scores count as real. None where scores have no absolute
    meaning, such as those of a Wasserstein critic, to which any constant may be added."""

    penalty_precision: PenaltyPrecision = "float32"
    """Precision of the passes of a gradient penalty, see `input_gradient`; `zoo.GAN` sets it where it is given."""

    affine: bool = False
    """Whether the discriminator is piecewise affine, so that scores and penalties may have one graph, see
    `zoo.training.penalties.affine_scores`; a variant sets it."""

    penalty_factor: float = 1.0
    """Factor on all gradient penalties in this round; `zoo.GAN` sets it. With `penalty_every` = n it is n in every n-th
    round and 0 in the others, in which no penalty is computed."""

    def __init__(self, r1: float = 0.0, r2: float = 0.0) -> None:
        require_at_least(0, r1=r1, r2=r2)
        self.r1, self.r2 = r1, r2

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
        real_scores, fake_scores, penalties = self.scores_and_penalties(scores, real, fake)
        return {"adversarial": self.discriminator_value(real_scores, fake_scores), **penalties}

    def scores_and_penalties(
        self, scores: Scores, real: Batch, fake: Batch, norm_factor: float = 1.0
    ) -> tuple[Tensor, Tensor, Terms]:
        """Score both batches and compute the zero-centred penalties from the same passes.

        Args:
            scores: the model's method that scores batches.
            real: real images.
            fake: generated images.
            norm_factor: factor on the norms of the gradients.

        Returns:
            The scores of the real images, those of the generated ones, and the weighted terms `r1` and `r2` as far as
            they have a weight; a term is 0 in a round without penalties.
        """
        weights = {"r1": self.r1, "r2": self.r2}
        if not (self.penalty_factor and any(weights.values())):
            real_scores, fake_scores = scores(real, fake)
            return real_scores, fake_scores, {name: real_scores.new_zeros(()) for name, w in weights.items() if w}
        values, norms = scores_and_gradient_norms(
            scores, (real, fake), (bool(self.r1), bool(self.r2)), self.penalty_precision, self.affine
        )
        scale = 0.5 * self.penalty_factor * norm_factor**2
        penalties = {
            name: scale * weight * norm.mean()
            for (name, weight), norm in zip(weights.items(), norms)
            if norm is not None
        }
        return values[0], values[1], penalties

    def generator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Return the weighted terms that the generator minimises.

        Args:
            scores: the model's method that scores batches.
            real: real images, which only `Relativistic` uses.
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


class Relativistic(Objective):
    """Relativistic pairing loss with cross entropy (RpGAN; Jolicoeur-Martineau 2018, arXiv:1807.00734, there RSGAN).

    With both penalties it is the loss of R3GAN (Huang et al. 2024, arXiv:2501.05441, section 2).

    The discriminator is to score each real image above the generated image of its pair, and the generator the other way
    round, so no generated image can hide behind others: the loss has no bad local minima of dropped modes (Sun et al.
    2020, arXiv:2011.04926). Without `r1` and `r2` training may diverge (arXiv:2501.05441, section 2.2). Pairs are those
    of equal position in the batch. Only differences of scores have a meaning.
    """

    pairs = True
    undecided = None

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return `E[softplus(-(r - f))]`."""
        real, fake = paired(real, fake)
        return softplus(fake - real).mean()

    def generator_value(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Return `E[softplus(-(f - r))]`; without scores of real images, as if all of these were 0."""
        real, fake = paired(torch.zeros_like(fake) if real is None else real, fake)
        return softplus(real - fake).mean()

    def generator(self, scores: Scores, real: Batch, fake: Batch) -> Terms:
        """Return the adversarial term; the real images are scored without a graph, on which nothing depends."""
        with torch.no_grad():
            (real_scores,) = scores(real)
        (fake_scores,) = scores(fake)
        return {"adversarial": self.generator_value(fake_scores, real_scores)}


def paired(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores of real and generated images as pairs, two tensors of the greater length n of the two.

    Equal lengths are returned as they are. The rows of the shorter tensor are repeated, so that the copies of one row
    are adjacent, as are the generated images of one real image in a step with several for each.
    """
    n = max(len(real), len(fake))
    repeated = (
        rows if len(rows) == n else rows[torch.arange(n, device=rows.device) * len(rows) // n] for rows in (real, fake)
    )
    real, fake = repeated
    return real, fake


class Wasserstein(Objective):
    """Wasserstein distance with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028, equation 3, algorithm 1).

    Checked against the authors' code (igul222/improved_wgan_training, gan_cifar_resnet.py and gan_64x64.py).

    The critic must not couple the images of a batch: the penalty is on each image's own gradient.

    Args:
        penalty: weight of the two-sided gradient penalty, the paper's lambda.
        target_norm: norm that the penalty demands of the critic's gradient, 1 in the paper.
        r1: weight of a further, zero-centred penalty on real images; 0 for none.
        r2: weight of a further, zero-centred penalty on generated images; 0 for none.
    """

    undecided = None
    penalty_precision: PenaltyPrecision = "mixed"  # as good as float32 where measured: studies/penalty_precision.py

    def __init__(self, penalty: float = 10.0, target_norm: float = 1.0, r1: float = 0.0, r2: float = 0.0) -> None:
        super().__init__(r1, r2)
        require_at_least(0, penalty=penalty)
        if not 0 < target_norm < math.inf:
            raise ValueError(f"target_norm, which the penalty demands, must be above 0 and finite; got {target_norm}")
        self.penalty, self.target_norm = penalty, target_norm

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

    def gradient_penalty(self, scores: Scores, real: Batch, fake: Batch, norm_factor: float = 1.0) -> Tensor:
        """Compute `penalty * E[(|grad D(x)| - g)^2] / g^2`, a scalar, g the `target_norm`.

        x is one random point on the line between each real image and its generated partner (algorithm 1, lines 5-7).

        Args:
            scores: the model's method that scores batches.
            real: real images.
            fake: generated images.
            norm_factor: factor on the norms of the gradients.
        """
        if not self.penalty_factor:
            return real.images.new_zeros(())
        norms = interpolated_gradient_norms(scores, real, fake, self.penalty_precision) * norm_factor
        weight = self.penalty_factor * self.penalty / self.target_norm**2
        penalty: Tensor = weight * (norms - self.target_norm).square().mean()
        return penalty


OBJECTIVES: dict[str, type[Objective]] = {
    "non_saturating": NonSaturating,
    "saturating": Saturating,
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "relativistic": Relativistic,
}


def objective(name: str, r1: float = 0.0, r2: float = 0.0) -> Objective:
    """Return the objective that recipes call `name`.

    Args:
        name: one of `OBJECTIVES`.
        r1: weight of the zero-centred gradient penalty on real images; 0 for none.
        r2: weight of the zero-centred gradient penalty on generated images; 0 for none.

    Raises:
        ValueError: for an unknown name, or a weight that is negative or not finite.
    """
    if name not in OBJECTIVES:
        raise _unknown(name, OBJECTIVES)
    return OBJECTIVES[name](r1=r1, r2=r2)


def _unknown(name: str, names: Iterable[str]) -> ValueError:
    hint = did_you_mean(name, names, lists=False)
    return ValueError(f"objective is one of {', '.join(names)}; got {name!r}.{hint}")


def critic_objective(name: str, penalty: float, target_norm: float = 1.0) -> Objective:
    """Return the objective of this name for a model that is offered the Wasserstein distance too.

    Args:
        name: `wasserstein`, or one of `OBJECTIVES`.
        penalty: weight of the gradient penalty of `wasserstein`, for which alone it is used.
        target_norm: norm that this penalty demands.

    Raises:
        ValueError: for an unknown name, or a weight that is negative or not finite.
    """
    if name == "wasserstein":
        return Wasserstein(penalty, target_norm)
    if name not in OBJECTIVES:
        raise _unknown(name, ("wasserstein", *OBJECTIVES))
    return objective(name)


def set_penalties(
    objective: Objective | None, r1: float, r2: float, precision: PenaltyPrecision | None
) -> PenaltyPrecision:
    """Give an objective the weights of the zero-centred penalties and the precision of all penalties.

    Args:
        objective: the losses of a model, or None for one with losses of its own.
        r1: weight of the penalty on real images; 0 leaves the objective's own.
        r2: weight of the penalty on generated images; 0 leaves the objective's own.
        precision: precision of the passes of all gradient penalties; None for the objective's own.

    Returns:
        The precision; float32 for losses of the model's own, unless it is given.

    Raises:
        ValueError: for a negative weight, a weight without an objective that could use it, or an unknown precision.
    """
    require_at_least(0, r1=r1, r2=r2)
    own: PenaltyPrecision = "float32" if objective is None else objective.penalty_precision
    chosen = own if precision is None else check_penalty_precision(precision)
    for name, weight in (("r1", r1), ("r2", r2)):
        if weight and objective is None:
            raise ValueError(f"{name}={weight}: this model has losses of its own (objective=None), which must add it")
    if objective is not None:
        objective.r1, objective.r2 = r1 or objective.r1, r2 or objective.r2
        objective.penalty_precision = chosen
    return chosen
