"""Choice of the number of threads within a loop whose steps take a known time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.helpers.watch import WATCH
from zoo.features import Pixels, features_of
from zoo.training import threads
from zoo.training.threads import ThreadsOfLoop, fastest, threads_of


@pytest.fixture(autouse=True)
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch's own number is 4, and the clock is `WATCH`."""
    monkeypatch.setattr(threads, "time", WATCH)
    with threads_of(4):
        yield


def numbers_used(steps: int | None, seconds: dict[int, float], device: str = "cpu") -> list[int]:
    """Return the number of threads in each step of a loop whose steps take as long as is said for it."""
    used = []
    with ThreadsOfLoop(steps, torch.device(device)) as loop:
        for _ in range(steps or 10):
            used.append(torch.get_num_threads())
            WATCH.now += seconds[used[-1]]
            loop.stepped()
    assert torch.get_num_threads() == 4
    return used


def test_each_number_has_two_steps_and_the_fastest_the_rest() -> None:
    assert numbers_used(100, {4: 2.0, 2: 1.0, 1: 1.5}) == [4, 4, 2, 2, 1, 1, *[2] * 94]
    assert numbers_used(100, {4: 1.0, 2: 0.97, 1: 1.5}) == [4, 4, 2, 2, 1, 1, *[4] * 94]  # not clearly faster
    assert fastest({4: 1.0, 2: 0.9, 1: 0.8}, 4) == 1


def test_nothing_else_is_tried_where_nothing_could_be_gained() -> None:
    assert set(numbers_used(100, {4: 0.5})) == {4}  # 50 seconds in all
    assert set(numbers_used(None, {4: 50.0})) == {4}  # of unknown length
    assert set(numbers_used(100, {4: 50.0}, "cuda")) == {4}
    torch.set_num_threads(1)
    with ThreadsOfLoop(100, None) as loop:
        WATCH.now += 50
        loop.stepped()
        assert torch.get_num_threads() == 1


def test_features_are_computed_with_the_fastest_number_and_are_the_same() -> None:
    images = torch.rand(200, 1, 8, 8) * 2 - 1
    used = []

    class Slow(Pixels):
        def forward_pixels(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
            used.append(torch.get_num_threads())
            WATCH.now += 20.0 * used[-1]
            return super().forward_pixels(pixels)

    slow = Slow()
    slow.batch_size = 10
    assert torch.equal(features_of(slow, images).values, features_of(Pixels(), images).values)
    assert used == [4, 4, 2, 2, *[1] * 16]
    assert torch.get_num_threads() == 4
