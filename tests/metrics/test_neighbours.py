"""Truths of nearest neighbours, and of precision, recall, density and coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.metric_features import correlated, gaussian, values
from zoo.metrics import (
    DensityCoverage,
    PrecisionRecall,
    Rule,
    density_and_coverage,
    expected_coverage,
    neighbour_statistics,
    pairwise_distances,
    precision_and_recall,
)


def all_four(real: Tensor, fake: Tensor, k: int = 5, strict: bool = True) -> dict[str, float]:
    """From one pass."""
    (found,) = neighbour_statistics(real, fake, [Rule(k, strict)])
    return {name: x.item() for name, x in (precision_and_recall(found) | density_and_coverage(found, k)).items()}


def by_differences(real: Tensor, fake: Tensor, k: int, strict: bool) -> dict[str, Any]:
    """The same counts by the definition, in float64, all distances at once."""

    def between(a: Tensor, b: Tensor) -> Tensor:
        return (a.double()[:, None] - b.double()[None]).square().sum(2)

    within = [between(side, side) for side in (real, fake)]
    r, f = (squares.fill_diagonal_(torch.inf).sort(1).values[:, k - 1] for squares in within)
    across = between(real, fake)
    inside = torch.lt if strict else torch.le
    return {
        "real_around_fake": inside(across, r[:, None]).sum(0),
        "fake_in_real": inside(across, r[:, None]).sum(1),
        "fake_around_real": inside(across, f[None]).sum(1),
        "real_radii": r,
        "fake_radii": f,
    }


def copies(seed: int) -> Tensor:
    """Every point three times, far from the origin."""
    return correlated(60, 20, seed).repeat(3, 1) + 50


def collapsed(seed: int) -> Tensor:
    """Three tight clusters far apart: float32 cannot tell their members apart."""
    centres = 100 * gaussian(3, 20, 0)
    return centres[torch.arange(150) % 3].double() + 1e-3 * gaussian(150, 20, seed).double()


def tiny(seed: int) -> Tensor:
    """Squares of these are below float32's range."""
    return 1e-25 * correlated(150, 20, seed)


def huge(seed: int) -> Tensor:
    """Squares of these are beyond float32's range."""
    return 1e25 * correlated(150, 20, seed)


def one_outlier(seed: int) -> Tensor:
    """A point whose norm would spoil an error bound that everybody shared."""
    features = correlated(150, 20, seed)
    features[0] *= 1e4
    return features


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("make", [copies, collapsed, tiny, huge, one_outlier])
def test_counts_are_those_of_float64(make: Any, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise_distances, "TILE", 64)  # several blocks, the last one smaller
    real, fake = make(1), make(2)
    fake[:40] = real[20:60]  # copies across the sides as well
    for k, found in zip((3, 5), neighbour_statistics(real, fake, [Rule(3, strict), Rule(5, strict)])):
        for name, expected in by_differences(real, fake, k, strict).items():
            got = getattr(found, name)
            assert torch.allclose(got.double(), expected.double(), rtol=1e-9, atol=0), name


@pytest.mark.parametrize("tile", [3, 7, 100, 1000])
def test_blocks_do_not_matter(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = correlated(100, 12, 1), correlated(80, 12, 2)
    expected = all_four(real, fake)
    monkeypatch.setattr(pairwise_distances, "TILE", tile)
    assert all_four(real, fake) == expected


def test_order_does_not_matter() -> None:
    real, fake = correlated(200, 12, 1), correlated(150, 12, 2)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert all_four(real, fake) == all_four(real[order], fake.flip(0))


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_coarser_products_that_the_caller_allows_change_nothing(precision: str) -> None:
    real, fake = correlated(300, 64, 1) + 5, correlated(300, 64, 2) + 5
    expected = all_four(real, fake)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch.autocast("cpu", torch.bfloat16):
            assert all_four(real, fake) == expected
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_copy_of_the_real_set() -> None:
    """Each ball holds its own centre and the k - 1 neighbours inside the rim."""
    real = correlated(300, 16, 1)
    assert all_four(real, real) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}
    assert all_four(real, real, strict=False)["density"] == pytest.approx(6 / 5)


