"""The exchange test at several depths: exact by enumeration, and more sensitive to a few copies than one of all."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from zoo.audit.statistics.closest import crossing_probability, depths, scan, tail_probabilities
from zoo.audit.statistics.memory import RealNeighbours


def neighbours(trained: torch.Tensor, train: int, held_out: int) -> RealNeighbours:
    """Queries, the closest first, each nearest to another real image: a training image where `trained` (N,) says so."""
    rng = torch.Generator().manual_seed(0)
    known, new = torch.randperm(train, generator=rng), torch.randperm(held_out, generator=rng) + train
    winners = torch.where(trained, known[trained.long().cumsum(0) - 1], new[(~trained).long().cumsum(0) - 1])
    return RealNeighbours(torch.linspace(0.1, 0.9, len(trained), dtype=torch.float64), winners, train, held_out)


FAR = torch.ones(2_000, dtype=torch.float64)  # ratios of held-out images none of which is close


def test_depths_end_with_all_images() -> None:
    assert depths(0) == []
    assert depths(3) == [3]
    found = depths(1_000)
    assert found[-1] == 1_000
    assert found == sorted(set(found))
    assert 8 <= found[0] < 16


def test_a_single_depth_is_the_exchange_test() -> None:
    for trained in (3, 7, 9):
        expected = stats.hypergeom.sf(trained - 1, 50, 30, 10)
        assert crossing_probability([10], [trained], 30, 20) == pytest.approx(expected, rel=1e-12)
        assert tail_probabilities(10, 30, 20)[trained] == pytest.approx(expected, rel=1e-12)


def test_the_correction_is_exact() -> None:
    """All orders of four training and three held-out images."""
    orders = np.array(list(permutations([1, 1, 1, 1, 0, 0, 0])))
    for at, bounds in (([2, 4, 6], [2, 4, 4]), ([1, 3, 5], [1, 3, 4]), ([3, 7], [3, 4])):
        reached = np.zeros(len(orders), bool)
        for depth, bound in zip(at, bounds):
            reached |= orders[:, :depth].sum(1) >= bound
        assert crossing_probability(at, bounds, 4, 3) == pytest.approx(reached.mean(), rel=1e-12)
    assert crossing_probability([2, 4], [3, 5], 4, 3) == 0  # cannot be reached


def test_p_values_are_those_of_a_shuffled_deck() -> None:
    rng, p = torch.Generator().manual_seed(0), []
    for _ in range(400):
        deck = torch.rand(1_000, generator=rng).argsort() < 700
        p.append(scan(neighbours(deck[:120], 700, 300), FAR).p)
    for level in (0.5, 0.2, 0.05):
        hits = sum(value <= level for value in p)
        assert hits <= stats.binom.isf(0.001, 400, level), level  # never more often than the level says
        assert hits >= stats.binom.isf(0.999, 400, 0.6 * level), level  # and hardly more rarely


def test_a_few_copies_among_many_images_are_found_at_their_depth() -> None:
    rng = torch.Generator().manual_seed(1)
    honest = torch.rand(450, generator=rng) < 0.76
    deck = torch.cat([torch.ones(50, dtype=torch.bool), honest])
    found = scan(neighbours(deck, 7_600, 2_400), FAR)
    assert found.p < 1e-4
    assert 40 <= found.exchange.winners <= 70
    assert found.exchange.train_winners >= found.exchange.winners - 3
    assert neighbours(deck, 7_600, 2_400).exchange().p > 1e-3  # the test of all of them does not


def test_each_real_image_counts_once() -> None:
    one = RealNeighbours(torch.full((60,), 0.1), torch.zeros(60, dtype=torch.long), 50, 50)
    assert scan(one, FAR).exchange.winners == 1
    assert scan(one, FAR).p == pytest.approx(0.5)
    nothing = RealNeighbours(torch.empty(0), torch.empty(0, dtype=torch.long), 50, 50)
    assert scan(nothing, FAR).p == 1.0


def test_images_that_are_as_close_as_held_out_ones_are_no_copies() -> None:
    """The second condition can only raise the p-value."""
    deck = torch.cat([torch.ones(50, dtype=torch.bool), torch.arange(450) % 4 > 0])
    made = neighbours(deck, 7_600, 2_400)
    found = scan(made, torch.linspace(0.5, 0.9, 500, dtype=torch.float64))
    assert (found.n, found.null_n, found.null_hits) == (500, 500, 0)
    assert found.hits == found.exchange.winners  # each is nearest to another real image
    assert found.excess == found.hits / 500
    alike = scan(made, made.ratios)
    assert alike.p > 0.4
    assert alike.excess == 0


def test_copies_that_are_missed_do_not_hide_the_others() -> None:
    """Nearly all are copies, so most evidence is at the last depth, which holds images as far off as honest ones."""
    deck = torch.ones(400, dtype=torch.bool)
    made = neighbours(deck, 1_000, 1_000)
    ratios = torch.cat([torch.full((390,), 0.2), torch.full((10,), 1.5)]).double()
    found = scan(RealNeighbours(ratios, made.winners, 1_000, 1_000), FAR)
    assert found.p < 1e-12
    assert found.exchange.winners < 390
