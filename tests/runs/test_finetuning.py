"""Tests of fine-tuning: a model starts with the tensors that it shares with a trained one, and with no others."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.utils import save_image

import zoo
from tests.helpers.commands import command
from tests.helpers.training import equal, tiny_biggan, tiny_dcgan, tiny_mlp, weights
from zoo import hub
from zoo.config.arguments import parse_arguments
from zoo.errors import UserError
from zoo.runs import packing
from zoo.runs.finetuning import start_from
from zoo.runs.planning import plan_run
from zoo.runs.run import Run

TINY: dict[str, Any] = {
    "images": 64,
    "model": {"width": 4, "latent_dim": 8},
    "data": {"batch_size": 16},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None},
}


def tiny_run(folder: Path, **overrides: Any) -> Run:
    return zoo.fit("dcgan_digits", out=folder, **{**TINY, **overrides})


class Mine(zoo.DCGAN):
    """A class that a user wrote, which extends a variant."""


def test_all_weights_of_a_release_are_taken(tmp_path: Path) -> None:
    trained, model = tiny_dcgan(), tiny_dcgan()
    for tensor in trained.state_dict().values():
        tensor += 1
    trained.save_pretrained(str(tmp_path / "release"))
    loaded, start = zoo.from_pretrained(tmp_path / "release"), start_from(model, tmp_path / "release")
    assert equal(weights(model), weights(loaded))
    assert start.anew == ()
    assert start.taken == len(model.state_dict())
    assert equal(weights(model.generator), weights(trained.average))  # the live generator is in no release
    assert model.training
    assert model.images_seen == 0


def test_a_class_of_ones_own_may_start_from_a_variant(tmp_path: Path) -> None:
    tiny_dcgan().save_pretrained(str(tmp_path / "release"))
    model = Mine(resolution=16, channels=1, latent_dim=5, width=4)
    assert not start_from(model, tmp_path / "release").anew


def test_a_variant_may_start_from_a_class_that_is_not_here(tmp_path: Path) -> None:
    Mine(resolution=16, channels=1, latent_dim=5, width=4).save_pretrained(str(tmp_path / "release"))
    config = (tmp_path / "release" / "config.json").read_text()
    assert f"{Mine.__module__}.Mine" in config  # the name is never followed: its module may be gone
    assert not start_from(tiny_dcgan(), tmp_path / "release").anew


def test_what_depends_on_the_classes_is_drawn_anew(tmp_path: Path) -> None:
    trained = tiny_biggan(num_classes=3)
    trained.save_pretrained(str(tmp_path / "release"))
    model = tiny_biggan(num_classes=5)
    before = weights(model)
    start = start_from(model, str(tmp_path / "release"))
    after = weights(model)
    assert {name.rpartition(".")[0] for name in start.anew} == {
        "generator.embed",
        "average.embed",
        "discriminator.readout.embed",
    }
    assert all(torch.equal(after[name], before[name]) for name in start.anew)
    theirs = weights(zoo.from_pretrained(tmp_path / "release"))
    assert all(torch.equal(after[name], theirs[name]) for name in after if name not in start.anew)
    assert "drawn anew: generator.embed.weight" in start.describe()


def test_weights_of_other_classes_always_fit_and_others_name_what_differs(tmp_path: Path) -> None:
    """`pretrained=dcgan_digits` with 5 classes was refused, naming class and widths that agreed: row W6."""
    release = tmp_path / "release"
    zoo.DCGAN(resolution=16, channels=1, latent_dim=4, width=4, num_classes=90).save_pretrained(release)
    same = {"resolution": 16, "channels": 1, "latent_dim": 4, "width": 4}
    start = start_from(zoo.DCGAN(**same, num_classes=5), release)
    assert start.taken > len(start.anew) > 0
    with pytest.raises(UserError, match=r"with the settings that it was trained with: model\.width=4$"):
        start_from(zoo.DCGAN(**{**same, "width": 8}, num_classes=5), release)


def test_the_recipe_of_a_release_is_the_default(tmp_path: Path) -> None:
    """`pretrained=NAME` alone picks the recipe by which the release was trained: row A9."""
    plan = plan_run(None, out=tmp_path / "new", overrides={"pretrained": "dcgan_digits", "images": 64})
    assert (plan.recipe.name, plan.recipe.pretrained) == ("dcgan_digits", "dcgan_digits")
    tiny_dcgan().save_pretrained(tmp_path / "mine")
    with pytest.raises(UserError, match=r"Give recipe=NAME, one whose model is DCGAN"):
        plan_run(None, overrides={"pretrained": str(tmp_path / "mine")})
    trained = tiny_run(tmp_path / "run")
    again = plan_run(None, out=tmp_path / "again", overrides={"pretrained": str(trained.folder)})
    assert again.recipe.model.arguments["width"] == 4


def test_an_empty_value_unsets_the_group_of_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row A9: `data.group=` was "None is not a text"; a group that the images do not have says how to go without."""
    (tmp_path / "photos").mkdir()
    for i in range(20):
        save_image(torch.rand(3, 70, 80, generator=torch.Generator().manual_seed(i)), tmp_path / f"photos/{i}.png")
    words = ["pretrained=progan_earth", f"data.root={tmp_path / 'photos'}", f"out={tmp_path / 'run'}"]
    assert command(*words) == 2
    told = capsys.readouterr().err
    assert "data.group='^([0-9]+)_' matches the path of none of 20 images" in told
    assert "To go without it, give data.group= with nothing behind it" in told
    plan = plan_run(None, out=tmp_path / "run", overrides=parse_arguments([*words[:2], "data.group="]))
    assert plan.recipe.data.arguments["group"] == ""
    assert command(*words[:1], "data.root=", "data.group=", "data.class=") == 2
    told = capsys.readouterr().err
    assert "data: missing; it is a mapping with `class`, a source of images" in told


