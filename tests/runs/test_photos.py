"""The plan of `recipe=photos`: choices that follow from known folders and speeds, and a run that is an ordinary one."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.data.test_near_duplicates import scenes
from zoo.data.group_patterns import Grouping
from zoo.data.near_duplicates import NearDuplicates
from zoo.errors import UserError
from zoo.io.run_folder import RunFolder
from zoo.runs import planning
from zoo.runs.photos import candidates, plan
from zoo.runs.photos.choices import Choices, Line
from zoo.runs.photos.lengths import metrics_within
from zoo.runs.photos.models import FEWEST, Candidate
from zoo.runs.photos.plan import PhotoPlan, plan_photos
from zoo.runs.photos.table import table
from zoo.runs.recipes import load_recipe
from zoo.training.stages import Stage, stages_of

COST = 0.01 / 64**2
"""Seconds of a pixel of an image on the machine of these tests, so that one of 64 px takes 10 ms."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A machine without a GPU that takes 10 ms for an image of 64 px, and time by their pixels for others."""
    asked: list[Any] = []

    def seconds_in(recipe: Any, model: Any, data: Any, stage: Stage, **options: Any) -> float:
        asked.append((type(model).__name__, stage.resolution))
        return COST * stage.resolution**2

    def planned_costs(recipe: Any, model: Any, data: Any, seconds: float) -> list[Stage]:
        stages = stages_of(model.data_resolution, recipe.images)
        return [Stage(s.first, s.last, s.resolution, COST * s.resolution**2) for s in stages]

    monkeypatch.setattr(candidates, "seconds_in", seconds_in)
    monkeypatch.setattr(plan, "planned_costs", planned_costs)
    monkeypatch.setattr(plan, "has_accelerator", lambda: False)
    monkeypatch.setattr(plan, "metric_seconds", lambda model: 0.01)
    return asked


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty scenes of 300 x 200 px."""
    return folder(tmp_path_factory.mktemp("photos"), 60, (300, 200))


def folder(root: Path, count: int, size: tuple[int, int], mode: str = "RGB") -> Path:
    for k, scene in enumerate(scenes(count, side=32)):
        Image.fromarray(scene).resize(size).convert(mode).save(root / f"{k:03d}.png")
    return root


def planned(root: Path, hours: float | None = None, **overrides: Any) -> PhotoPlan:
    data = {"root": str(root), **overrides.pop("data", {})}
    return plan_photos(partial(load_recipe, "photos"), {"data": data, **overrides}, hours)


def value_of(text: str, what: str) -> str:
    """The line of a plan about something, with its reason."""
    found = re.search(rf"^  {re.escape(what)}  (.*(?:\n    .*)*)", text, re.MULTILINE)
    assert found is not None, text
    return " ".join(found[1].split())


# --- choices ---------------------------------------------------------------------------------------------------------


def test_few_photographs_are_planned_at_32_px_with_the_model_that_did_best_there(machine: Any, photos: Path) -> None:
    found = planned(photos, hours=1)
    recipe = found.recipe
    assert (recipe.model.target.__name__, recipe.model.arguments["resolution"]) == ("R3GAN", 32)
    assert recipe.data.arguments["resolution"] == 32
    assert recipe.data.arguments["batch_size"] == 16  # of 54 training images at most half
    assert recipe.model.arguments["augment"] == ("adaptive",)
    assert recipe.model.arguments["ada_target"] == 0.77  # in pairs
    cost = COST * 32**2
    assert recipe.images == pytest.approx(0.95 * 3600 / cost, rel=0.01)
    assert recipe.model.arguments["decay_images"] == recipe.images
    assert recipe.references[("model", "decay_images")] == "${images}"
    assert recipe.callbacks["SaveEvery"].arguments == {"every": recipe.images // 10, "keep": 3, "minutes": 10.0}
    assert "SampleMetrics" not in recipe.callbacks
    assert value_of(found.text, "data") == "60 images 54 to train on"
    assert "60 images are too few for 128 px: few are soon learnt by heart" in value_of(found.text, "model.resolution")
    assert "recipes/r3gan_fashion.yaml" in value_of(found.text, "model.class")
    assert value_of(found.text, "time").startswith("60 min each training image is shown")


@pytest.mark.parametrize(
    ("hours", "resolution", "model"),
    [(0.4, 32, "R3GAN"), (0.5, 64, "ProGAN"), (20.0, 128, "ProGAN"), (5.0, 64, "ProGAN")],
)
def test_the_resolution_follows_the_speed(
    hours: float, resolution: int, model: str, machine: list[Any], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 10 ms for an image of 64 px and four times as much for twice the size, 0.5 h are 171,000 images of 64 px."""
    monkeypatch.setattr("zoo.runs.photos.choices.FEW", {})
    found = planned(photos, hours=hours)
    recipe = found.recipe
    assert (recipe.model.arguments["resolution"], recipe.model.target.__name__) == (resolution, model)
    assert [name for name, size in machine if size == resolution][-1] == model
    lines = value_of(found.text, "model.resolution")
    assert ("128 px would suit the images, but not the time: it takes 600,000 images" in lines) == (resolution < 128)


