"""Tests of the endless sequence of indices: complete, without repetition, and the same from every start."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor

from zoo.data.stream import Stream


def row(stream: Stream, batches: int) -> Tensor:
    """Return the indices of the first batches, one after the other."""
    return torch.cat(list(islice(stream, batches)))


@pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (10, 4), (7, 7), (13, 5)])
def test_every_index_comes_once_in_every_epoch(size: int, batch_size: int) -> None:
    epochs = row(Stream(size, batch_size), 3 * size).view(-1, size)
    assert len(epochs) == 3 * batch_size
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(size))


def test_epochs_have_different_orders() -> None:
    epochs = row(Stream(50, 10), 5 * 10).view(10, 50)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 10


def test_the_order_is_shuffled() -> None:
    assert row(Stream(50, 50), 1).tolist() != list(range(50))


def test_a_batch_crosses_the_border_of_an_epoch() -> None:
    stream = Stream(10, 4, seed=3)
    third = list(islice(stream, 3))[2]
    assert len(third) == 4
    assert third.tolist() == stream.order(0)[8:].tolist() + stream.order(1)[:2].tolist()


def test_a_batch_may_be_larger_than_the_set() -> None:
    batches = list(islice(Stream(3, 8), 3))  # 24 positions, 8 epochs
    assert [len(batch) for batch in batches] == [8, 8, 8]
    assert torch.cat(batches).bincount().tolist() == [8, 8, 8]


def test_a_set_of_one_image_repeats_it() -> None:
    assert row(Stream(1, 3), 2).tolist() == [0] * 6


@pytest.mark.parametrize("start", [0, 1, 6, 9, 10, 11, 25, 1000])
def test_a_stream_entered_later_goes_on_where_the_unbroken_one_would_be(start: int) -> None:
    unbroken = row(Stream(10, 6, seed=5), 200)
    assert row(Stream(10, 6, seed=5, start=start), 8).tolist() == unbroken[start : start + 48].tolist()


def test_iterating_again_starts_again() -> None:
    stream = Stream(10, 3, start=7)
    assert row(stream, 9).tolist() == row(stream, 9).tolist()


def test_going_back_to_an_earlier_epoch_gives_its_order_again() -> None:
    stream = Stream(10, 3)
    first = stream.order(0).tolist()
    stream.order(4)
    assert stream.order(0).tolist() == first


@pytest.mark.parametrize(("ranks", "start"), [(2, 0), (2, 16), (3, 0), (4, 8)])
def test_several_ranks_see_what_one_process_with_the_joined_batch_sees(ranks: int, start: int) -> None:
    each = [
        islice(Stream(13, 4, seed=1, start=start, rank=rank, world_size=ranks), 12) for rank in range(ranks)
    ]  # 13 images: every round crosses the end of an epoch
    one = islice(Stream(13, 4 * ranks, seed=1, start=start), 12)
    for parts, joined in zip(zip(*each), one):
        assert torch.cat(parts).tolist() == joined.tolist()


def test_going_on_with_fewer_ranks_neither_drops_nor_repeats() -> None:
    two = [list(islice(Stream(20, 3, rank=rank, world_size=2), 5)) for rank in range(2)]
    before = torch.cat([torch.cat(pair) for pair in zip(*two)])
    after = row(Stream(20, 3, start=len(before)), 10)
    assert torch.cat([before, after]).tolist() == row(Stream(20, 3), 20).tolist()


def test_the_same_seed_gives_the_same_order() -> None:
    assert row(Stream(30, 7, seed=4), 20).tolist() == row(Stream(30, 7, seed=4), 20).tolist()


def test_another_seed_gives_another_order() -> None:
    orders = {tuple(row(Stream(30, 30, seed=seed), 1).tolist()) for seed in range(10)}
    assert len(orders) == 10


def test_the_order_does_not_depend_on_the_batch_size() -> None:
    assert row(Stream(30, 4), 30).tolist() == row(Stream(30, 5), 24).tolist()


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    torch.manual_seed(1)
    first = row(Stream(30, 7), 20).tolist()
    drawn = torch.rand(1).item()
    torch.manual_seed(1)
    assert torch.rand(1).item() == drawn
    assert row(Stream(30, 7), 20).tolist() == first


def test_places_are_shuffled_evenly() -> None:
    firsts = torch.tensor([Stream(4, 1, seed=seed).order(epoch)[0] for seed in range(40) for epoch in range(25)])
    assert firsts.bincount(minlength=4).min() > 200  # 250 expected of each, deviation 14


# --- batch sizes that change -----------------------------------------------------------------------------------------


def falling(seen: int) -> int:
    """Return a batch size of 6, of 4 from 12 images on, and of 1 from 30 images on."""
    return 6 if seen < 12 else 4 if seen < 30 else 1


def test_a_batch_size_that_changes_neither_drops_nor_repeats() -> None:
    stream = Stream(10, falling, seed=2)
    batches = list(islice(stream, 12))
    assert [len(batch) for batch in batches] == [6, 6, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1]  # 12, then 32, then on
    together = torch.cat(batches)
    assert together.tolist() == row(Stream(10, 1, seed=2), len(together)).tolist()


def test_draws_say_how_many_images_came_before() -> None:
    draws = list(islice(Stream(10, falling).draws(), 9))
    assert [seen for seen, _ in draws] == [0, 6, 12, 16, 20, 24, 28, 32, 33]


@pytest.mark.parametrize("batches", range(1, 10))
def test_entered_anywhere_a_changing_stream_goes_on_as_the_unbroken_one(batches: int) -> None:
    unbroken = list(islice(Stream(10, falling, seed=5).draws(), 30))
    start = unbroken[batches][0]
    later = list(islice(Stream(10, falling, seed=5, start=start).draws(), 30 - batches))
    assert [(seen, indices.tolist()) for seen, indices in later] == [
        (seen, indices.tolist()) for seen, indices in unbroken[batches:]
    ]


def test_several_ranks_change_together() -> None:
    each = [islice(Stream(13, falling, seed=1, rank=rank, world_size=2).draws(), 12) for rank in range(2)]
    position = 0
    for (seen, first), (also, second) in zip(*each):
        assert seen == also == position
        assert len(first) == len(second) == falling(seen)
        joined = next(iter(Stream(13, 2 * falling(seen), seed=1, start=seen)))
        assert torch.cat([first, second]).tolist() == joined.tolist()
        position += 2 * falling(seen)
