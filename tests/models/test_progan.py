"""ProGAN compared with the paper and its authors' code."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, softplus

import zoo
from tests.helpers.training import bits, equal, identical, train, weights
from zoo import sampling
from zoo.data import Images, Pool
from zoo.io.run_folder import checkpoints_in
from zoo.models.progan_growth import GrowingAverage, Growth, Stage

PAPER = Growth(1024, 800_000, 800_000)
SHORT = Growth(128, 600_000, 600_000)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny(**settings: Any) -> zoo.ProGAN:
    """4, 8 and 16 px; each held for 32 images and faded in over 32."""
    torch.manual_seed(0)
    plain: dict[str, Any] = {
        "resolution": 16,
        "channels": 2,
        "latent_dim": 5,
        "width": 6,
        "width_base": 32,
        "hold_images": 32,
        "fade_images": 32,
    }
    return zoo.ProGAN(**{**plain, **settings})


def twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        ({"resolution": 1024}, 23_079_115, 23_087_249),
        ({"resolution": 256}, 23_044_309, 23_052_353),
        ({"resolution": 128}, 22_933_394, 22_941_313),
        ({"resolution": 64}, 22_490_383, 22_498_049),
        ({"resolution": 32, "width": 128, "width_base": 4096, "latent_dim": 128}, 1_296_908, 1_298_689),
    ],
)
def test_parameters_are_those_of_the_authors_networks(
    settings: dict[str, Any], generator: int, discriminator: int
) -> None:
    """Counts include the RGB heads of all resolutions; those of the paper's table 2, 23.1M each, the last ones only."""
    with torch.device("meta"):
        model = zoo.ProGAN(**settings)
    assert (count(model.generator), count(model.discriminator)) == (generator, discriminator)


def test_widths_are_those_of_table_2() -> None:
    with torch.device("meta"):
        model = zoo.ProGAN(1024)
    assert [head.weight.shape[1] for head in model.generator.to_rgb] == [512] * 4 + [256, 128, 64, 32, 16]
    assert [head.weight.shape[0] for head in model.discriminator.from_rgb] == [512] * 4 + [256, 128, 64, 32, 16]
    assert model.discriminator.last.weight.shape == (512, 513, 3, 3)  # and the minibatch deviation


def test_gains_are_one_before_nothing_and_smaller_at_the_latent() -> None:
    model = tiny(num_classes=3)
    generator, discriminator = model.generator, model.discriminator
    assert generator.dense.scale == pytest.approx(math.sqrt(2) / 4 / math.sqrt(5 + 3))
    assert [head.scale for head in generator.to_rgb] == pytest.approx([1 / math.sqrt(fan_in) for fan_in in (6, 6, 4)])
    assert discriminator.readout.scale == pytest.approx(1 / math.sqrt(6))
    assert discriminator.dense.scale == pytest.approx(math.sqrt(2 / (16 * 6)))
    assert [head.scale for head in discriminator.from_rgb] == pytest.approx([math.sqrt(2 / 2)] * 3)
    assert generator.dense.bias.shape == (6,)
    assert discriminator.readout.weight.shape == (1 + 3, 6)


def test_only_the_direction_of_a_latent_counts_and_images_have_no_bound() -> None:
    model, z = tiny(), torch.randn(4, 5)
    images = model.generator(z, None, Stage(16))
    torch.testing.assert_close(images, model.generator(100 * z, None, Stage(16)), rtol=1e-4, atol=1e-4)
    model.generator.to_rgb[2].bias.data.fill_(7.0)
    assert model.generator(z, None, Stage(16)).mean() > 2


@pytest.mark.parametrize("resolution", [2, 4, 12, 48, 2048])
def test_impossible_resolutions_are_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"a power of two from 8 to 1024; got {resolution}"):
        zoo.ProGAN(resolution)


def test_widths_that_leave_no_channel_are_refused() -> None:
    with pytest.raises(ValueError, match="width_base at least 16; got 8 and 15"):
        zoo.ProGAN(32, width=8, width_base=15)
    assert zoo.ProGAN(32, width=8, width_base=16).resolution == 32


