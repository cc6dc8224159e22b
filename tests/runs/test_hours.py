"""A run planned by hours: the length and every schedule follow measured speeds by one factor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.errors import UserError
from zoo.runs import hours
from zoo.runs import stage_costs as costs_of_stages
from zoo.runs.hours import planned_overrides
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe
from zoo.runs.stage_costs import planned_costs, stage_costs
from zoo.runs.threads import Choice
from zoo.training.stages import Stage

QUIET = {"SampleGrid": None, "SampleMetrics": None, "Alarms": None}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that needs 10 ms for an image in the first half of a run and 30 ms in the second."""

    def measure(recipe: Any, model: Any, data: Any, seconds: float) -> tuple[Choice, list[Stage]]:
        half = recipe.images // 2
        return Choice(1), [Stage(0, half, 4, 0.01), Stage(half, recipe.images, 8, 0.03)]

    monkeypatch.setattr(hours, "measured_stages", measure)


def test_a_quarter_of_the_time_is_a_quarter_of_every_schedule(measured: None) -> None:
    load = partial(load_recipe, "progan_emoji")  # 420,000 images: 8,400 s
    overrides, note = planned_overrides(load, {"data": {"root": "photos"}}, hours=8400 / 0.95 / 4 / 3600)
    assert overrides["images"] == 105_000
    recipe = load_recipe("progan_emoji", overrides)
    assert recipe.model.arguments["hold_images"] == {4: 1250, 8: 2500, 16: 7500, 32: 12_500}
    assert recipe.model.arguments["fade_images"] == 2000
    assert recipe.model.arguments["lr_horizon"] == 105_000  # follows images
    assert recipe.references[("model", "lr_horizon")] == "${images}"
    assert recipe.callbacks["SaveEvery"].arguments["every"] == 7500
    assert recipe.trainer["threads"] == 1
    assert note == (
        "hours=0.614035 is planned as images=105,000 (10 ms an image at 4 px, 30 ms an image at 8 px), all schedules "
        "and intervals 0.25 times those of the recipe"
    )


def test_what_is_given_stays(measured: None) -> None:
    given = {"model": {"fade_images": 7}, "callbacks": {"SaveEvery": {"every": 11}, "SampleGrid": None}}
    overrides, _ = planned_overrides(partial(load_recipe, "progan_digits"), given, hours=0.1)
    assert overrides["model"]["fade_images"] == 7
    assert overrides["callbacks"]["SaveEvery"] == {"every": 11}
    assert overrides["callbacks"]["SampleGrid"] is None


def test_a_mixture_scales_the_schedules_of_its_base(measured: None) -> None:
    recipe = load_recipe("mix_dcgan_digits")
    overrides, _ = planned_overrides(partial(load_recipe, "mix_dcgan_digits"), {}, hours=0.1)
    base = overrides["model"]["base"]
    assert base.keys() == {"lr_horizon", "lr_warmup", "average_start"} & recipe.model.arguments["base"].keys()


def test_every_stage_is_measured_and_larger_images_take_longer() -> None:
    changes: dict[str, Any] = {"images": 4096, "model": {"width": 8, "hold_images": 512, "fade_images": 256}}
    recipe = load_recipe("progan_digits", {**changes, "trainer": {"precision": "32-true", "threads": 1}})
    model = recipe.model.build()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    costs = stage_costs(recipe, model, recipe.data.build(), turn=0.05, short=0.0)
    assert [cost.resolution for cost in costs] == [4, 8, 16, 32]
    assert all(cost.seconds > 0 for cost in costs)
    assert costs[-1].seconds > costs[0].seconds
    assert model.images_seen == 0
    assert all(bool((before[name] == weight).all()) for name, weight in model.state_dict().items())


def test_a_long_run_is_measured_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen seconds, shared by all stages; at most 3 % of the run, and half a second for a stage at least."""
    turns: list[float] = []

    def seconds_in(recipe: Any, model: Any, data: Any, stage: Stage, turn: float) -> float:
        turns.append(turn)
        return 0.01

    monkeypatch.setattr(costs_of_stages, "seconds_in", seconds_in)
    recipe = load_recipe("progan_digits", {"model": {"width": 8}})
    model, data = recipe.model.build(), recipe.data.build()
    for seconds, turn in ((7200, 15 / 4), (400, 12 / 4), (10, 0.5)):
        assert len(planned_costs(recipe, model, data, seconds)) == 4
        assert turns == [pytest.approx(turn)] * 4
        turns.clear()
    model.penalty_every = 4  # rounds with a penalty and without are measured apart
    planned_costs(recipe, model, data, 7200)
    assert turns == [pytest.approx(15 / 8)] * 4


def test_a_short_run_measures_its_last_stage_alone() -> None:
    recipe = load_recipe("progan_digits", {"images": 64, "trainer": {"precision": "32-true"}, "model": {"width": 8}})
    changes = {"hold_images": 8, "fade_images": 8}
    model = load_recipe("progan_digits", {"images": 64, "model": {"width": 8, **changes}}).model.build()
    costs = stage_costs(recipe, model, recipe.data.build(), turn=0.01)
    assert [cost.seconds > 0 for cost in costs] == [False] * (len(costs) - 1) + [True]


def test_the_plan_is_recorded_and_a_resumed_run_keeps_it(measured: None, tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": {"width": 8}, "callbacks": QUIET}
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", hours=0.002, **options)
    planned = run.recipe.images
    assert planned == 342  # 7.2 s, of which 95 % in rounds, at 20 ms
    assert run.model.images_seen >= planned
    assert "images: 342" in (tmp_path / "run/recipe.yaml").read_text()
    with pytest.raises(UserError, match=r"hours=1 plans a new run; a resumed run keeps its length\. Leave hours= out"):
        zoo.fit(resume=tmp_path / "run", hours=1)


def test_hours_beside_a_run_that_is_found_are_said_to_be_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    zoo.fit("dcgan_digits", **{**SMALL_RUN, "images": 64})
    plan = plan_run("dcgan_digits", resume="auto", hours=1)
    assert plan.recipe.notes[-1] == (
        f"hours=1 is not used: {plan.folder} goes on to its 64 images. images=NUMBER gives it another length"
    )


@pytest.mark.parametrize(
    ("value", "others", "message"),
    [
        (0, {}, "hours: the length of the run in hours, larger than 0; got 0"),
        (float("nan"), {}, "hours: the length of the run in hours, larger than 0; got nan"),
        (2, {"images": 5}, "hours=2 and images=5 both set the length of the run. Give one of them"),
        (2, {"trainer": {"devices": 2, "accelerator": "cpu"}}, "trains on one device; got 2"),
    ],
)
def test_impossible_plans_are_refused(value: float, others: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        zoo.fit("dcgan_digits", hours=value, **others)
    assert message in str(raised.value)


def test_a_group_of_runs_is_not_planned_by_hours(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="hours=1 plans one run, as the speed is measured"):
        zoo.fit("dcgan_digits", seeds=[0, 1], hours=1, out=tmp_path / "group")
