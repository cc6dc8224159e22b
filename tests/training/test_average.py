import copy

import pytest
import torch
from torch import nn

from zoo.training.average import MovingAverage, averaged_copy


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 2))


def shifted(source: nn.Module, amount: float) -> nn.Module:
    other = copy.deepcopy(source)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.add_(int(amount) if not tensor.is_floating_point() else amount)
    return other


def test_after_one_halflife_the_average_is_half_way_in_weights_and_buffers() -> None:
    old = network()
    new, average = shifted(old, 2.0), averaged_copy(old)
    MovingAverage(halflife=1000, rampup=0).update(average, new, images=1000, images_seen=10**6)
    for a, o in zip((*average.parameters(), *average.buffers()), (*old.parameters(), *old.buffers())):
        if a.is_floating_point():
            torch.testing.assert_close(a, o + 1.0)
        else:  # batch norm's counter: copied
            assert a == o + 2


def test_steps_of_any_size_give_the_same_average_of_a_standing_network() -> None:
    old = network()
    new = shifted(old, 1.0)
    results = []
    for steps, images in ((1, 960), (15, 64), (960, 1)):
        average = averaged_copy(old)
        for _ in range(steps):
            MovingAverage(halflife=500, rampup=0).update(average, new, images, images_seen=10**6)
        results.append(average[0].weight)  # type: ignore[index]
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(results[0], results[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", [MovingAverage(halflife=0), MovingAverage(halflife=10**6, start=5000)])
def test_without_halflife_or_before_its_start_the_average_is_a_copy(rule: MovingAverage) -> None:
    old = network()
    new, average = shifted(old, 3.0), averaged_copy(old)
    rule.update(average, new, images=64, images_seen=5000)
    for a, n in zip(average.state_dict().values(), new.state_dict().values()):
        assert torch.equal(a, n)


def test_early_in_a_run_the_halflife_is_shortened() -> None:
    rule = MovingAverage(halflife=10_000, rampup=0.05)
    assert rule.weight(64, images_seen=64) == pytest.approx(1 - 0.5 ** (64 / 3.2))
    assert rule.weight(64, images_seen=10**9) == pytest.approx(1 - 0.5 ** (64 / 10_000))


def test_the_average_is_frozen_and_in_eval_mode() -> None:
    average = averaged_copy(network().train())
    assert not average.training
    assert not any(p.requires_grad for p in average.parameters())