@pytest.mark.parametrize(("hold", "fade"), [(0, 5), (5, -1)])
def test_impossible_schedules_are_refused(hold: int, fade: int) -> None:
    with pytest.raises(ValueError, match=f"got {hold} and {fade}"):
        zoo.ProGAN(8, width=2, hold_images=hold, fade_images=fade)


def test_the_class_enters_the_generator_and_the_discriminator_classifies() -> None:
    model = tiny(num_classes=3)
    z = torch.randn(1, 5).expand(3, -1)
    images = model.generate(model.generator, z, torch.arange(3))
    assert not torch.equal(images[0], images[1])
    assert model.logits(zoo.Batch(images)).shape == (3, 4)
    assert model.score(zoo.Batch(images)).shape == (3,)
    torch.testing.assert_close(  # labels are what it predicts, not what it is given
        model.score(zoo.Batch(images, torch.arange(3))), model.score(zoo.Batch(images))
    )


# --- the schedule ----------------------------------------------------------------------------------------------------


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
    [({8: 10}, "begins at 4, the first resolution; got {8: 10}"), ({}, "begins at 4"), ({4: 10, 8: 0}, "at least 1")],
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


# --- fades -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [(4, 8), (8, 16)])
def test_the_generator_fades_from_the_old_stage_doubled_to_the_new(old: int, new: int) -> None:
    generator, z = tiny().generator, torch.randn(3, 5)
    before, after = twice(generator(z, None, Stage(old))), generator(z, None, Stage(new))
    assert before.shape == after.shape == (3, 2, new, new)
    assert not torch.allclose(before, after, atol=0.1)
    for alpha in (0.0, 1e-9, 0.3, 1 - 1e-7):
        torch.testing.assert_close(generator(z, None, Stage(new, alpha)), (1 - alpha) * before + alpha * after)


@pytest.mark.parametrize(("old", "new"), [(4, 8), (8, 16)])
def test_the_discriminator_fades_from_the_old_stage_on_averaged_images_to_the_new(old: int, new: int) -> None:
    discriminator, images = tiny().discriminator, torch.randn(4, 2, new, new)
    before, after = discriminator(avg_pool2d(images, 2), Stage(old)), discriminator(images, Stage(new))
    assert not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(discriminator(images, Stage(new, 0.0)), before)
    torch.testing.assert_close(discriminator(images, Stage(new, 1 - 1e-7)), after, rtol=1e-4, atol=1e-5)


def test_during_a_fade_the_features_are_mixed_not_the_scores() -> None:
    discriminator, images = tiny().discriminator, torch.randn(4, 2, 16, 16)
    act = lambda x: nn.functional.leaky_relu(x, 0.2)  # noqa: E731
    new = act(discriminator.from_rgb[2](images))
    for convolution in discriminator.blocks[1]:
        new = act(convolution(new))
    x = 0.7 * act(discriminator.from_rgb[1](avg_pool2d(images, 2))) + 0.3 * avg_pool2d(new, 2)
    for convolution in discriminator.blocks[0]:
        x = act(convolution(x))
    x = act(discriminator.last(discriminator.deviation(avg_pool2d(x, 2))))
    expected = discriminator.readout(act(discriminator.dense(x.flatten(1))))
    torch.testing.assert_close(discriminator(images, Stage(16, 0.3)), expected)


def test_real_images_are_shrunk_to_the_stage_and_faded_like_generated_ones() -> None:
    model, images = tiny(fade_images=1_000_000), torch.rand(4, 2, 16, 16) * 2 - 1
    small = avg_pool2d(images, 2)
    coarse = twice(avg_pool2d(images, 4))
    for seen, expected in [
        (0, avg_pool2d(images, 4)),
        (33, coarse),  # alpha 1e-6
        (32 + 250_000, 0.75 * coarse + 0.25 * small),
        (32 + 999_999, small),
        (1_000_032, small),
        (1_000_032 + 32 + 500_000, 0.5 * twice(small) + 0.5 * images),
        (3_000_000, images),
    ]:
        model.images_seen = seen
        torch.testing.assert_close(model.prepare(zoo.Batch(images)).images, expected, rtol=0, atol=5e-6)
    model.images_seen = 32 + 250_000
    shrunk = model.prepare(zoo.Batch(small, torch.arange(4)))  # as the data module delivers them
    torch.testing.assert_close(shrunk.images, 0.75 * coarse + 0.25 * small)
    assert shrunk.labels is not None
    assert shrunk.labels.tolist() == [0, 1, 2, 3]


