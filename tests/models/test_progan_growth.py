"""The growth of ProGAN by images seen: resolutions, fades, batches, and the average of a new block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import zoo
from zoo.data import Images
from zoo.models.progan_growth import GrowingAverage, Growth, Stage

PAPER = Growth(1024, 800_000, 800_000)
SHORT = Growth(128, 600_000, 600_000)


@pytest.mark.parametrize(
    ("images", "resolution", "alpha"),
    [
        # One phase is 800k + 800k = 1.6M images, and 1024 px are log2(1024 / 4) = 8 doublings away from 4 px.
        (0, 4, 1.0),
        (799_999, 4, 1.0),
        (800_000, 4, 1.0),  # q = 800k, faded (800k - 800k) / 800k = 0: lod 8
        (800_016, 8, 0.00002),  # lod 8 - 16 / 800k
        (1_000_000, 8, 0.25),  # (1,000k - 800k) / 800k
        (1_200_000, 8, 0.5),
        (1_400_000, 8, 0.75),
        (1_600_000, 8, 1.0),  # p = 1, q = 0: lod 7
        (2_399_999, 8, 1.0),
        (2_600_000, 16, 0.25),  # p = 1, q = 1,000k
        (4_000_000, 16, 1.0),  # p = 2, q = 800k: faded 0
        (7_500_000, 128, 0.375),  # p = 4 (6.4M), q = 1,100k: lod 8 - 4 - 300 / 800 = 3.625, 2^(10 - 3) px
        (12_000_000, 512, 1.0),  # p = 7, q = 800k: lod 1
        (12_400_000, 1024, 0.5),  # p = 7, q = 1,200k: lod 0.5
        (12_800_000, 1024, 1.0),  # p = 8: lod 0, the end of growth
        (19_000_000, 1024, 1.0),
        (90_000_000, 1024, 1.0),
    ],
)
def test_stages_of_the_papers_schedule(images: int, resolution: int, alpha: float) -> None:
    stage = PAPER.at(images)
    assert stage.resolution == resolution
    assert stage.alpha == pytest.approx(alpha, abs=1e-9)


PRESET = {4: 128, 32: 64, 64: 32, 128: 16}  # the authors' "preset v2" for one GPU


@pytest.mark.parametrize(
    ("images", "resolution", "alpha", "batch_size"),
    [
        # One phase is 600k + 600k = 1.2M images, and 128 px are log2(128 / 4) = 5 doublings away from 4 px.
        (0, 4, 1.0, 128),
        (600_000, 4, 1.0, 128),  # q = 600k, faded 0: lod 5
        (600_128, 8, 128 / 600_000, 128),
        (900_000, 8, 0.5, 128),
        (1_200_000, 8, 1.0, 128),  # p = 1: lod 4
        (1_800_000, 8, 1.0, 128),
        (2_100_000, 16, 0.5, 128),  # p = 1, q = 900k: lod 3.5
        (2_400_000, 16, 1.0, 128),
        (3_000_000, 16, 1.0, 128),  # p = 2, q = 600k: lod 3
        (3_000_064, 32, 64 / 600_000, 64),  # the batch shrinks where the fade begins
        (3_600_000, 32, 1.0, 64),
        (4_200_000, 32, 1.0, 64),
        (4_350_000, 64, 0.25, 32),  # p = 3, q = 750k: lod 5 - 3 - 150 / 600 = 1.75
        (5_400_000, 64, 1.0, 32),  # p = 4, q = 600k: lod 1
        (5_400_016, 128, 16 / 600_000, 16),
        (5_700_000, 128, 0.5, 16),
        (6_000_000, 128, 1.0, 16),
        (12_000_000, 128, 1.0, 16),
    ],
)
def test_stages_and_batches_of_the_short_schedule(images: int, resolution: int, alpha: float, batch_size: int) -> None:
    stage = SHORT.at(images)
    assert stage.resolution == resolution
    assert stage.alpha == pytest.approx(alpha, abs=1e-9)
    data = Images(resolution=128, channels=3, batch_size=PRESET)
    assert data.batch_size_at(stage.resolution) == batch_size


@pytest.mark.parametrize(
    ("growth", "before", "now", "reset"),
    [
        (SHORT, 0, 128, False),
        (SHORT, 599_872, 600_000, False),  # lod 5 and 5: the fade begins after this image
        (SHORT, 600_000, 600_128, True),  # 5 to 4.9998: ceiling 5, floor 4
        (SHORT, 599_936, 600_064, True),
        (SHORT, 600_128, 600_256, False),  # 4.9998 to 4.9996
        (SHORT, 1_199_744, 1_199_872, False),
        (SHORT, 1_199_872, 1_200_000, True),  # 4.0002 to 4: ceiling 5 to 4
        (SHORT, 1_200_000, 1_200_128, False),
        (SHORT, 1_799_936, 1_800_064, True),
        (SHORT, 5_999_984, 6_000_000, True),  # to lod 0: the last
        (SHORT, 6_000_000, 6_600_016, False),
        (SHORT, 11_000_000, 12_000_000, False),
        (PAPER, 799_984, 800_000, False),
        (PAPER, 800_000, 800_016, True),
        (PAPER, 1_599_984, 1_600_000, True),
        (PAPER, 1_600_000, 1_600_016, False),
        (PAPER, 12_799_998, 12_800_001, True),
        (PAPER, 13_600_000, 13_600_003, False),
    ],
)
def test_fades_begin_and_end_where_the_authors_forget_adams_state(
    growth: Growth, before: int, now: int, reset: bool
) -> None:
    assert growth.changed(before, now) == reset


def test_without_fades_blocks_are_switched_on_at_once() -> None:
    growth = Growth(16, 100, 0)
    stages = [(growth.at(images).resolution, growth.at(images).alpha) for images in (0, 99, 100, 199, 200, 999)]
    assert stages == [(4, 1), (4, 1), (8, 1), (8, 1), (16, 1), (16, 1)]
    assert [growth.changed(images - 1, images) for images in (99, 100, 101, 200, 300)] == [0, 1, 0, 1, 0]


def test_each_resolution_may_be_held_for_a_time_of_its_own() -> None:
    growth = Growth(32, {4: 10, 8: 30, 32: 5}, 4)  # 16 px are held as 8 px are; the last is held for ever
    ends = {
        (0, 9): Stage(4),
        (12, 12): Stage(8, 0.5),
        (14, 43): Stage(8),
        (46, 46): Stage(16, 0.5),
        (48, 77): Stage(16),
        (79, 79): Stage(32, 0.25),
        (82, 10**6): Stage(32),
    }
    for (first, last), stage in ends.items():
        assert growth.at(first) == growth.at(last) == stage
    same = Growth(64, {4: 700}, 300)
    assert all(same.at(images) == Growth(64, 700, 300).at(images) for images in range(0, 5000, 7))


def test_growth_may_begin_at_a_larger_resolution() -> None:
    whole, late = Growth(32, {4: 10, 8: 30}, 4), Growth(32, {4: 10, 8: 30}, 4, initial=8)
    assert late.end == whole.end - 14
    assert all(late.at(images) == whole.at(images + 14) for images in range(100))
    assert Growth(32, 10, 4, initial=32).end == 0
    assert Growth(32, 10, 4, initial=32).at(0) == Stage(32)
    assert Growth(32, {8: 30}, 4, initial=8).at(29) == Stage(8)  # 4 px need no time


def test_the_average_follows_a_new_block_faster_than_an_old_one() -> None:
    growth = Growth(16, {4: 1_000, 8: 3_000}, 500)
    began = {0: 0, 999: 0, 1_000: 1_000, 1_499: 1_000, 4_499: 1_000, 4_500: 4_500, 10**6: 4_500}
    assert {images: growth.began(images) for images in began} == began
    rule = GrowingAverage(halflife=10, growth=growth)
    for images_seen, halflife in ((100, 5), (999, 10), (1_020, 1), (1_100, 5), (1_200, 10), (4_540, 2), (9_000, 10)):
        assert rule.weight(halflife, images_seen) == pytest.approx(0.5), images_seen
    assert rule.weight(1, 1_000) == 1  # the block that is switched on is copied
    assert GrowingAverage(halflife=10, start=2_000, growth=growth).weight(1, 2_000) == 1
    assert GrowingAverage(halflife=0, growth=growth).weight(1, 9_000) == 1
    grown = zoo.ProGAN(resolution=16, width=4, width_base=16, latent_dim=4, hold_images=1_000, fade_images=500)
    assert grown.moving_average == GrowingAverage(11_085, growth=grown.growth)


@pytest.mark.parametrize(
    ("images", "blocks", "heads"), [(0, 0, 1), (10, 0, 1), (11, 1, 2), (15, 1, 2), (25, 1, 2), (26, 2, 3)], ids=str
)
def test_the_average_leaves_out_blocks_that_have_not_been_switched_on(images: int, blocks: int, heads: int) -> None:
    growth = Growth(16, hold=10, fade=5)  # 4x4 up to 10 images, 8x8 from 11 to 25, then 16x16
    network = zoo.ProGAN(resolution=16, width=4, latent_dim=4).generator
    names = {id(tensor): name for name, tensor in network.named_parameters()}
    moved = {names[id(tensor)] for tensor in GrowingAverage(10, growth=growth).tensors(network, images)}
    grown = {name for name in names.values() if not name.startswith(("blocks", "to_rgb"))}
    assert grown < moved
    for part, count in (("blocks", blocks), ("to_rgb", heads)):
        assert {int(name.split(".")[1]) for name in moved if name.startswith(part)} == set(range(count))


@pytest.mark.parametrize("initial", [0, 2, 6, 64])
def test_growth_cannot_begin_where_there_is_no_block(initial: int) -> None:
    with pytest.raises(ValueError, match=f"initial_resolution is one of 4, 8, 16, 32; got {initial}"):
        Growth(32, 10, 4, initial)


@pytest.mark.parametrize(
    ("hold", "fault"),
    [
        ({8: 10}, "begins at 4, the first resolution, such as {4: 10000}; got {8: 10}"),
        ({}, "begins at 4"),
        ({4: 10, 6: 5}, "hold_images as a mapping has powers of two, from which on its numbers are valid"),
        ({4: 10, 8: 0}, "at least 1"),
    ],
)
def test_holds_that_leave_a_resolution_out_are_refused(hold: dict[int, int], fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        zoo.ProGAN(8, width=2, hold_images=hold)


def test_holds_of_their_own_survive_a_recipe_and_a_release(tmp_path: Path) -> None:
    run = zoo.fit(
        "progan_digits",
        out=tmp_path / "run",
        images=64,
        trainer={"accelerator": "cpu"},
        model={"width": 4, "width_base": 16, "hold_images": {4: 20, 8: 10**6}, "fade_images": 4},
        data={"batch_size": 16},
        callbacks={"SampleMetrics": None, "SampleGrid": None, "Alarms": None},
    )
    assert run.model.stage == Stage(8)
    assert zoo.load_run(run.folder).stage == Stage(8)
    released = zoo.from_pretrained(run.model.save_pretrained(tmp_path / "release"))
    assert released.growth == run.model.growth
    assert torch.equal(released.sample(2, seed=0, labels=1), run.model.eval().sample(2, seed=0, labels=1))
