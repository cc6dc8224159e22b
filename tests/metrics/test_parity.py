"""The same numbers as the packages that others report."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.metric_features import correlated, values
from zoo.metrics import FID, KID, PRD, DensityCoverage, InceptionScore, PrecisionRecall, frechet_distance
from zoo.metrics.kid import squared_discrepancy

fidelity_fid = pytest.importorskip("torch_fidelity.metric_fid")
fidelity_kid = pytest.importorskip("torch_fidelity.metric_kid")
fidelity_isc = pytest.importorskip("torch_fidelity.metric_isc")
fidelity_prc = pytest.importorskip("torch_fidelity.metric_prc")
prdc = pytest.importorskip("prdc")


@pytest.fixture(scope="module")
def sides() -> tuple[torch.Tensor, torch.Tensor]:
    """Real and generated features of width 48."""
    return correlated(1500, 48, seed=1), correlated(1200, 48, seed=2, shift=0.3)


def test_fid_is_that_of_torch_fidelity(sides: tuple[torch.Tensor, torch.Tensor]) -> None:
    statistics = [fidelity_fid.fid_features_to_statistics(side.double()) for side in sides]
    theirs = fidelity_fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert theirs > 0.1
    assert values(FID(48), *sides, batch=100)["fid"] == pytest.approx(theirs, rel=1e-6)


def test_fid_is_that_of_torchmetrics(sides: tuple[torch.Tensor, torch.Tensor]) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    network = torch.nn.Identity()
    network.num_features = 48
    theirs = FrechetInceptionDistance(network).set_dtype(torch.float64)
    for side, real in zip(sides, (True, False)):
        theirs.update(side.double(), real=real)
    assert values(FID(48), *sides, batch=100)["fid"] == pytest.approx(theirs.compute().item(), rel=1e-6)


def test_frechet_distance_is_that_with_a_matrix_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    (m1, c1), (m2, c2) = (
        (side.mean(0), side.T.cov()) for side in (correlated(400, 30, 1).double(), correlated(400, 30, 5).double())
    )
    root = linalg.sqrtm((c1 @ c2).numpy())
    theirs = float((m1 - m2).square().sum() + c1.trace() + c2.trace()) - 2 * np.trace(root).real
    assert frechet_distance(m1, c1, m2, c2).item() == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("subsets", [7, 40])
def test_kid_is_that_of_torch_fidelity_on_the_same_subsets(
    sides: tuple[torch.Tensor, torch.Tensor], subsets: int
) -> None:
    """Few subsets one by one, and many from one pass over the kernel."""
    real, fake = (side.double() for side in sides)
    theirs = fidelity_kid.kid_features_to_metric(
        fake, real, kid_subsets=subsets, kid_subset_size=300, rng_seed=11, verbose=False
    )
    ours = values(KID(subsets=subsets, subset_size=300, seed=11), *sides)
    assert ours["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours["kid_std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)


def test_kid_is_the_sum_over_pairs_written_out() -> None:
    x, y = correlated(6, 5, 1).double(), correlated(6, 5, 2).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return (float(a @ b) / 5 + 1) ** 3

    pairs = [(i, j) for i in range(6) for j in range(6)]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs if i != j) / 30
    across = 2 * sum(kernel(x[i], y[j]) for i, j in pairs) / 36
    assert squared_discrepancy(x, y).item() == pytest.approx(within - across)


@pytest.mark.parametrize("shuffle", [True, False])
def test_inception_score_is_that_of_torch_fidelity(shuffle: bool) -> None:
    logits = 3 * correlated(1003, 20, seed=3)
    theirs = fidelity_isc.isc_features_to_metric(logits, splits=10, shuffle=shuffle, rng_seed=4)
    metric = InceptionScore(splits=10, shuffle=shuffle, seed=4)
    ours = values(metric, logits[:5], logits)
    assert ours["is"] == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert ours["is_std"] == pytest.approx(theirs["inception_score_std"], rel=1e-9)
    assert ours["is_std"] > 0


def whole_numbers(n: int, seed: int) -> torch.Tensor:
    """Points on a lattice: many exact ties and copies, and no rounding in any package."""
    return torch.randint(0, 4, (n, 6), generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(
    "make", [lambda n, seed: correlated(n, 48, seed, shift=0.1 * seed), whole_numbers], ids=["network", "ties"]
)
def test_precision_recall_density_coverage_are_those_of_prdc(make: Callable[..., torch.Tensor], k: int) -> None:
    real, fake = make(900, 1), make(700, 2)
    theirs = prdc.compute_prdc(real.double().numpy(), fake.double().numpy(), k)
    ours: dict[str, Any] = values(PrecisionRecall(k, strict=True), real, fake) | values(DensityCoverage(k), real, fake)
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert 0 < ours["recall"] < 1


def test_the_packages_are_of_the_versions_that_the_docs_name() -> None:
    """torch-fidelity returned precision and recall the other way round before 0.4.0, so no older one will do."""
    found = [int(part) for part in version("torch-fidelity").split(".")[:2]]
    assert found >= [0, 4]
    page = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| `") and "torch-fidelity" in line]
    assert len(table) == 5
    assert all("torch-fidelity 0.4.0" in line or "`MIND`" in line for line in table)  # of its main branch


def test_precision_is_the_share_of_generated_images_and_recall_that_of_real_ones() -> None:
    """Generated samples are copies of a few real ones: precise without recall. The package must say so too."""
    real = correlated(300, 8, seed=1)
    fake = real[:10].repeat(20, 1) + 1e-3 * correlated(200, 8, seed=2)
    precision, recall = fidelity_prc.calculate_precision_recall_full(fake.double(), real.double(), neighborhood=3)
    ours = values(PrecisionRecall(), real, fake)
    assert ours["precision"] > 0.9 > 0.5 > ours["recall"]
    assert precision > 0.9 > 0.5 > recall


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    real, fake = whole_numbers(600, 1), whole_numbers(500, 2)  # ties: the paper's code has the rim inside
    precision, recall = fidelity_prc.calculate_precision_recall_full(fake.double(), real.double(), neighborhood=3)
    ours = values(PrecisionRecall(), real, fake)
    assert (ours["precision"], ours["recall"]) == pytest.approx((precision, recall), rel=1e-6)
    assert ours != values(PrecisionRecall(strict=True), real, fake)


def test_prd_is_a_straightforward_reading_of_the_paper(sides: tuple[torch.Tensor, torch.Tensor]) -> None:
    from sklearn.cluster import MiniBatchKMeans

    real, fake = sides[0][:1200].numpy(), sides[1].numpy()
    slopes = [math.tan(1e-10 + i * (math.pi / 2 - 2e-10) / 1000) for i in range(1001)]
    precision, recall = np.zeros(1001), np.zeros(1001)
    for run in range(3):
        clustering = MiniBatchKMeans(n_clusters=12, n_init=10, random_state=5 + run)
        labels = clustering.fit_predict(np.vstack([fake, real]))
        q, p = ([float(np.mean(half == c)) for c in range(12)] for half in (labels[:1200], labels[1200:]))
        for i, slope in enumerate(slopes):
            alpha = sum(min(slope * p[c], q[c]) for c in range(12))
            precision[i] += min(alpha, 1) / 3
            recall[i] += min(alpha / slope, 1) / 3

    def best(beta: float) -> float:
        return max((1 + beta**2) * a * b / (beta**2 * a + b + 1e-10) for a, b in zip(precision, recall))

    metric = PRD(clusters=12, runs=3, seed=5)
    ours = values(metric, torch.from_numpy(real), torch.from_numpy(fake))
    assert ours == pytest.approx({"f8": best(8), "f1/8": best(1 / 8)}, rel=1e-9)
    assert metric.curve is not None
    assert np.allclose(metric.curve, (precision, recall), rtol=1e-9)
    assert ours["f8"] < 0.99
