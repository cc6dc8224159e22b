"""LSGAN: Mao, Li, Xie, Lau, Wang and Smolley 2017, "Least Squares Generative Adversarial Networks", arXiv:1611.04076.

Least squares with any targets (equation 2): a for generated images, b for real ones, c for what the generator wants.
The defaults are those of equation 8, with b - c = 1 and b - a = 2, for which the game minimises Pearson's chi-squared
divergence. `objective=least_squares` of every model of the library has the targets 0, 1, 1 of equation 9.

Departs from the paper: the networks are those of `zoo.DCGAN`.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.lsgan.LSGAN
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

import zoo
from zoo.training.contract import given_objective
from zoo.training.objectives import Objective, set_penalties


class Targets(Objective):
    """Least squares with the targets of generated images, of real images, and of the generator.

    Args:
        a: target of the scores of generated images.
        b: target of the scores of real images.
        c: score that the generator wants its images to have.
    """

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.a, self.b, self.c = a, b, c
        self.undecided = (a + b) / 2

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return `E[(r - b)^2] / 2 + E[(f - a)^2] / 2`."""
        return 0.5 * ((real - self.b).square().mean() + (fake - self.a).square().mean())

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return `E[(f - c)^2] / 2`."""
        return 0.5 * (fake - self.c).square().mean()


class LSGAN(zoo.DCGAN):
    """DCGAN with least squares.

    Args:
        a: target of the scores of generated images.
        b: target of the scores of real images.
        c: score that the generator wants its images to have.
        dcgan: settings of `zoo.DCGAN`, but its objective.
    """

    def __init__(self, a: float = -1.0, b: float = 1.0, c: float = 0.0, **dcgan: Any) -> None:
        super().__init__(objective="least_squares", **dcgan)
        given = given_objective(self)
        self.objective = Targets(a, b, c)
        set_penalties(self.objective, given.r1, given.r2, self.penalty_precision)
