"""The same numbers as the packages of others, or as the formulas of the papers written out in the plainest way.

`benchmarks/metric_parity.py` compares the same metrics with the repositories of their authors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tests.helpers.metric_features import correlated, gaussian, values
from zoo import metrics
from zoo.metrics.clipped_density_coverage import expected_clipped_coverage
from zoo.metrics.ms_ssim import ms_ssim
from zoo.metrics.training_features import ThreeSets


@pytest.fixture(scope="module")
def sides() -> tuple[Tensor, Tensor]:
    """Real and generated features of width 20."""
    return correlated(240, 20, seed=1), correlated(200, 20, seed=2, shift=0.2) + 0.1 * gaussian(200, 20, 3)


def between(a: Tensor, b: Tensor) -> Tensor:
    """All Euclidean distances, from differences in float64."""
    return (a.double()[:, None] - b.double()[None]).square().sum(2).sqrt()


def three(metric: ThreeSets, train: Tensor, held_out: Tensor, generated: Tensor) -> dict[str, float]:
    metric.update(train, real=True, train=True)
    return values(metric, held_out, generated)


# --- against packages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "order"), [(200, 1), (12, 1), (200, 2), (200, math.inf)])
def test_vendi_is_that_of_vendi_score_0_0_3(n: int, order: float, sides: tuple[Tensor, Tensor]) -> None:
    vendi = pytest.importorskip("vendi_score.vendi")
    real, fake = (side[:n].double().numpy() for side in sides)
    ours = values(metrics.Vendi(order), sides[0][:n], sides[1][:n])
    named = {1: 1, 2: 2, math.inf: "inf"}[order]
    for key, side in (("vendi", fake), ("vendi_real", real)):
        unit = side / np.linalg.norm(side, axis=1, keepdims=True)
        assert ours[key] == pytest.approx(vendi.score_K(unit @ unit.T, q=named), rel=1e-9)
    assert ours["vendi"] == pytest.approx(vendi.score_dual(fake, q=named), rel=1e-9)


@pytest.mark.parametrize(("order", "expected"), [(2, 64 / 28), (math.inf, 8 / 5)])
@pytest.mark.parametrize("columns", [3, 20])
def test_features_of_length_0_are_one_sample_of_vendi(order: float, expected: float, columns: int) -> None:
    """Four different samples, with shares of 5, 1, 1 and 1 of 8."""
    features = torch.cat([torch.zeros(5, columns), torch.eye(3, columns)])
    assert values(metrics.Vendi(order), features, features)["vendi"] == pytest.approx(expected, rel=1e-12)
    assert values(metrics.Vendi(order), features[:5], features[:5])["vendi"] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("spread", "copying"), [(1.0, False), (0.01, True)])
def test_mifid_is_that_of_torchmetrics_1_9(spread: float, copying: bool) -> None:
    """Once with a distance that divides, and once with one above the threshold."""
    from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance

    network = torch.nn.Identity()
    real = gaussian(150, 12, 1)
    fake = real[:120] + spread * gaussian(120, 12, 2) + 0.1
    fake[3] = 0  # it has no direction
    theirs = MemorizationInformedFrechetInceptionDistance(network).set_dtype(torch.float64)
    theirs.update(real.double(), real=True)
    theirs.update(fake.double(), real=False)
    ours = values(metrics.MiFID(), real, fake)
    assert ours["mifid"] == pytest.approx(theirs.compute().item(), rel=1e-6)
    assert (ours["memorisation_distance"] < 0.1) == copying
    assert (ours["mifid"] > 2 * values(metrics.FID(12), real, fake)["fid"]) == copying
    as_in_paper = values(metrics.MiFID(over="generated"), real, fake)  # torchmetrics with the sides exchanged
    theirs.reset()
    theirs.update(fake.double(), real=True)
    theirs.update(real.double(), real=False)
    assert as_in_paper["mifid"] == pytest.approx(theirs.compute().item(), rel=1e-6)
    assert as_in_paper["mifid"] > 2 * ours["mifid"] or not copying  # 30 real samples are not copied


def test_ms_ssim_of_grey_images_is_that_of_pytorch_msssim_1_0() -> None:
    peer = pytest.importorskip("pytorch_msssim")
    x = torch.randint(0, 256, (4, 1, 176, 192), generator=torch.Generator().manual_seed(0)).float()
    y = (0.7 * x + 0.3 * avg_pool2d(x, 3, 1, 1)).round()
    theirs = peer.ms_ssim(x.double(), y.double(), data_range=255, size_average=False)
    assert torch.allclose(ms_ssim(x, y), theirs, atol=1e-5)
    assert 0.3 < theirs.mean() < 0.999


# --- against formulas ------------------------------------------------------------------------------------------------


def test_mind_is_its_formula(sides: tuple[Tensor, Tensor]) -> None:
    real, fake = sides
    generator = torch.Generator().manual_seed(5)
    chosen = torch.randperm(240, generator=generator)[:200]  # the larger side
    directions = torch.randn(30, 20, generator=generator).double()
    total = 0.0
    for direction in directions / directions.norm(dim=1, keepdim=True):
        a, b = sorted((real[chosen].double() @ direction).tolist()), sorted((fake.double() @ direction).tolist())
        total += sum((x - y) ** 2 for x, y in zip(a, b)) / 200 / 30
    assert values(metrics.MIND(30, seed=5), real, fake)["mind"] == pytest.approx(3 * 20 * total, rel=1e-7)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("sigma", [10.0, 0.5])
def test_cmmd_is_its_formula(sides: tuple[Tensor, Tensor], sigma: float, normalise: bool) -> None:
    real, fake = (side.double() + 1 for side in sides)
    lengths = [side.norm(dim=1, keepdim=True) if normalise else 1.0 for side in (real, fake)]
    x, y = real / lengths[0], fake / lengths[1]
    means = [(-between(a, b).square() / (2 * sigma**2)).exp().mean() for a, b in ((x, x), (y, y), (x, y))]
    expected = 1000 * float(means[0] + means[1] - 2 * means[2])
    ours = values(metrics.CMMD(sigma, normalise=normalise), real.float(), fake.float())
    assert ours["cmmd"] == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01


def test_rke_is_its_formula(sides: tuple[Tensor, Tensor]) -> None:
    real, fake = sides
    bandwidth = 0.8
    kernel = (-between(fake, fake).square() / (2 * bandwidth**2)).exp()
    of_eigenvalues = 1 / torch.linalg.eigvalsh(kernel / 200).square().sum()
    ours = values(metrics.RKE(bandwidth), real, fake)
    assert ours["rke"] == pytest.approx(of_eigenvalues.item(), rel=1e-5)
    assert ours["rke_bandwidth"] == pytest.approx(bandwidth)
    usual = values(metrics.RKE(), real, fake)
    pairs = between(real, real)[~torch.eye(240, dtype=torch.bool)]
    assert usual["rke_bandwidth"] == pytest.approx(pairs.square().mean().sqrt().item() / 2, rel=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_clipped_density_and_coverage_are_their_formulas(k: int, sides: tuple[Tensor, Tensor]) -> None:
    real, fake = sides
    n, m = len(real), len(fake)
    within = between(real, real).fill_diagonal_(torch.inf)
    ordered, order = within.sort(1)
    radii = ordered[:, k - 1]
    clipped = np.minimum(radii.numpy(), np.median(radii.numpy()))
    across = between(real, fake).numpy()
    around_fake = [sum(across[i, j] <= clipped[i] for i in range(n)) for j in range(m)]
    around_real = np.zeros(n)
    for i in range(n):
        for place in range(k):
            around_real[order[i, place]] += float(ordered[i, place]) <= clipped[i]
    density = np.minimum(np.array(around_fake) / k, 1).mean() / np.minimum(around_real / k, 1).mean()
    in_ball = [min(k, int((across[i] < float(radii[i])).sum())) / k for i in range(n)]
    share = np.searchsorted(expected_clipped_coverage(n, m, k).numpy(), np.mean(in_ball)) / (m + 1)
    ours = values(metrics.ClippedDensityCoverage(k), real, fake)
    assert ours == pytest.approx({"clipped_density": min(1, density), "clipped_coverage": share}, rel=1e-9)
    assert 0.05 < density < 1
    assert 0.05 < share < 1


def test_the_expected_clipped_coverage_is_that_of_the_beta_binomial() -> None:
    """Summed over the whole distribution, in exact whole numbers where the library uses logarithms."""
    real, fake, k = 30, 12, 3

    def probability(j: int, m: int) -> float:
        # j of m later samples fall below the k-th smallest of real - 1 earlier ones: orders of both that give it
        return math.comb(j + k - 1, j) * math.comb(m - j + real - 1 - k, m - j) / math.comb(m + real - 1, m)

    expected = [sum(min(j, k) / k * probability(j, m) for j in range(m + 1)) for m in range(fake + 1)]
    expected[:k] = [0.0] * k
    assert sum(probability(j, fake) for j in range(fake + 1)) == pytest.approx(1)
    assert expected_clipped_coverage(real, fake, k).tolist() == pytest.approx(expected, rel=1e-9)


def test_authenticity_is_its_formula(sides: tuple[Tensor, Tensor]) -> None:
    train, fake = sides
    fake = torch.cat([fake, train[:40] + 0.01 * gaussian(40, 20, 7)])
    authentic = 0
    spacing = between(train, train).fill_diagonal_(torch.inf).min(1).values
    for row in between(fake, train):
        authentic += bool(spacing[row.argmin()] < row.min())
    assert values(metrics.Authenticity(), train, fake)["authenticity"] == pytest.approx(authentic / 240)
    assert 20 < authentic < 210


def test_c_t_is_its_formula() -> None:
    """Two cells that k-means cannot miss, with different verdicts."""
    centres = torch.tensor([[0.0] * 6, [50.0] * 6])
    train, held_out, generated = (gaussian(n, 6, seed) for n, seed in ((80, 1), (60, 2), (90, 3)))
    generated[::2] = train[torch.arange(45) % 40 * 2] + 0.01
    for side in (train, held_out, generated):
        side[1::2] += centres[1]
    total = 0.0
    for part in (slice(0, None, 2), slice(1, None, 2)):
        made, new = (between(side[part], train[part]).min(1).values for side in (generated, held_out))
        u = sum(float(a > b) + 0.5 * float(a == b) for a in made for b in new)
        n, m = len(new), len(made)
        total += n / 60 * (u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)
    ours = three(metrics.DataCopying(cells=2), train, held_out, generated)["ct"]
    assert ours == pytest.approx(total, rel=1e-9)
    assert ours < -3
    with_more = torch.cat([generated, generated])  # a projection that loses nothing changes nothing
    padded = [torch.cat([side, torch.zeros(len(side), 70)], 1) for side in (train, held_out, with_more)]
    whole = three(metrics.DataCopying(cells=2, components=6), *padded)["ct"]
    assert whole == pytest.approx(three(metrics.DataCopying(cells=2), train, held_out, with_more)["ct"], rel=1e-6)


def test_fld_is_its_formula_with_automatic_gradients() -> None:
    """The whole of it in float64, by autograd, with one batch; differences of the last steps of the fit remain."""
    train, held_out, generated = (
        correlated(n, 10, seed, shift=s) for n, seed, s in ((90, 1, 0), (70, 2, 0), (60, 3, 0.4))
    )
    draw = np.random.RandomState(4)
    mean, deviation = held_out.double().mean(0), held_out.double().std(0)
    t, h, g = ((side.double() - mean) / deviation for side in (train, held_out, generated))

    def log_densities(squares: Tensor, log_variances: Tensor) -> Tensor:
        return -squares / (2 * log_variances.exp()) - 5 * (log_variances + math.log(2 * math.pi))

    def likelihood(centres: Tensor, known: Tensor, measured: Tensor) -> float:
        squares = between(known, centres).square()
        log_variances = ((squares.min(0).values + 1e-3) / 10).log().requires_grad_()
        origin = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([log_variances, origin], 0.5)
        losses: list[float] = []
        for epoch in range(50):
            own = log_densities(squares, log_variances) - math.log(len(centres))
            far = log_densities(0.81 * between(known, known.mean(0, keepdim=True)).square(), origin)
            loss = -torch.logsumexp(torch.cat([own, far], 1), 1).mean() / 10
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                log_variances.clamp_(-40, 40)
            losses.append(loss.item())
            if epoch > 5 and max(abs(losses[-1] - earlier) for earlier in losses[-5:]) < 5e-4:
                break
        final = log_densities(between(measured, centres).square(), log_variances.detach())
        return float((torch.logsumexp(final, 1) - math.log(len(centres))).mean()) / 10

    draw.choice(90, 90, replace=False)  # the order of the training samples, which changes nothing in one batch
    of_generated = likelihood(g, t, h)
    of_train = likelihood(g, t, t)
    t = t[torch.from_numpy(draw.choice(90, 90, replace=False))]
    baseline = likelihood(t[:45], t[45:], h)
    ours = three(metrics.FLD(seed=4), train, held_out, generated)
    assert ours["fld"] == pytest.approx(100 * (baseline - of_generated), abs=0.02)
    assert ours["fld_gap"] == pytest.approx(100 * (of_generated - of_train), abs=0.02)
    assert ours["fld"] > 1


def test_swd_is_its_formula() -> None:
    """The filter, the pyramid, the patches and the projections with loops, on one level of detail and one below."""
    from scipy.ndimage import convolve

    images = torch.randint(0, 256, (2, 3, 2, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    images[1] = avg_pool2d(images[1].float(), 3, 1, 1).byte()
    row = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(row, row)
    metric = metrics.SlicedWasserstein(patches=3, repeats=2, directions=5, seed=6)
    ours = values(metric, images[0], images[1])
    expected = []
    for level in range(2):
        sides = []
        for side in images.double().numpy():
            draw = np.random.RandomState([6, level])
            details = np.empty((3, 2, 32 >> level, 32 >> level))
            for i in range(3):
                for c in range(2):
                    small = convolve(side[i, c], kernel, mode="mirror")[::2, ::2]
                    large = np.zeros((32, 32))
                    large[::2, ::2] = small
                    details[i, c] = small if level else side[i, c] - convolve(large, 4 * kernel, mode="mirror")
            size = 32 >> level
            xs, ys = draw.randint(3, size - 3, size=9), draw.randint(3, size - 3, size=9)
            cut = [details[p // 3, :, ys[p] - 3 : ys[p] + 4, xs[p] - 3 : xs[p] + 4].swapaxes(1, 2) for p in range(9)]
            patches = np.stack(cut)
            patches -= patches.mean((0, 2, 3), keepdims=True)
            patches /= patches.std((0, 2, 3), keepdims=True)
            sides.append(patches.reshape(9, -1))
        draw = np.random.RandomState([6, level, 1])
        distances = []
        for _ in range(2):
            directions = draw.randn(98, 5)
            for direction in (directions / np.linalg.norm(directions, axis=0)).T:
                distances.append(np.abs(np.sort(sides[0] @ direction) - np.sort(sides[1] @ direction)).mean())
        expected.append(1000 * np.mean(distances))
    assert [ours["swd_32"], ours["swd_16"], ours["swd"]] == pytest.approx([*expected, np.mean(expected)], rel=1e-5)


def test_ms_ssim_of_colour_images_averages_channels_at_each_scale() -> None:
    """As in the code of the progressive GAN, with the window written out as a sum over pixels."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (1, 3, 16, 16), generator=draw).double()
    y = (0.8 * x + 0.2 * torch.randint(0, 256, x.shape, generator=draw)).round()
    expected = 1.0
    a, b = x[0].numpy(), y[0].numpy()
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        size = min(11, a.shape[1])
        axis = np.arange(size) - (size - 1) / 2
        window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (1.5 * size / 11) ** 2))
        window /= window.sum()
        similarity, contrast = [], []
        for c in range(3):
            for i in range(a.shape[1] - size + 1):
                for j in range(a.shape[1] - size + 1):
                    p, q = a[c, i : i + size, j : j + size], b[c, i : i + size, j : j + size]
                    mp, mq = (window * p).sum(), (window * q).sum()
                    vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
                    cs = (2 * ((window * p * q).sum() - mp * mq) + 58.5225) / (vp + vq + 58.5225)
                    contrast.append(cs)
                    similarity.append(cs * (2 * mp * mq + 6.5025) / (mp**2 + mq**2 + 6.5025))
        expected *= float(np.mean(similarity if scale == 4 else contrast)) ** weight
        a, b = (side.reshape(3, len(side[0]) // 2, 2, -1, 2).mean((2, 4)) if scale < 4 else side for side in (a, b))
    assert ms_ssim(x, y).item() == pytest.approx(expected, rel=1e-9)
    assert 0.1 < expected < 0.99


def test_sfid_is_the_distance_of_the_first_seven_channels() -> None:
    real, fake = gaussian(60 * 9 * 4, 1, 1).view(60, 9, 2, 2), gaussian(50 * 9 * 4, 1, 2).view(50, 9, 2, 2)
    ours = values(metrics.SpatialFID(28), real, fake)["sfid"]
    same = values(metrics.FID(28), real[:, :7].flatten(1), fake[:, :7].flatten(1))["fid"]
    assert ours == same > 0
