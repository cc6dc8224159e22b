"""The weights of a mixture: exponentiated gradient, regulariser, and resampling of rows by weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zoo.models.mix.mixture import Mixture, regularisation
from zoo.models.mix.payoff import resampled
from zoo.training.batch import Batch


def mixture(weights: list[float] | int) -> Mixture:
    """Return a mixture of this number of networks, or with these weights."""
    found = Mixture([nn.Identity() for _ in range(weights if isinstance(weights, int) else len(weights))])
    if not isinstance(weights, int):
        found.log_weights.copy_(torch.tensor(weights).log())
        found.step(0.0)
    return found


def move(side: Mixture, loss: Tensor, rate: float) -> None:
    side.weights.grad = None
    loss.backward()
    side.step(rate)


def test_weights_follow_the_closed_form_of_a_fixed_payoff_matrix() -> None:
    payoff = torch.tensor([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]])
    rows, columns = mixture([0.6, 0.4]), mixture([0.2, 0.3, 0.5])
    steps, rate = 50, 0.02
    expected = torch.tensor([0.6, 0.4], dtype=torch.float64)
    gradient = payoff.double() @ torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    expected = expected * torch.exp(-rate * steps * gradient)  # steps add up in the exponent
    for _ in range(steps):
        move(rows, rows.weights @ payoff @ columns.weights.detach(), rate)
    torch.testing.assert_close(rows.weights.double().detach(), expected / expected.sum(), atol=1e-6, rtol=0)


def test_on_matching_pennies_the_average_play_is_half_and_half() -> None:
    payoff = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # the row player minimises it, the column player its negative
    rows, columns = mixture([0.9, 0.1]), mixture([0.3, 0.7])
    played = torch.zeros(2, 2)
    steps = 8000
    for _ in range(steps):
        played += torch.stack([rows.weights.detach(), columns.weights.detach()]) / steps
        before = columns.weights.detach().clone()
        columns_gradient = -(rows.weights.detach() @ payoff)
        move(rows, rows.weights @ payoff @ before, 0.01)
        move(columns, columns_gradient @ columns.weights, 0.01)
    torch.testing.assert_close(played, torch.full((2, 2), 0.5), atol=0.01, rtol=0)


@pytest.mark.parametrize("form", ["cross_entropy", "shannon"])
def test_the_regulariser_alone_leads_to_equal_weights(form: str) -> None:
    side = mixture([0.9, 0.06, 0.03, 0.01])
    for _ in range(6000):
        move(side, regularisation(side.probabilities(), form), 0.02)  # type: ignore[arg-type]
    torch.testing.assert_close(side.weights.detach(), torch.full((4,), 0.25), atol=1e-3, rtol=0)


def test_the_two_regularisers_by_hand() -> None:
    weights = torch.tensor([0.5, 0.25, 0.25])
    log2 = torch.tensor(2.0).log()
    torch.testing.assert_close(regularisation(weights), 5 / 3 * log2)
    torch.testing.assert_close(regularisation(weights, "shannon"), -1.5 * log2)


def test_weights_stay_positive_and_sum_to_one() -> None:
    side = mixture(5)
    direction = torch.tensor([3.0, 1.0, 0.0, -1.0, -3.0])  # always against the same members, nothing in the way
    rounds = torch.randn(1000, 5, generator=torch.Generator().manual_seed(0))
    lowest, furthest = torch.tensor(1.0), torch.tensor(0.0)
    for i in range(10_000):
        side.weights.grad = direction + rounds[i % 1000]
        side.step(0.1)
        if i % 20 == 0:
            lowest = torch.minimum(lowest, side.weights.min())
            furthest = torch.maximum(furthest, (side.weights.sum() - 1).abs())
    assert 0 < lowest < 1e-20  # the losers were driven as low as they go
    assert furthest < 1e-6


def test_under_an_optimizer_the_logarithms_learn_and_the_weights_follow() -> None:
    side = Mixture([nn.Identity(), nn.Identity()], "optimizer")
    assert [name for name, _ in side.named_parameters()] == ["log_weights"]
    optimizer = torch.optim.SGD([side.log_weights], lr=1.0)  # type: ignore[list-item]
    (side.probabilities() @ torch.tensor([1.0, 0.0])).backward()
    optimizer.step()
    side.step(0.0)
    torch.testing.assert_close(side.weights, torch.tensor([-0.25, 0.25]).softmax(0))


def test_an_unknown_update_is_refused() -> None:
    with pytest.raises(ValueError, match="weight_update is one of exponentiated_gradient, optimizer; got 'sgd'"):
        Mixture([nn.Identity()], "sgd")  # type: ignore[arg-type]


def test_a_mixture_of_one_has_nothing_to_learn() -> None:
    assert not list(mixture(1).parameters())


def test_resampling_keeps_every_row_once_where_weights_are_equal() -> None:
    fake = Batch(torch.arange(20.0).view(20, 1, 1, 1), torch.arange(20))
    mixed = resampled(fake, torch.full((5,), 0.2))
    assert torch.equal(mixed.images, fake.images)
    assert mixed.labels is not None
    assert torch.equal(mixed.labels, torch.arange(20))


def test_resampling_takes_members_by_weight() -> None:
    weights = torch.tensor([0.5, 0.3, 0.2])
    torch.manual_seed(0)
    member = torch.arange(3).repeat_interleave(torch.tensor([6, 5, 5]))  # 16 rows of three members
    fake = Batch(member.float().view(-1, 1, 1, 1))
    taken = torch.zeros(3)
    draws = 4000
    for _ in range(draws):
        counts = resampled(fake, weights).images.long().flatten().bincount(minlength=3)
        assert counts.sum() == 16
        assert ((counts - 16 * weights).abs() < 1.0 + 1e-4).all()
        taken += counts / draws
    torch.testing.assert_close(taken, 16 * weights, atol=0.05, rtol=0)