def test_a_refusal_says_the_words_that_work(tmp_path: Path) -> None:
    """Row A9: what a refusal advises, given as it stands, is accepted."""
    growing: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 8, "width_base": 32}
    release = zoo.ProGAN(**growing, width=8, hold_images={4: 16, 8: 32}).save_pretrained(tmp_path / "narrow")
    other = zoo.ProGAN(**growing, width=32, hold_images={4: 16, 8: 32})
    with pytest.raises(UserError, match=r"with the settings that it was trained with: model\.width=8$"):
        start_from(other, release)
    other = zoo.ProGAN(**growing, width=32, hold_images={4: 48, 8: 64})
    with pytest.raises(UserError) as refused:
        start_from(other, release)
    words = shlex.split(str(refused.value).partition("trained with: ")[2])
    assert words == ["model.width=8", "model.hold_images={4: 16, 8: 32}"]
    advised = parse_arguments(words)["model"]
    assert not start_from(zoo.ProGAN(**{**growing, **advised}), release).anew

    with pytest.raises(UserError, match=r"Fine-tune with recipe=dcgan_digits, by which it was trained$"):
        start_from(other, "dcgan_digits")
    mine = Mine(resolution=16, channels=1, latent_dim=5, width=4).save_pretrained(tmp_path / "mine")
    with pytest.raises(UserError) as refused:
        start_from(other, mine)
    advised = parse_arguments(shlex.split(str(refused.value).partition("trained with: ")[2]))["model"]
    assert advised.pop("class") == f"{Mine.__module__}.Mine"
    assert not start_from(Mine(**advised), mine).anew