# --- the loss --------------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """Critic whose gradient is the same everywhere."""

    def __init__(self, resolution: int, offset: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.weight, self.offset = nn.Parameter(torch.randn(2, resolution, resolution)), offset

    def forward(self, images: Tensor, stage: Stage) -> Tensor:
        assert images.shape[-1] == stage.resolution
        return (images * self.weight).sum((1, 2, 3))[:, None] + self.offset


@pytest.mark.parametrize(("seen", "resolution", "factor"), [(0, 4, 4), (50, 8, 2), (64, 8, 2), (1000, 16, 1)])
@pytest.mark.parametrize("target", [1.0, 750.0])
def test_the_penalty_of_a_linear_critic_in_closed_form(seen: int, resolution: int, factor: int, target: float) -> None:
    model = tiny(penalty=10.0, target_norm=target)
    model.images_seen = seen
    critic = Linear(resolution)
    model.discriminator = critic
    real, fake = (zoo.Batch(torch.randn(5, 2, resolution, resolution)) for _ in range(2))
    norm = critic.weight.square().sum().sqrt().item()
    penalty = model.discriminator_loss(real, fake)["gradient_penalty"].item()
    assert penalty == pytest.approx(10 / target**2 * (norm / factor - target) ** 2, rel=1e-4)


@pytest.mark.parametrize("seen", [0, 50, 64, 120, 1000])
def test_the_penalty_is_the_one_on_images_repeated_to_full_size(seen: int) -> None:
    """Compute it as the authors do: the norm over all pixels of full-size images, which the network averages."""
    model = tiny()
    model.images_seen = seen
    size = model.stage.resolution
    real, fake = (torch.randn(4, 2, size, size) for _ in range(2))
    torch.manual_seed(3)
    penalty = model.discriminator_loss(zoo.Batch(real), zoo.Batch(fake))["gradient_penalty"]
    torch.manual_seed(3)
    where = torch.rand(4, 1, 1, 1)
    between = interpolate(real + where * (fake - real), size=16, mode="nearest").requires_grad_()
    (gradient,) = torch.autograd.grad(model.score(zoo.Batch(between)).sum(), between)
    assert gradient.shape == (4, 2, 16, 16)
    norms = gradient.flatten(1).norm(dim=1)
    torch.testing.assert_close(penalty, 10 * (norms - 1).square().mean())


def test_drift_is_of_real_scores_only_and_the_rest_is_wassersteins() -> None:
    model = tiny(drift=0.5)
    critic = Linear(4, offset=3.0)
    model.discriminator = critic
    real, fake = zoo.Batch(torch.randn(6, 2, 4, 4)), zoo.Batch(torch.randn(6, 2, 4, 4))
    r, f = model.score(real), model.score(fake)
    terms = model.discriminator_loss(real, fake)
    assert set(terms) == {"adversarial", "gradient_penalty", "drift"}
    torch.testing.assert_close(terms["drift"], 0.5 * r.square().mean())
    torch.testing.assert_close(terms["adversarial"], f.mean() - r.mean())
    more = model.discriminator_loss(real, zoo.Batch(100 * fake.images))
    assert torch.equal(more["drift"], terms["drift"])
    assert set(model.generator_loss(real, fake)) == {"adversarial"}
    torch.testing.assert_close(model.generator_loss(real, fake)["adversarial"], -f.mean())


@pytest.mark.parametrize(("seen", "resolution", "factor"), [(0, 4, 4), (50, 8, 2), (64, 8, 2), (1000, 16, 1)])
def test_other_objectives_have_their_values_and_r1_at_the_stages_scale(seen: int, resolution: int, factor: int) -> None:
    model = tiny(objective="non_saturating", r1=3.0)
    model.images_seen = seen
    critic = Linear(resolution, offset=0.5)
    model.discriminator = critic
    real, fake = (zoo.Batch(torch.randn(5, 2, resolution, resolution)) for _ in range(2))
    r, f = model.score(real), model.score(fake)
    terms = model.discriminator_loss(real, fake)
    assert set(terms) == {"adversarial", "r1"}
    torch.testing.assert_close(terms["adversarial"], softplus(-r).mean() + softplus(f).mean())
    torch.testing.assert_close(terms["r1"], 1.5 * critic.weight.square().sum() / factor**2)
    torch.testing.assert_close(model.generator_loss(real, fake)["adversarial"], softplus(-f).mean())
    assert set(tiny(objective="hinge").discriminator_loss(real, fake)) == {"adversarial"}


def test_both_penalties_are_at_the_stages_scale_also_beside_that_of_wasserstein() -> None:
    model = tiny(r1=3.0, r2=5.0, penalty=0.0)
    model.images_seen = 64
    critic = Linear(8, offset=0.5)
    model.discriminator = critic
    terms = model.discriminator_loss(*(zoo.Batch(torch.randn(5, 2, 8, 8)) for _ in range(2)))
    assert set(terms) == {"adversarial", "r1", "r2", "gradient_penalty", "drift"}
    torch.testing.assert_close(terms["r1"], 1.5 * critic.weight.square().sum() / 2**2)
    torch.testing.assert_close(terms["r2"], 2.5 * critic.weight.square().sum() / 2**2)


def test_r1_every_is_the_earlier_name_of_penalty_every() -> None:
    assert tiny(objective="hinge", r1=3.0, r1_every=4).penalty_every == 4
    assert tiny(objective="hinge", r1=3.0, r1_every=4, penalty_every=4).penalty_every == 4
    assert tiny(objective="hinge", r1=3.0, r1_every=4, penalty_every=1).penalty_every == 4  # as a recipe in full has it
    with pytest.raises(ValueError, match="r1_every is the earlier name of penalty_every: give one of them; got 4, 2"):
        tiny(objective="hinge", r1=3.0, r1_every=4, penalty_every=2)
    with pytest.raises(ValueError, match="penalty_every must be at least 1; got 0"):
        tiny(objective="hinge", r1=3.0, r1_every=0)


def test_objectives_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one of wasserstein, non_saturating, .*; got 'wgan'"):
        tiny(objective="wgan")


def test_both_sides_classify_when_conditional() -> None:
    model = tiny(num_classes=3)
    real = zoo.Batch(torch.randn(4, 2, 4, 4), torch.tensor([0, 1, 2, 0]))
    fake = zoo.Batch(torch.randn(4, 2, 4, 4), torch.tensor([0, 1, 2, 0]))

    def entropy(batch: zoo.Batch) -> Tensor:
        assert batch.labels is not None
        return -model.logits(batch)[:, 1:].log_softmax(1)[torch.arange(4), batch.labels].mean()

    torch.testing.assert_close(model.discriminator_loss(real, fake)["classification"], entropy(real) + entropy(fake))
    torch.testing.assert_close(model.generator_loss(real, fake)["classification"], entropy(fake))


def test_the_drift_reaches_the_readout_in_bf16_too() -> None:
    """The gradient of the drift, 0.002 r / B, would be lost beside the adversarial 1 / B in a sum of eight bits."""
    model, real = tiny(), zoo.Batch(torch.rand(8, 2, 4, 4))
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.discriminator_loss(real, zoo.Batch(torch.rand(8, 2, 4, 4)))
        scores = model.score(real)
    torch.stack(list(terms.values())).sum().backward()
    gradient = model.discriminator.readout.bias.grad
    assert scores.abs().max() < 1
    assert gradient.item() == pytest.approx(0.002 * scores.mean().item(), rel=1e-3, abs=1e-7)


class Recorded(zoo.ProGAN):
    """Model that records the arguments of its networks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[tuple[Tensor, Tensor | None]] = []
        self.real: list[Tensor | None] = []

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        self.asked.append((z, labels))
        return super().generate(network, z, labels)

    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        self.real.append(real.labels)
        return super().prepare(real)


def test_the_discriminators_fakes_have_the_labels_of_its_real_images(tmp_path: Path) -> None:
    model = Recorded(resolution=8, channels=1, latent_dim=4, width=4, width_base=8, num_classes=5)
    train(model, 6, tmp_path)
    discriminators, generators = model.asked[0::2], model.asked[1::2]
    assert len(discriminators) == len(generators) == len(model.real) == 6
    same = 0
    for real, (z, labels), (new, drawn) in zip(model.real, discriminators, generators):
        assert real is not None
        assert labels is not None
        assert drawn is not None
        assert torch.equal(labels, real)
        same += torch.equal(drawn, real)
        assert not torch.equal(z, new)  # the generator moves on latents of its own
    assert same == 0


# --- training --------------------------------------------------------------------------------------------------------


class Steps(Callback):
    """Callback that records, after each round, each optimizer's step count of a weight in use; 0 if it was reset."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []

    def on_train_batch_end(self, trainer: Trainer, model: Any, *_: Any) -> None:
        owned = (model.discriminator.last.weight, model.generator.first.weight)
        states = [optimizer.state for optimizer in trainer.optimizers]
        assert [len(state) == 0 for state in states] == [weight not in state for state, weight in zip(states, owned)]
        d, g = (int(state[weight]["step"]) if weight in state else 0 for state, weight in zip(states, owned))
        self.counts.append((d, g))


def test_adams_state_is_forgotten_where_fades_begin_and_end_and_nowhere_else(tmp_path: Path) -> None:
    """With batches of 8 the first batch past image 32 ends at 40, then 64; 96 + 8 and 128."""
    steps = Steps()
    train(tiny(), 20, tmp_path, callbacks=[steps])
    expected = [1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3, 4]
    assert steps.counts == [(n, n) for n in expected]


class Pixels(Images):
    """Data set of random images."""

    def __init__(self, pixels: NDArray[np.uint8], **images: Any) -> None:
        super().__init__(resolution=pixels.shape[1], channels=pixels.shape[3], held_out=0, **images)
        self.pixels = pixels

    def read(self) -> Pool:
        return Pool(self.pixels, None, "digest")


class Shapes(Callback):
    """Callback that records the clock and the shapes of the images that arrive."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []
        self.images: list[Tensor] = []

    def on_train_batch_start(self, trainer: Trainer, model: Any, batch: zoo.Batch, batch_idx: int) -> None:
        assert batch.images.shape[2] == batch.images.shape[3]
        self.seen.append((model.images_seen, len(batch), batch.images.shape[3]))
        self.images.append(batch.images)


def test_images_arrive_at_the_resolution_and_in_the_batches_of_the_stage(tmp_path: Path) -> None:
    shapes, pixels = Shapes(), np.random.default_rng(0).integers(0, 256, (40, 16, 16, 2), dtype=np.uint8)
    data = Pixels(pixels, batch_size={4: 16, 8: 8, 16: 4})
    model = tiny()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        max_epochs=-1,
        enable_model_summary=False,
        max_steps=2 * 20,
        default_root_dir=tmp_path,
        callbacks=[shapes],
    )
    trainer.fit(model, data)
    expected = [(0, 16, 4), (16, 16, 4), (32, 16, 4)]  # at image 32 exactly, nothing has been faded in yet
    expected += [(seen, 8, 8) for seen in (48, 56, 64, 72, 80, 88, 96)]
    expected += [(seen, 4, 16) for seen in range(104, 144, 4)]
    assert shapes.seen == expected
    assert model.images_seen == 144
    order = [int(i) for _, i in zip(range(16), data._stream().between(0, 16))]
    boxes = pixels[data.train.indices[order]].reshape(16, 4, 4, 4, 4, 2).astype(np.float64).mean((2, 4))
    arrived = (shapes.images[0].permute(0, 2, 3, 1).numpy() + 1) * 127.5
    np.testing.assert_allclose(arrived, np.rint(boxes), atol=1e-3)


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_thirty_rounds_through_all_stages_move_every_weight_and_stay_finite(
    precision: str, num_classes: int, tmp_path: Path
) -> None:
    model = tiny(num_classes=num_classes)
    before = weights(model)
    train(model, 30, tmp_path, precision=precision)
    assert model.images_seen == 240  # growth ends at 128
    assert model.stage == Stage(16)
    model.assert_finite()
    assert all(math.isfinite(value) for value in model.last_terms.values())
    after = weights(model)
    assert not [name for name in before if torch.equal(before[name], after[name])]
    assert model.sample(3, seed=0).isfinite().all()


def test_what_is_not_in_use_yet_does_not_move(tmp_path: Path) -> None:
    model = tiny(hold_images=1000)
    before = weights(model)
    train(model, 5, tmp_path)
    moved = {name for name, value in weights(model).items() if not torch.equal(value, before[name])}
    assert moved
    waiting = ("blocks.", "to_rgb.1", "to_rgb.2", "from_rgb.1", "from_rgb.2")
    assert not [name for name in moved if name.split(".", 1)[1].startswith(waiting)]


# --- use -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seen", "resolution"), [(0, 4), (40, 8), (64, 8), (100, 16), (128, 16)])
def test_samples_have_full_resolution_in_every_stage(seen: int, resolution: int) -> None:
    model = tiny()
    model.images_seen = seen
    assert model.data_resolution(seen) == resolution
    images = model.sample(3, seed=0)
    assert images.shape == (3, 2, 16, 16)
    assert images.abs().max() <= 1
    factor = 16 // resolution
    assert torch.equal(images, interpolate(images[..., ::factor, ::factor], scale_factor=factor, mode="nearest"))
    assert sampling.interpolate(model, 2, 3, seed=0).shape == (6, 2, 16, 16)


@pytest.mark.parametrize(("seen", "factor"), [(0, 4), (64, 2), (128, 1)])
def test_a_stage_scores_images_of_full_size(seen: int, factor: int) -> None:
    model, images = tiny(), torch.rand(4, 2, 16, 16)
    model.images_seen = seen
    scores = model.score(zoo.Batch(images))
    assert scores.shape == (4,)
    torch.testing.assert_close(scores, model.score(zoo.Batch(avg_pool2d(images, factor))))


# --- resuming --------------------------------------------------------------------------------------------------------


SMALL: dict[str, Any] = {
    "images": 528,
    "model": {"resolution": 16, "latent_dim": 5, "width": 6, "width_base": 32, "hold_images": 128, "fade_images": 128},
    "data": {"batch_size": {4: 32, 8: 16, 16: 8}},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 4},
    "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 32, "keep": 100}},
}
# Rounds end at 32, 64, 96, 128, 160 (the first fade has begun: reset), by sixteens to 256 (it has ended: reset) and 400
# (the second has begun), by eights to 512 (it has ended) and 528.


@pytest.mark.parametrize(
    ("precision", "images", "kills"),
    [
        # the last round that is kept, images in its checkpoint, whether Adam's state has just been forgotten
        ("32-true", 528, [(5, 160, True), (11, 256, True), (22, 416, False)]),
        ("bf16-mixed", 272, [(7, 192, False)]),
    ],
)
def test_a_run_killed_in_a_fade_or_at_a_border_ends_with_the_same_bits(
    precision: str, images: int, kills: list[tuple[int, int, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SMALL, "images": images, "trainer": {**SMALL["trainer"], "precision": precision}}
    whole = zoo.fit("progan_digits", out=tmp_path / "whole", **settings).folder
    expected = bits(checkpoints_in(whole)[0])
    assert expected["clock"]["images_seen"] == images
    for after, saved, forgotten in kills:
        folder = tmp_path / f"killed{after}"
        dying = {
            **settings,
            "callbacks": {**SMALL["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": after}},
        }
        with pytest.raises(RuntimeError, match="killed"):
            zoo.fit("progan_digits", out=folder, **dying)
        left = bits(checkpoints_in(folder)[0])
        assert left["clock"]["images_seen"] == saved
        assert [not optimizer["state"] for optimizer in left["optimizers"]] == [forgotten] * 2
        run = zoo.fit(resume=folder, callbacks={"end": None})
        assert identical(bits(checkpoints_in(run.folder)[0]), expected)


def test_a_rollback_undoes_growth_and_the_run_goes_through_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = zoo.fit("progan_digits", out=tmp_path / "early", **{**SMALL, "images": 96}).folder
    back = {"class": "tests.helpers.training.RollsBack", "after": 22, "to": str(checkpoints_in(early)[0])}
    settings = {**SMALL, "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 8, "keep": 100}, "back": back}}
    run = zoo.fit("progan_digits", out=tmp_path / "run", **settings)
    # The 22nd round ends at 416 images, with 16 x 16 pixels; its undoing leads back to 96 images, with 4 x 4.
    assert (run.model.images_undone, run.model.progress) == (416 - 96, 528)
    assert run.model.stage == Stage(16)
    ends = [int(path.stem) for path in reversed(checkpoints_in(run.folder))]
    shown = [after - before for before, after in pairwise(ends[21:])]
    assert shown == [8, 32] + [16] * 16 + [8] * 17  # first the batch that had been fetched when the run went back
    dying = {**settings["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": 30}}
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("progan_digits", out=tmp_path / "killed", **{**settings, "callbacks": dying})
    again = zoo.fit(resume=tmp_path / "killed", callbacks={"end": None})
    assert identical(bits(checkpoints_in(again.folder)[0]), bits(checkpoints_in(run.folder)[0]))


def test_a_loaded_run_stands_where_it_was_in_its_growth(tmp_path: Path) -> None:
    run = zoo.fit("progan_digits", out=tmp_path / "run", **{**SMALL, "images": 208})
    model = zoo.load_run(run.folder)
    assert isinstance(model, zoo.ProGAN)
    assert model.stage == Stage(8, 0.625)  # (208 - 128) / 128
    assert equal(weights(model), weights(run.model))
    assert torch.equal(model.sample(2, seed=0, labels=1), run.model.sample(2, seed=0, labels=1))


def test_without_equalized_rate_the_same_function_starts_out_and_learns_otherwise() -> None:
    settings: dict[str, Any] = {"latent_dim": 6, "width": 8, "width_base": 16}
    models = []
    for equalized in (True, False):
        torch.manual_seed(0)
        models.append(zoo.ProGAN(8, 1, equalized=equalized, **settings))
    z, images = torch.randn(4, 6), torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(*(m.generate(m.generator, z, None) for m in models), atol=1e-5)
        assert torch.allclose(*(m.score(zoo.Batch(images)) for m in models), atol=1e-5)
    first = [m.discriminator.last.weight for m in models]
    assert float(first[1].detach().std()) == pytest.approx(
        float(first[0].detach().std()) * math.sqrt(2 / (9 * 9)), rel=1e-4
    )
    assert sum(p.numel() for p in models[0].parameters()) == sum(p.numel() for p in models[1].parameters())


def test_without_pixel_norm_the_generator_has_the_same_weights_and_other_activations() -> None:
    torch.manual_seed(0)
    model = zoo.ProGAN(8, 1, latent_dim=6, width=8, width_base=16, pixel_norm=False)
    torch.manual_seed(0)
    usual = zoo.ProGAN(8, 1, latent_dim=6, width=8, width_base=16)
    assert equal(model.state_dict(), usual.state_dict())
    x = torch.randn(2, 8, 4, 4) * 5
    assert torch.equal(model.generator._activate(x), torch.nn.functional.leaky_relu(x, 0.2))
    assert usual.generator._activate(x).square().mean(1).sub(1).abs().max() < 1e-3
