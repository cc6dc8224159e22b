"""Tests of points in the plane: number, centres and standard deviation of the modes."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from zoo.data import Grid, Ring
from zoo.data.images import Loader
from zoo.data.points import Points
from zoo.data.stream import Stream

SETS = [(Ring, 8, 0.008), (Grid, 25, 0.01)]


def drawn(kind: type[Points], samples: int = 20_000) -> tuple[Points, np.ndarray, np.ndarray]:
    """Return all points (N, 2) and their labels (N,)."""
    data = kind(samples=samples, held_out=0)
    data.setup()
    batch = data.train.batch(torch.arange(samples))
    assert batch.labels is not None
    return data, batch.images.numpy().reshape(-1, 2), batch.labels.numpy()


@pytest.mark.parametrize(("kind", "modes", "_"), SETS)
def test_every_mode_is_there_and_equally_likely(kind: type[Points], modes: int, _: float) -> None:
    data, _points, labels = drawn(kind)
    counts = np.bincount(labels, minlength=modes)
    assert data.num_classes == modes
    assert len(counts) == modes
    assert abs(counts / (20_000 / modes) - 1).max() < 0.2  # of 800 a deviation is 3.5 %


@pytest.mark.parametrize(("kind", "modes", "deviation"), SETS)
def test_points_lie_about_their_labelled_centre(kind: type[Points], modes: int, deviation: float) -> None:
    data, points, labels = drawn(kind)
    offsets = points - data.centres[labels]
    assert offsets.std(axis=0) == pytest.approx([deviation] * 2, rel=0.03)
    assert abs(offsets.mean(axis=0)).max() < 5 * deviation / np.sqrt(20_000)
    assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.05
    distances = np.linalg.norm(points[:, None] - data.centres[None], axis=2)
    assert (distances.argmin(axis=1) == labels).all()


def test_the_ring_has_radius_four_fifths_and_even_steps() -> None:
    centres = Ring(modes=8).centres
    assert np.linalg.norm(centres, axis=1) == pytest.approx([0.8] * 8)
    steps = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    assert steps == pytest.approx([1.6 * np.sin(np.pi / 8)] * 8, rel=1e-5)  # the last one closes the ring


def test_the_grid_is_square_with_spacing_two_fifths() -> None:
    centres = Grid(side=5).centres
    line = [-0.8, -0.4, 0.0, 0.4, 0.8]
    assert sorted(map(tuple, centres.round(4).tolist())) == [pytest.approx((x, y)) for x in line for y in line]


@pytest.mark.parametrize(("data", "modes"), [(Ring(modes=5, samples=500), 5), (Grid(side=3, samples=500), 9)])
def test_the_number_of_modes_is_the_callers(data: Points, modes: int) -> None:
    data.setup()
    assert data.num_classes == modes
    assert len(data.centres) == modes


@pytest.mark.parametrize("kind", [Ring, Grid])
@pytest.mark.parametrize("wrong", [{"resolution": 16}, {"channels": 1}, {"resolution": 32, "channels": 3}])
def test_a_shape_that_is_not_a_point_is_refused(kind: type[Points], wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="points in the plane: model and data need resolution=1 and channels=2; got"):
        kind(**wrong)


def test_points_are_one_pixel_with_two_channels_and_pass_unchanged() -> None:
    data = Ring(samples=1000, batch_size=16, flip=False)
    data.setup()
    batch = next(iter(Loader(lambda: Stream(len(data.train), 16), data.resolution_at, data.train, None, 0, None)))
    assert batch.images.shape == (16, 2, 1, 1)
    assert batch.images.dtype == torch.float32
    assert torch.equal(data.on_after_batch_transfer(batch, 0).images, batch.images)
    assert batch.images.abs().max() < 1


def test_the_points_are_those_of_the_split_seed() -> None:
    sets = [Ring(samples=100, seed=seed, split_seed=split) for seed, split in ((0, 0), (1, 0), (0, 1))]
    for data in sets:
        data.setup()
    assert torch.equal(sets[0].train.tensor(), sets[1].train.tensor())
    assert not torch.equal(sets[0].train.tensor(), sets[2].train.tensor())


def test_a_tenth_of_the_points_is_held_out() -> None:
    data = Grid(samples=1000)
    data.setup()
    assert (len(data.train), len(data.held_out)) == (900, 100)
    seen = torch.cat(list(islice(Stream(900, 90), 10)))
    assert not set(data.train.indices[seen.numpy()]) & set(data.held_out.indices)
