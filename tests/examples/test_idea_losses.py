"""Losses of the gallery of ideas, held against their papers: by hand, by cases that cost nothing, by schedule."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

import zoo
from tests.helpers.ideas import TINY, MeanPixel, flat, idea, number, tiny


def test_lsgan_has_its_own_targets() -> None:
    """By hand: (0.5 - 1)^2 and 0, halved; 0 and 1, halved; for the generator 1 and 0, halved."""
    model = tiny("lsgan.LSGAN", r1=2.0, r2=3.0)
    model.discriminator = MeanPixel()
    assert (model.objective.r1, model.objective.r2, model.undecided) == (2.0, 3.0, 0.0)
    model.objective.r1 = model.objective.r2 = 0.0
    real, fake = flat(0.5, 1.0), flat(-1.0, 0.0)
    assert number(model.discriminator_loss(real, fake)["adversarial"]) == pytest.approx(0.25 / 4 + 1 / 4)
    assert number(model.generator_loss(real, fake)["adversarial"]) == pytest.approx(1 / 4)
    assert tiny("lsgan.LSGAN", a=0.0, c=1.0).undecided == zoo.DCGAN(**TINY, objective="least_squares").undecided


class Headed(nn.Module):
    """Discriminator that gives the same scores and heads for any images."""

    def __init__(self, heads: Tensor) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(images)), self.heads[: len(images)]


def test_acgan_adds_the_cross_entropy_of_both_batches() -> None:
    model = tiny("acgan.ACGAN", num_classes=2, classification=3.0)
    model.discriminator = Headed(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    real, fake = flat(0.0, 0.0), flat(0.0, 0.0)
    real.labels, fake.labels = torch.tensor([0, 1]), torch.tensor([1, 1])
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    other = math.log(1 + math.exp(-1))
    of_real, of_fake = (right + other) / 2, (wrong + other) / 2
    assert number(model.discriminator_loss(real, fake)["classification"]) == pytest.approx(3 * (of_real + of_fake))
    assert number(model.generator_loss(real, fake)["classification"]) == pytest.approx(3 * of_fake)
    with pytest.raises(ValueError, match=r"num_classes must be at least 2; got 0"):
        idea("acgan.ACGAN")(num_classes=0)


def test_the_data_to_data_cross_entropy_is_the_written_out_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    embeddings, proxies = (normalize(torch.randn(5, 3, generator=generator), dim=1) for _ in range(2))
    labels, margin, temperature = torch.tensor([0, 1, 0, 2, 1]), 0.9, 0.5
    proxies = proxies[labels]
    total = 0.0
    for i in range(5):
        attraction = math.exp(min(number(embeddings[i] @ proxies[i]) - margin, 0) / temperature)
        repulsion = sum(
            math.exp(max(number(embeddings[i] @ embeddings[j]) - (1 - margin), 0) / temperature)
            for j in range(5)
            if labels[j] != labels[i]
        )
        total -= math.log(attraction / (attraction + repulsion)) / 5
    found = idea("reacgan.d2d_ce")(embeddings, proxies, labels, margin, temperature)
    assert number(found) == pytest.approx(total, rel=1e-5)


def test_reacgan_learns_classes_from_real_images_only(tmp_path: Path) -> None:
    model = tiny("reacgan.ReACGAN")
    real = zoo.Batch(torch.rand(6, 1, 16, 16), torch.arange(6) % 3)
    fake = zoo.Batch(torch.rand(6, 1, 16, 16), torch.arange(6) % 3)
    terms = model.discriminator_loss(real, fake)
    torch.testing.assert_close(real.heads.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(terms["d2d"], 0.5 * model.class_loss(real))
    torch.testing.assert_close(model.generator_loss(real, fake)["d2d"], 0.5 * model.class_loss(fake))


def test_lecam_holds_scores_to_running_means() -> None:
    """Two rounds of scripted scores; the means start at 0, which is corrected."""
    model = tiny("lecam.LeCamGAN", lecam=2.0, decay=0.75)
    model.discriminator = MeanPixel()
    first = model.discriminator_loss(flat(1.0, 0.5), flat(-0.5, 0.0))["lecam"]
    real_mean, fake_mean = 0.75, -0.25
    by_hand = ((1 - fake_mean) ** 2 + (0.5 - fake_mean) ** 2) / 2 + ((real_mean + 0.5) ** 2 + real_mean**2) / 2
    assert number(first) == pytest.approx(2 * by_hand)
    second = model.discriminator_loss(flat(0.25, 0.25), flat(0.5, 0.5))["lecam"]
    share = 0.25 / (0.25 + 0.75 * 0.25)  # of the second round in the corrected mean
    real_mean, fake_mean = 0.75 + share * (0.25 - 0.75), -0.25 + share * (0.5 + 0.25)
    by_hand = (0.25 - fake_mean) ** 2 + max(real_mean - 0.5, 0) ** 2
    assert number(second) == pytest.approx(2 * by_hand)


def test_consistency_costs_nothing_where_the_change_changes_nothing() -> None:
    """Grey images are the same mirrored and shifted; with a linear critic the cost is that of the mean pixel."""
    model = tiny("consistency.ConsistentGAN", consistency=3.0, fake_consistency=5.0).eval()  # fixed spectral norms
    terms = model.discriminator_loss(flat(0.0, 0.0, 0.0), flat(0.0, 0.0, 0.0))
    assert terms["real_consistency"].item() == terms["fake_consistency"].item() == 0
    model.discriminator = MeanPixel()
    model.changed = lambda images: images / 2
    terms = model.discriminator_loss(flat(1.0, 0.5), flat(-0.5, -0.5))
    assert number(terms["real_consistency"]) == pytest.approx(3 * (0.25 + 0.0625) / 2)
    assert number(terms["fake_consistency"]) == pytest.approx(5 * 0.0625)
    plain = tiny("consistency.ConsistentGAN", fake_consistency=0.0)
    assert "fake_consistency" not in plain.discriminator_loss(flat(0.0, 0.0), flat(0.0, 0.0))


def test_a_change_mirrors_half_of_the_images_and_shifts_them_within_the_picture() -> None:
    model = tiny("consistency.ConsistentGAN")
    images = torch.zeros(400, 1, 16, 16)
    images[:, 0, 8, 4] = 1  # mirrored: column 11
    rows, columns = model.changed(images)[:, 0].nonzero()[:, 1:].unbind(1)
    assert set(rows.tolist()) == {6, 7, 8, 9, 10}  # an eighth of 16 pixels each way
    assert set(columns.tolist()) == {*range(2, 7), *range(9, 14)}
    assert 120 < int((columns > 8).sum()) < 280
    stripes = (torch.arange(16) % 2).float().expand(9, 1, 16, 16)  # mirrored at an edge they go on as they are
    assert set(model.changed(stripes).unique().tolist()) == {0.0, 1.0}  # no grey strip where nothing was


def test_top_k_keeps_the_best_by_a_schedule_of_images() -> None:
    model = tiny("top_k.TopKGAN", decay=0.8, epoch=100, lowest_share=0.5)
    model.discriminator = MeanPixel()
    for progress, share in {0: 1.0, 99: 1.0, 100: 0.8, 250: 0.64, 100_000: 0.5}.items():
        model.before_round(progress)
        assert model.share == pytest.approx(share)
    fake = flat(0.3, -0.4, 0.9, 0.1)
    fake.images.requires_grad_(True)
    loss = model.generator_loss(flat(0.0), fake)["adversarial"]
    assert number(loss) == pytest.approx(sum(math.log(1 + math.exp(-x)) for x in (0.9, 0.3)) / 2)
    (gradient,) = torch.autograd.grad(loss, fake.images)
    assert gradient.abs().sum((1, 2, 3)).gt(0).tolist() == [True, False, True, False]
