"""The gallery of ideas: every file is short, builds, trains, resumes to the last bit, and is mixed or says why not."""

from __future__ import annotations

import ast
import math
import re
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer

import zoo
from tests.helpers.ideas import IDEAS, idea, number, tiny
from tests.helpers.training import Noise, equal, identical, train, weights
from zoo.config.arguments import parse_arguments
from zoo.errors import UserError
from zoo.io.checkpoints import read_checkpoint
from zoo.runs.recipes import load_recipe

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in (ROOT / "examples/ideas").glob("*.py") if path.stem != "__init__")


class Later(Noise):
    """The batches that `Noise` yields after the first `after`."""

    def __init__(self, after: int, **noise: Any) -> None:
        super().__init__((1, 16, 16), **noise)
        self.after = after

    def __iter__(self) -> Iterator[zoo.Batch]:
        return islice(super().__iter__(), self.after, None)


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


def test_a_mixture_of_what_it_cannot_mix_is_refused(tmp_path: Path) -> None:
    bases = {name: {"class": f"examples.ideas.{name}", **IDEAS[name]} for name in IDEAS}
    with pytest.raises(UserError, match=r"unroll=2: a mixture hides its discriminators' weights; set unroll=0 there"):
        train(zoo.MixGAN(bases["unrolled.UnrolledGAN"], components=2), 1, tmp_path)
    with pytest.raises(ValueError, match=r"base: examples.ideas.logan.LOGAN overrides `fakes`, which a MixGAN would"):
        zoo.MixGAN(bases["logan.LOGAN"], components=2)
    with pytest.raises(ValueError, match=r"has parameters outside its generator and discriminator"):
        zoo.MixGAN(bases["infogan.InfoGAN"], components=2)