def test_one_image_repeated_is_precise_and_covers_next_to_nothing() -> None:
    real = correlated(400, 16, 1)
    found = values(PrecisionRecall(), real, real[7].repeat(400, 1)) | values(
        DensityCoverage(), real, real[7].repeat(400, 1)
    )
    assert found["precision"] == 1
    assert found["recall"] == 1 / 400  # the copied image itself, on the rim of a ball of radius 0
    assert found["coverage"] < 0.1


def test_disjoint_sets() -> None:
    assert set(all_four(correlated(200, 8, 1), correlated(200, 8, 2) + 100).values()) == {0.0}


@pytest.mark.parametrize("fakes", [600, 200])
def test_honest_samples_are_covered_as_expected(fakes: int) -> None:
    """The expectation is exact; density's is 1, and both sides are one Gaussian."""
    found = [all_four(gaussian(400, 6, seed), gaussian(fakes, 6, 100 + seed)) for seed in range(20)]
    mean = {name: float(np.mean([values[name] for values in found])) for name in found[0]}
    assert mean["coverage"] == pytest.approx(expected_coverage(400, fakes, 5), abs=0.01)
    assert mean["density"] == pytest.approx(fakes / fakes, abs=0.06)


def test_expected_coverage_in_the_limit() -> None:
    assert expected_coverage(10**6, 10**6, 5) == pytest.approx(1 - 2**-5, abs=1e-5)


def test_half_the_classes_dropped() -> None:
    """Recall and coverage fall by about half; precision stays."""
    centres = 20 * gaussian(10, 16, 0)

    def draw(n: int, classes: int, seed: int) -> Tensor:
        return centres[torch.arange(n) % classes] + gaussian(n, 16, seed)

    real, honest, dropping = draw(1000, 10, 1), draw(1000, 10, 2), draw(1000, 5, 3)
    full, half = all_four(real, honest), all_four(real, dropping)
    assert half["precision"] == pytest.approx(full["precision"], abs=0.05)
    assert half["recall"] < 0.6 * full["recall"]
    assert half["coverage"] == pytest.approx(0.5, abs=0.02)
    assert full["coverage"] > 0.95


def test_both_metrics_are_those_of_the_joint_pass() -> None:
    real, fake = correlated(300, 16, 1), correlated(250, 16, 2, shift=0.3)
    first, second = neighbour_statistics(real, fake, [Rule(3, False), Rule(5, True)])
    joint = precision_and_recall(first) | density_and_coverage(second, 5)
    single = values(PrecisionRecall(), real, fake) | values(DensityCoverage(), real, fake)
    assert {name: x.item() for name, x in joint.items()} == single


def memory(key: str) -> float:
    """MiB of this process, now (VmRSS) or at the peak since it was last reset (VmHWM)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_square() -> None:
    """One matrix of distances would take 137 MiB in float32, and there are three."""
    real, fake = gaussian(6000, 4, 1), gaussian(6000, 4, 2)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory("VmRSS")
    all_four(real, fake)
    assert memory("VmHWM") - before < 110


def test_too_few_samples_and_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="k=5 nearest neighbours need at least 6 generated samples; got 5"):
        all_four(gaussian(10, 4, 1), gaussian(5, 4, 2))
    with pytest.raises(ValueError, match="need at least 6 generated samples; got 5"):  # row W5: both sides have 5
        all_four(gaussian(5, 4, 1), gaussian(5, 4, 2))
    with pytest.raises(ValueError, match="must be equally wide; got 4 and 3"):
        all_four(gaussian(10, 4, 1), gaussian(10, 3, 2))
    with pytest.raises(ValueError, match="k must be at least 1; got 0"):
        PrecisionRecall(k=0)