def test_a_short_time_says_what_it_is_not_enough_for(machine: Any, photos: Path) -> None:
    found = planned(photos, hours=0.05)
    text = " ".join(found.text.split())
    assert f"0.05 hours are too short for {FEWEST[32]:,} images; with fewer expect blurs. hours=" in text


def test_what_is_given_stays_and_counts(machine: Any, photos: Path) -> None:
    given = {
        "images": 5000,
        "model": {"class": "ProGAN", "resolution": 16, "fade_images": 7, "augment": ["translation"]},
        "data": {"batch_size": 4, "flip": False},
        "callbacks": {"SaveEvery": {"every": 11}, "SampleGrid": None},
        "trainer": {"threads": 1},
    }
    recipe = planned(photos, **given).recipe
    assert recipe.images == 5000
    model = recipe.model.arguments
    assert (model["resolution"], model["fade_images"], model["augment"]) == (16, 7, ("translation",))
    assert model["hold_images"][4] == round(5000 * 5000 / 320_000)
    assert (recipe.data.arguments["batch_size"], recipe.data.arguments["flip"]) == (4, False)
    assert recipe.callbacks["SaveEvery"].arguments["every"] == 11
    assert "SampleGrid" not in recipe.callbacks
    assert recipe.trainer["threads"] == 1


def test_a_width_that_is_given_stands_for_a_list_of_widths(machine: Any, photos: Path) -> None:
    found = planned(photos, images=5000, model={"width": 8, "group_size": 4})
    model = found.recipe.model
    assert (model.target.__name__, model.arguments["width"], model.arguments["widths"]) == ("R3GAN", 8, ())
    assert value_of(found.text, "model.width") == "8 given"


def test_a_setting_of_one_model_alone_chooses_it(machine: Any, photos: Path) -> None:
    plain = planned(photos, images=5000, model={"widths": [32, 16, 8, 8]})
    assert (plain.recipe.model.target.__name__, plain.recipe.model.arguments["widths"]) == ("R3GAN", (32, 16, 8, 8))
    found = planned(photos, images=5000, model={"width_base": 64})
    assert found.recipe.model.target.__name__ == "ProGAN"
    assert value_of(found.text, "model.class") == "ProGAN R3GAN would be the choice, but has no model.width_base"
    with pytest.raises(UserError, match=r"none of ProGAN, R3GAN, DCGAN has all of width_base, widths. Leave out"):
        planned(photos, images=5000, model={"width_base": 64, "widths": [32, 16, 8, 8]})
    with pytest.raises(UserError, match=r"model.widht: ProGAN has no setting of that name. Did you mean width\?"):
        planned(photos, images=5000, model={"widht": 64})


