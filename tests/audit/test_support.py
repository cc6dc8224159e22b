"""How many distinct images: planted supports are estimated, distinct images are no duplicates."""

from __future__ import annotations

import math

import pytest
import torch

from tests.helpers.audit_evidence import evidence, images, split
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Finite, Honest
from zoo.audit.questions.support import PAGE_REPEATS, run
from zoo.audit.statistics.birthday import (
    Duplicates,
    estimate_support,
    find_duplicates,
    first_collision,
    fit_thresholds,
)
from zoo.audit.statistics.distances import closest_pairs


def equal_draws(drawn: torch.Tensor) -> Duplicates:
    """Pairs of equal draws."""
    equal = drawn[:, None] == drawn
    i, j = equal.triu(1).nonzero(as_tuple=True)
    return Duplicates(len(drawn), len(i), equal.sum(1) - 1, i, j)


def alike_by_chance(n: int, count: int) -> Duplicates:
    """So many pairs of n different images pass as the same one."""
    return Duplicates(n, count, torch.zeros(n), torch.empty(0), torch.empty(0))


def test_the_closest_pairs_are_those_of_all_distances() -> None:
    x = torch.randn(3_000, 3, generator=torch.Generator().manual_seed(0))  # two tiles
    distances, i, j = closest_pairs(x, 50)
    every = torch.pdist(x.double()).sort().values
    assert torch.allclose(distances, every[:50])
    assert bool((i < j).all())
    assert torch.allclose((x[i].double() - x[j].double()).norm(dim=1), distances)


def test_as_many_pairs_pass_as_were_allowed() -> None:
    x = images(400, 3).flatten(1)
    thresholds = fit_thresholds([x, x[:, ::2]], 5)
    assert find_duplicates([x, x[:, ::2]], thresholds).count == 5


def test_duplicates_are_counted_over_tiles() -> None:
    x = torch.arange(2_100.0)[:, None].remainder(700)  # 700 values, three of each
    found = find_duplicates([x], fit_thresholds([torch.arange(500.0)[:, None] * 0.5], 1))
    assert found.count == 700 * 3
    assert bool((found.degrees == 2).all())
    assert found.pairs == 2_100 * 2_099 // 2


@pytest.mark.parametrize("k", [50, 500])
def test_the_interval_holds_an_even_support(k: int) -> None:
    held = 0
    for seed in range(20):
        drawn = torch.randint(k, (400,), generator=torch.Generator().manual_seed(seed))
        found = estimate_support(equal_draws(drawn), alike_by_chance(400, 0))
        held += found.low <= k <= found.high
        assert k / 1.5 < found.size < 1.5 * k
        assert found.significant
    assert held >= 18


def test_uneven_supports_count_by_their_squared_chances() -> None:
    chances = torch.tensor([0.5] + [0.5 / 1_000] * 1_000)
    drawn = torch.multinomial(chances, 2_000, replacement=True, generator=torch.Generator().manual_seed(0))
    found = estimate_support(equal_draws(drawn), alike_by_chance(2_000, 0))
    assert found.low < 1 / float(chances.square().sum()) < found.high


def test_two_images_of_a_small_support_may_pass_as_one() -> None:
    held = {0: 0, 5: 0}
    for seed in range(10):
        drawn = torch.randint(100, (4_000,), generator=torch.Generator().manual_seed(seed))
        drawn[drawn == 1] = 0  # image 1 passes as image 0
        sample = equal_draws(drawn)
        for pairs in held:  # of 750 different images
            found = estimate_support(sample, alike_by_chance(750, pairs))
            held[pairs] += found.low <= 100 <= found.high
            assert 95 < found.low < found.size < 101, "the pairs can be fewer by chance, not more"
    assert held[0] <= 2, "where no two images ever pass as one, the support is smaller"
    assert held[5] >= 9


def test_the_first_collision_follows_the_birthday_problem() -> None:
    drawn = torch.randint(365, (400,), generator=torch.Generator().manual_seed(0))
    found = first_collision(equal_draws(drawn), 400, seed=0)
    assert abs(float((found <= 23).double().mean()) - 0.507) < 0.12


def test_planted_supports_raise_alarms_and_are_estimated() -> None:
    train, held_out, spare = split(0)
    for k in (10, 100):
        found = run(evidence(Finite(spare, k), train, held_out))
        assert found.flags.keys() == {"collapsed"}
        assert found["support"].low <= k <= found["support"].high
        assert found["support of 100 planted images"].low <= 100 <= found["support of 100 planted images"].high
        assert "A page of 100" in found.answer


def test_honest_images_raise_no_alarm() -> None:
    for seed in range(5):
        train, held_out, spare = split(seed)
        found = run(evidence(Honest(spare), train, held_out, seed))
        assert found.status == "passed"
        assert math.isinf(found["support"].high)


def test_a_page_of_a_hundred_repeats_itself_at_even_odds() -> None:
    assert 1 - math.exp(-100 * 99 / (2 * PAGE_REPEATS)) == pytest.approx(0.5)


def test_too_few_images_say_how_many_are_needed() -> None:
    train, held_out, spare = split(0)
    with pytest.raises(NotApplicable, match=r"at least 150 held-out images.*got 140 and 600"):
        run(evidence(Honest(spare), train, held_out[:140]))
