"""Nearest neighbours against scikit-learn's brute force, and copies at distance 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from tests.helpers.allocated import most_allocated
from zoo.audit.statistics import distances
from zoo.audit.statistics.distances import closest_pairs, nearest
from zoo.metrics import pairwise_distances
from zoo.metrics.pairwise_distances import Cloud


@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_neighbours_are_those_of_brute_force(shift: float) -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, 12, generator=draw) + shift for n in (300, 2_500))  # more than one block
    found = nearest(a, b, 4)
    distances, indices = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(b.double()).kneighbors(a.double())
    np.testing.assert_allclose(found.distances.numpy(), distances, rtol=1e-6, atol=1e-6)
    assert (found.indices.numpy() == indices).mean() > 0.999  # float32 ties may fall either way


def test_an_image_is_not_its_own_neighbour_but_its_copy_is() -> None:
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    twins = torch.cat([x, x[:1]])
    found = nearest(twins, twins, 1, same=True)
    assert found.distances[0, 0] == found.distances[50, 0] == 0
    assert (found.indices[0, 0], found.indices[50, 0]) == (50, 0)
    assert float(found.distances[1:50].min()) > 0
    with pytest.raises(ValueError, match="3 nearest neighbours need more than 3 images; got 3"):
        nearest(x[:3], x[:3], 3, same=True)


def test_the_closest_pairs_are_those_of_all_pairs() -> None:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(2))
    all_pairs = torch.cdist(x.double(), x.double())[torch.triu_indices(60, 60, 1).unbind()]
    closest, i, j = closest_pairs(x, 10)
    assert bool((i < j).all())
    torch.testing.assert_close((x[i].double() - x[j].double()).norm(dim=1), closest.double(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(closest.double(), all_pairs.sort().values[:10], rtol=1e-6, atol=1e-7)


def test_many_references_are_never_copied_as_a_whole() -> None:
    x = torch.randn(12_000, 1_024, generator=torch.Generator().manual_seed(3))
    size = x.numel() * x.element_size()
    assert most_allocated(lambda: x + 1) >= size
    assert most_allocated(lambda: nearest(x[:20], x, 5)) < 0.75 * size  # a block of columns in float64, and tiles


def test_a_cloud_is_the_same_whole_and_in_parts() -> None:
    x = torch.randn(5_000, 200, generator=torch.Generator().manual_seed(4)) * 3 + 7
    cloud, other = Cloud.of(x, x[:100])
    means = [side.mean(0, dtype=torch.float64) for side in (x, x[:100])]
    assert torch.equal(cloud.centre, means[0] * (5_000 / 5_100) + means[1] * (100 / 5_100))
    assert torch.equal(cloud.points, ((x - cloud.centre.float()) * cloud.scale).float())
    assert torch.equal(cloud.squares, cloud.points.square().sum(1))
    assert torch.equal(cloud.part(slice(2_048, 4_096)).points, cloud.points[2_048:4_096])
    assert 0.5 <= float(cloud.points.abs().max()) <= 2
    assert torch.equal(other.points, cloud.points[:100])


def test_neighbours_do_not_depend_on_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(300, 20, generator=torch.Generator().manual_seed(5))
    whole, own = nearest(x[:90], x[90:], 5), nearest(x, x, 5, same=True)
    monkeypatch.setattr(pairwise_distances, "TILE", 64)
    assert distances.tiles(300)[0] == slice(0, 64)
    for before, after in ((whole, nearest(x[:90], x[90:], 5)), (own, nearest(x, x, 5, same=True))):
        assert torch.equal(before.distances, after.distances)
        assert torch.equal(before.indices, after.indices)
