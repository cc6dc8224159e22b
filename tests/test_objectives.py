import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo.batch import Batch
from zoo.objectives import OBJECTIVES, NonSaturating, Scores, objective, squared_gradient_norm

REAL, FAKE = torch.tensor([2.0, -0.5, 0.3]), torch.tensor([-1.0, 0.7, 3.0])


def test_cross_entropy_agrees_with_torch() -> None:
    loss = NonSaturating()
    ones, zeros = torch.ones(3), torch.zeros(3)
    expected = binary_cross_entropy_with_logits(REAL, ones) + binary_cross_entropy_with_logits(FAKE, zeros)
    torch.testing.assert_close(loss.discriminator_value(REAL, FAKE), expected)
    torch.testing.assert_close(loss.generator_value(FAKE), binary_cross_entropy_with_logits(FAKE, ones))


def test_the_minimax_value_at_a_discriminator_that_cannot_tell_is_2_log_2() -> None:
    zero = torch.zeros(5)
    assert float(NonSaturating().discriminator_value(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(objective("saturating").generator_value(zero)) == pytest.approx(-math.log(2))


def test_hinge_and_least_squares_by_hand() -> None:
    hinge, squares = objective("hinge"), objective("least_squares")
    assert float(hinge.discriminator_value(REAL, FAKE)) == pytest.approx((0 + 1.5 + 0.7) / 3 + (0 + 1.7 + 4.0) / 3)
    assert float(hinge.generator_value(FAKE)) == pytest.approx(-2.7 / 3)
    assert float(squares.discriminator_value(REAL, FAKE)) == pytest.approx((1 + 2.25 + 0.49) / 6 + (1 + 0.49 + 9) / 6)
    assert float(squares.generator_value(FAKE)) == pytest.approx((4 + 0.09 + 4) / 6)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_generator_wants_higher_scores(name: str) -> None:
    scores = torch.tensor([-0.4, 0.2], requires_grad=True)
    objective(name).generator_value(scores).backward()
    assert scores.grad is not None
    assert (scores.grad < 0).all()


def linear(weight: Tensor) -> Scores:
    def scores(*batches: Batch) -> tuple[Tensor, ...]:
        return tuple((batch.images.flatten(1) * weight).sum(1) for batch in batches)

    return scores


def test_the_penalty_of_a_linear_discriminator_is_its_squared_norm() -> None:
    weight = torch.randn(12, requires_grad=True)
    batch = Batch(torch.randn(5, 3, 2, 2))
    penalty = squared_gradient_norm(linear(weight), batch)
    torch.testing.assert_close(penalty, weight.square().sum().expand(5))
    (gradient,) = torch.autograd.grad(penalty.mean(), weight)
    torch.testing.assert_close(gradient, 2 * weight.detach())


def test_r1_adds_a_named_term_with_half_its_weight() -> None:
    weight = torch.ones(4)
    batch = Batch(torch.zeros(2, 1, 2, 2))
    terms = NonSaturating(r1=3.0).discriminator(linear(weight), batch, batch)
    assert set(terms) == {"adversarial", "r1"}
    assert float(terms["r1"]) == pytest.approx(0.5 * 3.0 * 4.0)


def test_the_penalty_is_computed_in_float32_under_autocast() -> None:
    layer = torch.nn.Linear(4, 1)

    def scores(*batches: Batch) -> tuple[Tensor, ...]:
        return tuple(layer(batch.images.flatten(1)).flatten() for batch in batches)

    with torch.autocast("cpu", torch.bfloat16):
        penalty = squared_gradient_norm(scores, Batch(torch.randn(3, 1, 2, 2)))
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, layer.weight.detach().square().sum().expand(3))


def test_unknown_objectives_and_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"objective is one of non_saturating, .*; got 'wgan'"):
        objective("wgan")
    with pytest.raises(ValueError, match="must not be negative; got -1"):
        objective("hinge", r1=-1)