def test_members_of_other_widths_are_named_by_their_base(tmp_path: Path) -> None:
    def mixture(**settings: Any) -> zoo.MixGAN:
        base = {"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4, **settings}
        return zoo.MixGAN(base, components=2)

    release = mixture(num_classes=90).save_pretrained(tmp_path / "it")
    assert start_from(mixture(num_classes=5), release).taken
    with pytest.raises(UserError, match=r"trained with: model\.base\.width=4$"):
        start_from(mixture(width=8), release)


def test_too_little_in_common_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    tiny_dcgan().save_pretrained(str(tmp_path / "narrow"))
    for model in (tiny_dcgan(width=8), tiny_mlp()):
        before, text = (
            weights(model),
            r"holds a DCGAN of which only \d+% .*: \S+ is \(.*\) in it, \(.*\) here\. Fine-tune",
        )
        with pytest.raises(UserError, match=text):
            start_from(model, str(tmp_path / "narrow"))
        assert equal(before, weights(model))
    with pytest.raises(
        UserError, match=r"is not in it\. Fine-tune with the .*: model.class=DCGAN model.resolution=16 "
    ):
        start_from(tiny_biggan(), str(tmp_path / "narrow"))


def test_a_checkpoint_gives_live_generator_and_average_each_its_own(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run")
    model = zoo.DCGAN(**dict(run.model.hparams))
    start_from(model, run.folder)
    assert equal(weights(model), weights(run.model))
    assert not equal(weights(model.generator), weights(model.average))


def test_a_run_starts_from_trained_weights_records_it_and_its_card_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = {"width": 16, "latent_dim": 8}
    first = tiny_run(tmp_path / "first", model=wide)
    second = tiny_run(tmp_path / "second", pretrained=str(first.folder), model={**wide, "num_classes": 0})
    assert f"are those of {first.folder}; drawn anew: generator." in capsys.readouterr().out
    line = json.loads((second.folder / "environment.jsonl").read_text())
    assert line["pretrained"]["from"] == str(first.folder)
    assert line["pretrained"]["anew"]
    assert second.recipe.pretrained == str(first.folder)
    assert second.model.images_seen == 64
    packing.pack(run=str(second.folder), out=str(tmp_path / "release"))
    card = (tmp_path / "release" / "README.md").read_text()
    digest = line["pretrained"]["sha256"][:16]  # a release keeps only the last part of the disk's paths
    assert f"- started from: the weights of {first.folder.name} (sha256 {digest}), except for" in card
    hub.verify(str(tmp_path / "release"))


def test_training_at_a_rate_of_zero_keeps_the_trained_weights(tmp_path: Path) -> None:
    first = tiny_run(tmp_path / "first")
    rates = {"generator_lr": 0.0, "discriminator_lr": 0.0}
    again = tiny_run(tmp_path / "again", pretrained=str(first.folder), model={**TINY["model"], **rates})
    learnt = [dict(model.named_parameters()) for model in (first.model, again.model)]
    for name in learnt[0]:
        if not name.startswith("average."):  # which follows the generator
            assert torch.equal(learnt[0][name], learnt[1][name]), name


def test_a_resumed_run_keeps_its_own_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = tiny_run(tmp_path / "first")
    second = tiny_run(tmp_path / "second", pretrained=str(first.folder))
    capsys.readouterr()
    zoo.fit(resume=second.folder, images=96)
    assert "pretrained:" not in capsys.readouterr().out
    starts = [json.loads(line)["pretrained"] for line in (second.folder / "environment.jsonl").read_text().splitlines()]
    assert starts[0]["from"] == str(first.folder)
    assert starts[1] is None
    with pytest.raises(UserError, match="pretrained: a resumed run goes on with its own weights"):
        zoo.fit(resume=second.folder, images=128, pretrained="dcgan_digits")


def test_a_name_that_is_none_ends_with_2_and_says_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recipe=dcgan_digits", "pretrained=dcgan_digit") == 2
    assert "nor a release of that name. Did you mean dcgan_digits?" in capsys.readouterr().err


def test_growth_may_begin_at_any_resolution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny: dict[str, Any] = {"width": 8, "width_base": 32, "latent_dim": 8, "hold_images": 16, "fade_images": 16}
    first = zoo.fit("progan_digits", out=tmp_path / "first", **{**TINY, "model": tiny})
    again: dict[str, Any] = {"out": tmp_path / "grown", "pretrained": str(first.folder)}
    grown = zoo.fit("progan_digits", **again, **{**TINY, "images": 16, "model": {**tiny, "initial_resolution": 32}})
    assert grown.model.stage.resolution == 32
    assert "begins at" not in capsys.readouterr().out
    small = zoo.fit("progan_digits", **{**again, "out": tmp_path / "small"}, **{**TINY, "images": 16, "model": tiny})
    assert small.model.stage.resolution < 32
    assert "training begins at 4 px; model.initial_resolution=32 begins grown" in capsys.readouterr().out
