"""Metrics that share one pass over the distances keep their numbers apart; what random halves are too small for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo import metrics
from zoo.errors import FeatureError
from zoo.evaluation.measured import Measured, Task, measure_tasks
from zoo.evaluation.metric_spec import MetricSpec
from zoo.metrics import half_sample_intervals
from zoo.metrics.distance_pass import Found
from zoo.metrics.intervals import measure


def gaussian(n: int, seed: int, mean: float = 0.0) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)) + mean


REAL, FAKE, SIDES = gaussian(40, 1), gaussian(40, 2, 0.5), (gaussian(40, 3), gaussian(40, 4))


class Renamed(metrics.CMMD):
    """Kernel distance of another bandwidth, under a name of its own."""

    def __init__(self) -> None:
        super().__init__(sigma=1.0)

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        return self.named(mine=super().numbers(real, fake, found)["cmmd"])


class Doubled(metrics.CMMD):
    """A metric of distances whose `compute` changes the number after the pass."""

    def compute(self) -> dict[str, Tensor]:
        return self.named(doubled=2 * super().compute()["cmmd"])


class Halved(metrics.CMMD):
    """A metric of distances that stores other features than it is given."""

    def update(self, features: Tensor, real: bool) -> None:
        super().update(features / 2, real)

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        return self.named(halved=super().numbers(real, fake, found)["cmmd"])


class Listed(metrics.CMMD):
    """A metric whose numbers have no names."""

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> Any:
        return list(super().numbers(real, fake, found).values())


def task(name: str, make: Any, real: Tensor = REAL, fake: Tensor = FAKE, **settings: Any) -> Task:
    spec = MetricSpec(name, "values", {}, lambda width, n, modes: make(), **settings)
    return Task(name, spec, make, real, fake, SIDES)


def measured(*tasks: Task, repeats: int = 4) -> dict[str, Measured]:
    return measure_tasks(tasks, {}, repeats, seed=0)


@pytest.mark.parametrize("make", [Renamed, Doubled, Halved, lambda: metrics.CMMD(sigma=1.0)])
def test_a_metric_has_the_numbers_floor_and_interval_beside_others_that_it_has_alone(make: Any) -> None:
    tasks = [task("cmmd", metrics.CMMD), task("my.Mine", make), task("prdc", metrics.DensityCoverage)]
    together = measured(*tasks)
    for each in tasks:
        alone, found = measured(each)[each.name], together[each.name]
        assert found.values == pytest.approx(alone.values, rel=1e-9), each.name
        assert found.floor.values == pytest.approx(alone.floor.values, rel=1e-9), each.name
        assert set(found.intervals) == set(alone.intervals) == set(alone.values)
        for key, interval in found.intervals.items():
            assert interval.error == pytest.approx(alone.intervals[key].error, rel=1e-6), key
    (own,) = together["my.Mine"].values.values()
    assert own != pytest.approx(together["cmmd"].values["cmmd"], rel=0.1)


def test_together_refuses_two_numbers_of_one_name() -> None:
    metric = metrics.Together([metrics.DensityCoverage(k=1), metrics.CMMD(), metrics.DensityCoverage(k=3)])
    metric.update(REAL, real=True)
    metric.update(FAKE, real=False)
    with pytest.raises(
        ValueError, match=r"DensityCoverage and DensityCoverage both compute 'density'.*Put one of them in a Together"
    ):
        metric.compute()


@pytest.mark.parametrize("make", [Doubled, Halved, metrics.FID])
def test_together_refuses_a_metric_whose_own_computation_it_would_pass_over(make: Any) -> None:
    name = make.__name__
    with pytest.raises(TypeError, match=rf"^metrics: {name} cannot be computed together .* Use it by itself"):
        metrics.Together([metrics.CMMD(), make()])


def test_one_half_gives_no_interval() -> None:
    with pytest.raises(FeatureError, match=r"^repeats: 0 for no intervals, or at least 2; got 1$"):
        measured(task("cmmd", metrics.CMMD), repeats=1)


def test_numbers_without_names_are_refused_beside_others_too() -> None:
    for tasks in ([task("my.Listed", Listed)], [task("cmmd", metrics.CMMD), task("my.Listed", Listed)]):
        with pytest.raises(FeatureError, match=r"^metrics: my.Listed: Listed.compute\(\) must return numbers by name"):
            measured(*tasks)


def test_halves_too_small_for_one_metric_leave_its_value_and_the_intervals_of_the_others() -> None:
    """Five neighbours need six samples: ten have them, their halves of five do not."""
    few = {"real": REAL[:10], "fake": FAKE[:10]}
    five, one = (lambda: metrics.DensityCoverage(k=5)), (lambda: metrics.DensityCoverage(k=1))
    found = measured(task("five", five, **few), task("one", one, **few), task("fid", lambda: metrics.FID(4), **few))
    alone = measured(task("one", one, **few))["one"]
    assert set(found["five"].values) == {"density", "coverage"}
    assert found["five"].intervals == {}
    assert found["five"].no_interval == "k=5 nearest neighbours need at least 6 generated samples; got 5"
    assert found["one"].intervals == alone.intervals
    assert set(alone.intervals) == {"density", "coverage"}
    assert found["one"].no_interval == found["fid"].no_interval == ""
    assert set(found["fid"].intervals) == {"fid"}


def test_a_number_that_halves_lack_has_no_interval() -> None:
    """Three real images hold one pair to compare, and their halves of one hold none."""
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = half_sample_intervals(metrics.MSSSIM, images[:3], images[3:], repeats=2)
    assert set(measure(metrics.MSSSIM, images[:3], images[3:])) == {"ms_ssim", "ms_ssim_real"}
    assert set(found) == {"ms_ssim"}
