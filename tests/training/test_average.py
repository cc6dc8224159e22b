import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from tests.helpers.training import train
from zoo.errors import UserError
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


class Wave(nn.Module):
    """Generator whose weights have the shapes of those of a small `VanillaGAN`, and another activation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4)))

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        images: torch.Tensor = self.body(z)
        return images


class Waves(zoo.VanillaGAN):
    """Model that replaces the generator of its parent, with or without the average."""

    def __init__(self, copies: bool = False, **vanilla: Any) -> None:
        super().__init__(**vanilla)
        self.generator = Wave()
        if copies:
            self.average = averaged_copy(self.generator)
        self.save_hyperparameters(logger=False)


def test_a_generator_that_replaced_another_needs_an_average_of_its_own(tmp_path: Path) -> None:
    """Otherwise samples would be drawn from the weights of one network in the layers of another."""
    settings: dict[str, Any] = {"resolution": 4, "latent_dim": 3, "layers": 1, "width": 8, "average_halflife": 0}
    with pytest.raises(UserError, match=r"Waves: the generator is not the network.*self.average = averaged_copy\("):
        train(Waves(**settings), 1, tmp_path)
    model = Waves(copies=True, **settings)
    train(model, 2, tmp_path)
    z = torch.randn(5, 3)
    torch.testing.assert_close(model.average(z), model.generator(z))
