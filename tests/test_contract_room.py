"""What a variant can do by overriding single methods: latents, labels and further heads in its losses. Row A13."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import zoo
from tests.helpers.training import Noise, train
from zoo.alarms.observe import Observer
from zoo.data import Folder
from zoo.errors import DataError
from zoo.training.augment import translation
from zoo.training.objectives import Terms

ROOT = Path(__file__).parents[1]
CODES = 2


class TwoHeads(nn.Module):
    """Discriminator with a score and further outputs, which counts its passes and the images in each."""

    def __init__(self, pixels: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 8), nn.LeakyReLU(0.2))
        self.score, self.head = nn.Linear(8, 1), nn.Linear(8, outputs)
        self.passes: list[int] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.passes.append(len(images))
        features = self.body(images)
        return self.score(features).flatten(), self.head(features)


class WithHead(zoo.VanillaGAN):
    """The base of the two variants below: one more head, scored in the pass of the scores."""

    outputs = CODES

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"resolution": 4, "latent_dim": 4, "layers": 1, "width": 8, **settings})
        self.discriminator = TwoHeads(16, self.outputs)

    def score(self, batch: zoo.Batch) -> Tensor:
        scores, batch.heads = self.discriminator(batch.images)
        return scores


class InfoGAN(WithHead):
    """InfoGAN (Chen et al. 2016, arXiv:1606.03657) with continuous codes: the first coordinates of the latent."""

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        terms = super().generator_loss(real, fake)
        assert fake.heads is not None
        assert fake.latents is not None
        return {**terms, "information": mse_loss(fake.heads, fake.latents[:, :CODES])}


class ACGAN(WithHead):
    """AC-GAN (Odena et al. 2017, arXiv:1610.09585) whose labels `prepare` makes: whether an image is bright."""

    makes_labels = True

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.num_classes = 2

    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        assert real.labels is None
        return zoo.Batch(real.images, (real.images.mean((1, 2, 3)) > 0).long())

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        terms = super().discriminator_loss(real, fake)
        assert real.heads is not None
        assert fake.heads is not None
        return {**terms, "classes": cross_entropy(real.heads, real.labels) + cross_entropy(fake.heads, fake.labels)}


class NoLabels(ACGAN):
    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        return real


def test_latents_reach_the_loss_and_a_head_is_scored_in_the_pass_of_the_score(tmp_path: Path) -> None:
    """Row A13: InfoGAN as a subclass with one loss; two passes a round, of real and fake, and of fake."""
    model = InfoGAN(micro_batches=2)
    train(model, 3, tmp_path)
    assert model.discriminator.passes == [8, 8, 4, 4] * 3  # by micro-batch: 4 real and 4 generated, then 4 generated
    assert {"d/adversarial", "g/adversarial", "g/information"} == model.last_terms.keys()


@pytest.mark.parametrize("couples", [False, True])
def test_each_batch_gets_its_own_rows_of_the_heads_and_its_own_latents(couples: bool) -> None:
    """Row A13: whether scored in one pass or in several; latents are those that the images were made from."""
    model = InfoGAN(augment=("translation",)).eval()
    model.couples_batch = couples
    z = model.sample_latent(5)
    real, fake = zoo.Batch(torch.rand(3, 1, 4, 4)), model.fakes(z, None)
    assert fake.latents is z
    torch.testing.assert_close(model.generate(model.generator, fake.latents, None), fake.images)
    scores = model.scores(real, fake)
    for batch, found in zip((real, fake), scores):
        expected, head = model.discriminator(batch.images)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(batch.heads, head)
    parts = fake.chunk(2)
    assert torch.equal(torch.cat([part.latents for part in parts]), z)


@pytest.mark.parametrize("payoff", ["shared", "full"])
def test_a_mixture_gives_its_members_latents_and_heads(payoff: Any, tmp_path: Path) -> None:
    """Row A13, in a mixture: every loss finds both; the assertions are in the losses."""
    model = zoo.MixGAN({"class": f"{__name__}.InfoGAN"}, components=2, payoff=payoff)
    train(model, 2, tmp_path)
    assert "g/information" in model.last_terms
    z = model.sample_latent(6)
    fake = model.fakes(z, None)
    for member, rows in zip(model.generator.members, fake.chunk(2)):
        torch.testing.assert_close(model.generate(member, rows.latents, None), rows.images)


class Recorded(zoo.VanillaGAN):
    """Shows its losses images at half their brightness, and keeps what the discriminator's loss leaves with them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"resolution": 4, "latent_dim": 4, "layers": 1, "width": 8, "dropout": 0.0, **settings})

    def shown(self, batch: zoo.Batch) -> zoo.Batch:
        return zoo.Batch(super().shown(batch).images / 2, batch.labels, batch.latents)

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        terms = super().discriminator_loss(real, fake)
        self.seen = [
            (batch.images.abs().max().item(), batch.scores, self.discriminator(batch.images)) for batch in (real, fake)
        ]
        return terms


