"""Tests of the order of streamed images: complete, without repetition, and the same from every start."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.data.stream import ChunkStream

STARTS = np.array([0, 5, 6, 20, 33])  # chunks of 5, 1, 14, 13 and 17 images


def stream(batch_size: int = 6, window: int = 12, size: int = 50, **options: int) -> ChunkStream:
    return ChunkStream(STARTS, window, size, batch_size, **options)


def row(of: ChunkStream, batches: int) -> Tensor:
    """Return the indices of the first batches, one after the other."""
    return torch.cat(list(islice(of, batches)))


@pytest.mark.parametrize("window", [1, 7, 12, 25, 50, 1000])
def test_every_index_comes_once_in_every_epoch(window: int) -> None:
    epochs = row(stream(5, window), 30).view(3, 50)
    assert [epoch.sort().values.tolist() for epoch in epochs] == [list(range(50))] * 3
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3


@pytest.mark.parametrize("start", [0, 1, 11, 12, 13, 49, 50, 51, 1234])
def test_a_stream_entered_later_goes_on_where_the_unbroken_one_would_be(start: int) -> None:
    unbroken = row(stream(seed=5), 300)
    assert row(stream(seed=5, start=start), 8).tolist() == unbroken[start : start + 48].tolist()


@pytest.mark.parametrize("ranks", [2, 3])
def test_several_ranks_see_what_one_process_with_the_joined_batch_sees(ranks: int) -> None:
    each = [islice(stream(4, rank=rank, world_size=ranks), 30) for rank in range(ranks)]
    for parts, joined in zip(zip(*each), islice(stream(4 * ranks), 30)):
        assert torch.cat(parts).tolist() == joined.tolist()


def test_a_window_takes_whole_chunks_one_after_the_other() -> None:
    """A window of an epoch is a cut of the chunks in their order: to read it takes those chunks alone."""
    of = stream()
    ends = np.append(STARTS[1:], 50)
    chunks, _ = of._chunks_of(0)
    sequence = np.concatenate([np.arange(STARTS[k], ends[k]) for k in chunks])
    for number in range(5):
        window = of.shuffled(0, number).numpy()
        assert sorted(window) == sorted(sequence[number * 12 : number * 12 + 12])
    assert of.shuffled(0, 0).tolist() != sequence[:12].tolist()


def test_the_seed_decides_the_order() -> None:
    assert row(stream(seed=4), 20).tolist() == row(stream(seed=4), 20).tolist()
    assert len({tuple(row(stream(50, seed=seed), 1).tolist()) for seed in range(10)}) == 10


def test_the_batch_size_may_follow_the_clock() -> None:
    growing = ChunkStream(STARTS, 12, 50, lambda seen: 6 if seen < 12 else 2)
    assert torch.cat(list(islice(growing, 10))).tolist() == row(stream(), 5)[:28].tolist()