def test_the_intervals_of_a_plan_are_those_of_the_user_where_they_are_given(machine: Any, photos: Path) -> None:
    callbacks: dict[str, Any] = {"SaveEvery": {"every": 320, "minutes": 0}, "SampleGrid": None}
    text = planned(photos, images=640, callbacks=callbacks).text
    assert value_of(text, "intervals") == "no grids checkpoints every 320 images"
    text = planned(photos, images=640, callbacks={"SampleGrid": {"every": 40}}).text
    assert (
        value_of(text, "intervals")
        == "grids every 0.2 min and every 40 images checkpoints every 10 min and every 64 images"
    )


def test_grey_images_of_classes(machine: Any, tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        folder(tmp_path / name, 100, (40, 40), "L")
    recipe = planned(tmp_path, hours=0.1).recipe
    assert (recipe.model.arguments["channels"], recipe.data.arguments["channels"]) == (1, 1)
    assert (recipe.model.arguments["num_classes"], recipe.data.arguments["labels"]) == (2, True)
    without = planned(tmp_path, hours=0.1, data={"labels": False}).recipe
    assert (without.model.arguments["num_classes"], without.data.arguments["labels"]) == (0, False)


@pytest.mark.parametrize("name", ["ProGAN", "R3GAN", "DCGAN"])
@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
def test_every_candidate_can_be_built(name: str, resolution: int) -> None:
    candidate = Candidate(name, resolution, scale=2)
    recipe = load_recipe("photos", {"model": candidate.model(3, 0), "data": {"batch_size": candidate.batch_size(50)}})
    with torch.device("meta"):
        model = recipe.model.build()
    assert model.resolution == resolution
    assert model.data_resolution(recipe.images - 1) <= resolution
    assert Candidate(name, resolution).model(3, 0).keys() == candidate.model(3, 0).keys()


def test_measurements_are_fewer_where_there_is_less_time() -> None:
    assert metrics_within(None, 1e9) is None
    assert metrics_within(0.01, 220) is not None
    sizes = [found and (found.times, found.images) for found in (metrics_within(0.01, most) for most in (220, 160, 59))]
    assert sizes == [(6, 2000), (3, 2000), None]


def test_the_table_is_wrapped_below_its_reasons() -> None:
    text = table([Line("model.class", "R3GAN", "best " * 30), Line("x", "a value that is very long indeed", "why")], 80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[1].startswith("  model.class  R3GAN")
    assert text.splitlines()[-1].strip() == "why"


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "hours", "message"),
    [
        (
            {"data": {"class": "Digits"}},
            None,
            "recipe=photos plans for files of images (data.class=Folder or Zip)",
        ),
        ({"model": {"class": "BigGAN"}}, None, "model.class: recipe=photos plans ProGAN, R3GAN, DCGAN; got BigGAN."),
        ({"images": 5}, 2.0, "hours=2 and images=5 both set the length of the run. Give one of them"),
        ({"trainer": {"devices": 2}}, None, "trains on one device; got 2"),
        ({"data": {"root": "nowhere"}}, None, "there is no folder nowhere (data.root)"),
        (
            {"data": {"match": "00[0-4]"}},
            None,
            "has 5 images (data.root), too few to plan a training for. Give",
        ),
    ],
)
def test_what_cannot_be_planned(
    overrides: dict[str, Any], hours: float | None, message: str, machine: Any, photos: Path
) -> None:
    data = {"root": str(photos)} | overrides.get("data", {})
    if data.get("class") == "Digits":
        del data["root"]
    with pytest.raises(UserError) as raised:
        plan_photos(partial(load_recipe, "photos"), {**overrides, "data": data}, hours)
    assert message in str(raised.value)


