"""Two gloo processes and one give the same numbers; a metric survives pickling."""

from __future__ import annotations

import os
import pickle
import subprocess
from typing import Any

import pytest
import torch

from tests.helpers import metric_processes, processes
from tests.helpers.metric_features import correlated
from zoo import metrics


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes left, then what one left."""
    two, one = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    environment = {**os.environ, "PYTHONPATH": processes.PATH}
    program = ["-m", metric_processes.__name__, str(two)]
    running = [
        processes.start([*program, str(rank), "2"], two, env=environment, stderr=subprocess.PIPE) for rank in range(2)
    ]
    try:
        metric_processes.main(one, 0, 1)
        for process in running:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
    finally:
        for process in running:
            process.kill()
    return [torch.load(path, weights_only=True) for path in (two / "0.pt", two / "1.pt", one / "0.pt")]


def test_two_processes_give_the_numbers_of_one(left: list[dict[str, Any]]) -> None:
    first, second, one = left
    assert len(one) == 34  # ten metrics, nine of them again, thirteen newer ones, and two more
    for name, expected in one.items():
        if name.endswith("again") or name == "own samples":
            continue  # each process adds one more sample: two where one adds one
        assert expected, name
        for key, value in expected.items():
            assert torch.equal(first[name][key], second[name][key]), (name, key)
            assert first[name][key].item() == pytest.approx(value.item(), rel=1e-9, nan_ok=True), (name, key)


def test_after_computing_each_process_goes_on_from_its_own_samples(left: list[dict[str, Any]]) -> None:
    """It takes one sample more of the real side after the first `compute`."""
    assert [found["own samples"].tolist() for found in left] == [[131, 130], [71, 70], [201, 200]]
    first, second, one = (found["ClassHistogram again"]["class_distance"] for found in left)
    assert first == second != left[0]["ClassHistogram"]["class_distance"]
    assert one != left[2]["ClassHistogram"]["class_distance"]


@pytest.mark.parametrize(
    "metric",
    [
        metrics.FID(8),
        metrics.FIDInfinity(4),
        metrics.KID(3, 20),
        metrics.InceptionScore(2),
        metrics.PrecisionRecall(),
        metrics.DensityCoverage(),
        metrics.PRD(3, 2),
        metrics.ModeCount(centres=torch.eye(8), deviation=1.0),
        metrics.ClassHistogram(8),
        metrics.MIND(10),
        metrics.RKE(),
        metrics.CMMD(),
        metrics.MiFID(),
        metrics.Authenticity(),
        metrics.ClippedDensityCoverage(),
        metrics.Vendi(),
    ],
    ids=lambda metric: type(metric).__name__,
)
@pytest.mark.filterwarnings("ignore:fid_infinity's smallest")
def test_a_metric_survives_pickling_and_starts_again_when_reset(metric: metrics.FeatureMetric) -> None:
    real, fake = correlated(80, 8, 1), correlated(80, 8, 2)
    metric.update(real[:50], real=True)
    copy = pickle.loads(pickle.dumps(metric))
    for each in (metric, copy):
        each.update(real[50:], real=True)
        each.update(fake, real=False)
    found = metric.compute()
    assert found == copy.compute()
    assert all(value.dtype == torch.float64 and value.dim() == 0 for value in found.values())
    metric.reset()
    metric.update(fake, real=True)
    metric.update(fake, real=False)
    assert metric.compute() != found or isinstance(metric, metrics.InceptionScore)  # which knows no real side


@pytest.mark.filterwarnings("ignore:fid_infinity's smallest")
def test_nothing_is_drawn_from_the_global_random_state() -> None:
    real, fake = correlated(60, 8, 1), correlated(60, 8, 2)
    before = torch.random.get_rng_state()
    for metric in (metrics.KID(3, 20), metrics.PRD(3, 2), metrics.FIDInfinity(4), metrics.InceptionScore(2)):
        metric.update(real, real=True)
        metric.update(fake, real=False)
        first = metric.compute()
        torch.manual_seed(5)
        assert type(metric).compute(metric) == first
        torch.random.set_rng_state(before)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_copied_when_they_come() -> None:
    batch = correlated(50, 8, 1)
    metric = metrics.DensityCoverage()
    metric.update(batch, real=True)
    metric.update(batch, real=False)
    batch.zero_()
    real, fake = metric.features()
    assert torch.equal(real, fake)
    assert torch.equal(real, correlated(50, 8, 1))
