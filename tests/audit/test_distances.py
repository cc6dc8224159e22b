"""Nearest neighbours against scikit-learn's brute force, and copies at distance 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from zoo.audit.statistics.distances import closest_pairs, nearest


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
