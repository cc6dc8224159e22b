"""Ends that one run of a group has and the others do not, mostly with a function in place of the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.small_groups import SETTINGS, again, new_group
from zoo.errors import UserError
from zoo.io.group_folder import GroupFolder
from zoo.io.run_folder import checkpoints_in
from zoo.runs.fitting import main
from zoo.runs.group_fitting import fit_group


def test_a_run_that_ends_early_does_not_lose_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An alarm, or a loss that is not finite, gives a run code 1: the group trains on, says so and has code 1."""
    trained: list[str] = []

    def train(plan: Any) -> int:
        trained.append(plan.folder.name)
        return int(plan.recipe.seed == 1)

    folder = tmp_path / "group"
    assert fit_group(new_group(folder), train) == 1
    assert trained == ["seed=0", "seed=1", "seed=2"]
    out = capsys.readouterr().out
    assert "2 of 3 runs have all their images\n  seed=1: ended early, above; it had written no checkpoint\n" in out

    trained.clear()
    assert fit_group(again(folder), train) == 1
    assert trained == ["seed=0", "seed=2"]  # their checkpoints are missing here, so they start again
    assert "not resumed: ended early before; it had written no checkpoint" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_ends_its_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The learning rate of the first run is absurd; the second one trains."""
    folder, callbacks = tmp_path / "group", {**SETTINGS["callbacks"], "SampleMetrics": None}
    model = {"width": 4, "discriminator_lr": "1e30,2e-4"}
    assert main("dcgan_digits", out=str(folder), **{**SETTINGS, "callbacks": callbacks, "model": model}) == 1
    assert "zoo.fit: stopped, a loss is not finite" in capsys.readouterr().err
    assert checkpoints_in(folder / "model.discriminator_lr=2e-4")[0].stem == f"{256:012d}"
    assert GroupFolder(folder).codes() == {"model.discriminator_lr=1e30": 1, "model.discriminator_lr=2e-4": 0}


def test_an_error_in_one_run_is_shown_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as memory that the widest network lacks."""
    trained: list[int] = []

    def train(plan: Any) -> int:
        trained.append(plan.recipe.model.arguments["width"])
        if plan.recipe.model.arguments["width"] == 8:
            raise MemoryError("out of it")
        return 0

    overrides = {**SETTINGS, "model": {"width": "4,8,6"}}
    folder = tmp_path / "group"
    assert fit_group(new_group(folder, seeds=None, overrides=overrides), train) == 1
    said = capsys.readouterr()
    assert "MemoryError: out of it" in said.err
    assert "model.width=8: ended with an error, above; the next resume of the group tries it again" in said.out
    assert fit_group(again(folder), train) == 1
    assert trained == [4, 8, 6, 4, 8, 6]


def test_a_fault_of_the_user_names_the_run_and_the_rest(tmp_path: Path) -> None:
    def train(plan: Any) -> int:
        raise UserError("there is no room")

    with pytest.raises(UserError) as caught:
        fit_group(new_group(tmp_path / "g"), train)
    assert str(caught.value) == f"seed=0: there is no room\nthe others: python -m zoo.fit resume={tmp_path}/g"


def test_a_signal_ends_the_group(tmp_path: Path) -> None:
    trained: list[str] = []
    codes = iter([0, 143, 0])

    def train(plan: Any) -> int:
        trained.append(plan.folder.name)
        return next(codes)

    assert fit_group(new_group(tmp_path / "g"), train) == 143
    assert trained == ["seed=0", "seed=1"]


def test_a_model_that_cannot_be_built_is_refused_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        main("dcgan_digits", out=str(tmp_path / "g"), seeds="0,1", **{**SETTINGS, "model": {"width": "4,0"}})
    assert str(caught.value) == "model.width=0,seed=0: model: width must be at least 1; got 0"
    assert not (tmp_path / "g").exists()