def test_the_images_are_shown_before_anything_is_measured(
    machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 squares of 64 px in 8 rows, 2 px apart, although one of the files is damaged."""
    root, run = tmp_path / "photos", tmp_path / "run"
    root.mkdir()
    damaged = folder(root, 90, (90, 64)) / "000.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    seen: list[tuple[int, int]] = []
    measured = candidates.seconds_in

    def seconds_in(*arguments: Any, **options: Any) -> float:
        with Image.open(RunFolder(run).real_grid) as picture:
            seen.append(picture.size)
        return measured(*arguments, **options)

    monkeypatch.setattr(candidates, "seconds_in", seconds_in)
    monkeypatch.setattr("zoo.runs.photos.choices.FEW", {})
    overrides = {"data": {"root": str(root)}, "model": {"class": "DCGAN"}}
    plan_photos(partial(load_recipe, "photos"), overrides, 1.0, run)
    assert set(seen) == {(10 * 66 + 2, 8 * 66 + 2)}


def test_a_plan_that_fails_leaves_no_folder(machine: Any, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="recipe=photos plans ProGAN, R3GAN, DCGAN; got BigGAN"):
        zoo.fit("photos", out=tmp_path / "run", data={"root": str(photos)}, model={"class": "BigGAN"})
    assert list(tmp_path.iterdir()) == []


def test_a_group_of_runs_needs_a_plan_that_is_written_down(photos: Path) -> None:
    with pytest.raises(UserError, match=r"recipe=photos plans one run.*check=true > mine\.yaml, then recipe="):
        zoo.fit("photos", seeds=[0, 1], data={"root": str(photos)})


# --- a run -----------------------------------------------------------------------------------------------------------


def test_a_planned_run_is_an_ordinary_one_that_is_resumed_without_planning(
    machine: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "images": 64,
        "model": {
            "class": "ProGAN",
            "resolution": 16,
            "width": 8,
            "width_base": 32,
            "hold_images": 16,
            "fade_images": 0,
        },
        "trainer": {"accelerator": "cpu"},
    }
    run = zoo.fit("photos", out=tmp_path / "run", data={"root": str(photos), "batch_size": 8}, **options)
    assert run.model.images_seen == 64
    assert (tmp_path / "run" / "samples" / "real.png").is_file()
    assert (tmp_path / "run" / "samples" / "000000000000.png").is_file()
    assert "measured" in (tmp_path / "run" / "plan.txt").read_text()
    recorded = load_recipe(tmp_path / "run" / "recipe.yaml")
    assert (recorded.images, recorded.model.arguments) == (64, run.recipe.model.arguments)
    assert str(photos) not in (tmp_path / "run" / "plan.txt").read_text()

    monkeypatch.setattr(planning, "plan_photos", None)  # a resumed run has no need of it
    again = zoo.fit(resume=tmp_path / "run", images=96)
    assert again.model.images_seen == 96


def test_a_release_of_the_size_is_named_and_its_widths_are_taken(machine: Any, photos: Path) -> None:
    changes: dict[str, Any] = {"model": {"resolution": 64}}
    assert "pretrained=progan_earth or pretrained=progan_emoji" in value_of(planned(photos, **changes).text, "start")
    found = planned(photos, pretrained="progan_emoji")
    recipe = found.recipe
    model = recipe.model.arguments
    assert (recipe.model.target.__name__, model["resolution"], model["width"]) == ("ProGAN", 64, 256)
    assert model["initial_resolution"] == 64
    assert value_of(found.text, "start") == "progan_emoji given"


def test_the_group_of_a_plan_can_be_pasted_into_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An apostrophe in the names of files ended the quotes around the expression."""
    pattern = r"^(.*?)(?:[-_](?:don't|do))?\.png$"
    monkeypatch.setattr(plan, "suggest_grouping", lambda *_: Grouping(pattern, 3, 2, 0, 1))
    one = np.array([0]), np.array([1]), np.ones(1, np.float32)
    monkeypatch.setattr(plan, "near_duplicates", lambda *_: NearDuplicates(*one, 2, 2))
    held_out = type("Part", (), {"indices": np.array([1]), "__len__": lambda self: 1})()
    pool = SimpleNamespace(images=None)
    data: Any = SimpleNamespace(pool=pool, held_out=held_out, group=None, split_seed=0, names=list)
    choices = Choices({})
    plan._say_near_duplicates(choices, data)
    word = choices.lines[0].reason.partition("; data.group=")[2].rpartition(" leaves 0")[0]
    assert shlex.split(word) == [pattern]