@pytest.mark.parametrize("settings", [{}, {"r1": 1.0}, {"r1": 1.0, "r2": 1.0}, {"objective": "relativistic"}], ids=str)
@pytest.mark.parametrize("couples", [False, True])
def test_a_loss_finds_the_scores_that_its_parents_loss_was_computed_from(
    settings: dict[str, Any], couples: bool, tmp_path: Path
) -> None:
    """In one pass or in two, from passes with gradient penalties or without: each batch has its own rows."""
    model = Recorded(**settings)
    model.couples_batch = couples
    train(model, 1, tmp_path)
    for _, scores, expected in model.seen:
        torch.testing.assert_close(scores, expected)
    images = [torch.rand(3, 1, 4, 4), torch.rand(2, 1, 4, 4)]
    batches = [zoo.Batch(rows) for rows in images]
    found = model.scores(*batches)
    assert all(scores is batch.scores for scores, batch in zip(found, batches))


def test_losses_alarms_and_mixtures_see_images_as_they_are_shown(tmp_path: Path) -> None:
    """Images of at most 1 are shown at half of that, whoever looks."""
    model = Recorded()
    trainer = train(model, 1, tmp_path)
    assert max(brightest for brightest, *_ in model.seen) <= 0.5
    batch = zoo.Batch(torch.rand(4, 1, 4, 4))
    observer = Observer(model, None, n=4, many=4)
    observer.fixed.first_batch(batch)
    model.discriminator = Brightest()
    fake = observer.fixed.fake(model, batch).images
    signals = observer.quick(trainer, model)
    assert signals["score/real"] == pytest.approx(batch.images.amax((1, 2, 3)).mean().item() / 2)
    assert signals["score/fake"] == pytest.approx(fake.amax((1, 2, 3)).mean().item() / 2)
    mixture = zoo.MixGAN({"class": f"{__name__}.Recorded"}, components=2)
    assert torch.equal(mixture.shown(batch).images, batch.images / 2)
    train(mixture, 1, tmp_path)
    assert max(brightest for brightest, *_ in mixture.pairs[0][0].seen) <= 0.5


class Brightest(nn.Module):
    """Discriminator whose score is the largest value of an image."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.amax((1, 2, 3))


def test_an_augmented_batch_is_what_is_shown_by_default() -> None:
    model = zoo.VanillaGAN(resolution=4, width=8, layers=1, augment=("translation",))
    batch = zoo.Batch(torch.rand(5, 1, 4, 4), latents=torch.rand(5, 2))
    torch.manual_seed(1)
    shown = model.shown(batch)
    torch.manual_seed(1)
    assert torch.equal(shown.images, translation(batch.images))
    assert shown.latents is batch.latents
    assert zoo.VanillaGAN(resolution=4, width=8, layers=1).shown(batch) is batch


def test_labels_that_prepare_makes_count(tmp_path: Path) -> None:
    """Row A13: data without labels train a conditional model, also from a folder; without the labels it is told."""
    model = ACGAN()
    train(model, 2, tmp_path, loader=Noise((1, 4, 4)))
    assert "d/classes" in model.last_terms
    with pytest.raises(DataError, match=r"prepare of the model makes no labels"):
        train(NoLabels(), 2, tmp_path, loader=Noise((1, 4, 4)))

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(12):
        zoo.rendering.pictures.grid(torch.rand(1, 1, 4, 4) * 2 - 1, 1).resize((4, 4)).save(pictures / f"{i}.png")
    data = Folder(root=str(pictures), resolution=4, channels=1, batch_size=4)
    train(ACGAN(), 2, tmp_path, loader=data)


def test_the_table_of_overridable_methods_is_whole() -> None:
    """Row A13: docs/architecture.md names every method that `zoo/gan.py` says a variant may override."""
    text = (ROOT / "zoo/gan.py").read_text()
    start = text.index("# --- methods that a variant may override")
    line = text[:start].count("\n")
    end = line + text[start:].split("# --- the loop")[0].count("\n")
    (gan,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    methods = {node.name for node in gan.body if isinstance(node, ast.FunctionDef) and line < node.lineno <= end}
    assert {"sample_latent", "fakes", "players"} <= methods
    table = (ROOT / "docs/architecture.md").read_text().split("## What a variant overrides")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (.*?) \|", table, re.M) for name in re.findall(r"`(\w+)", row)}
    assert methods | {"couples_batch", "makes_labels"} <= named
    assert [name for name in named if not hasattr(zoo.GAN, name)] == []
