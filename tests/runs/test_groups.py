"""Groups of runs that are trained: the same bits as single runs, resume, more seeds, and places that are refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import zoo
from tests.helpers import processes
from tests.helpers.small_groups import SETTINGS, again
from zoo.errors import CheckpointError, UserError
from zoo.io.checkpoints import read_checkpoint
from zoo.io.claims import claim
from zoo.io.group_folder import GroupFolder
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.fitting import main
from zoo.runs.group_fitting import fit_group
from zoo.runs.groups import asked_group
from zoo.runs.history import read_run
from zoo.runs.recipes import load_recipe


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A group of three seeds, made by the command in one go."""
    folder = tmp_path_factory.mktemp("whole") / "group"
    assert main("dcgan_digits", out=str(folder), seeds="0,1,2", **SETTINGS) == 0
    return folder


def assert_same_run(first: Path, second: Path) -> None:
    """Weights, optimizers and all else in the last checkpoint, and all numbers, are the same to the last bit."""
    for name in ("metrics.csv", "evaluation/training-digits.jsonl", "evaluation/report-digits.json", "recipe.yaml"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    one, other = (read_checkpoint(checkpoints_in(folder)[0]) for folder in (first, second))
    assert one["zoo"] == other["zoo"]
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, tensor in one["state_dict"].items():
        assert torch.equal(tensor, other["state_dict"][name]), name
    states = [[s["state"] for s in each["optimizer_states"]] for each in (one, other)]
    for mine, theirs in zip(*states, strict=True):
        for weight, moments in mine.items():
            assert all(torch.equal(value, theirs[weight][key]) for key, value in moments.items())


def test_a_run_of_a_group_is_the_single_run_of_its_seed(group: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        zoo.fit("dcgan_digits", out=tmp_path / f"{seed}", seed=seed, **SETTINGS)
        assert_same_run(group / f"seed={seed}", tmp_path / f"{seed}")
    assert (group / "seed=0/metrics.csv").read_bytes() != (group / "seed=1/metrics.csv").read_bytes()


def test_a_group_says_what_it_will_do_and_what_it_did(group: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A resume of a finished group trains nothing, and ends with code 0."""
    before = {path: path.stat().st_mtime_ns for path in group.rglob("*.ckpt")}
    assert main(resume=str(group)) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"3 runs of dcgan_digits, one after another, in {group}\n  seed=0\n  seed=1\n  seed=2\n\nrun 1 of 3: seed=0\n"
    )
    assert f"{group}/seed=2 is finished, with all of its 256 images" in out
    assert out.endswith(f"3 of 3 runs have all their images\ncompare them: python -m zoo.compare {group}\n")
    assert {path: path.stat().st_mtime_ns for path in group.rglob("*.ckpt")} == before


def test_a_run_of_the_group_records_its_recipe(group: Path) -> None:
    starts = RunFolder(group / "seed=2").starts()
    assert [start["recipe"] for start in starts] == ["dcgan_digits"]
    recipe = yaml.safe_load((group / "seed=2/recipe.yaml").read_text())
    assert (recipe["seed"], recipe["model"]["seed"], recipe["data"]["seed"]) == (2, 2, 2)


KILLED_IN_THE_SECOND = """
import os, signal, zoo
from zoo.callbacks import SampleMetrics
inner = SampleMetrics.act
def act(self, trainer, model):
    inner(self, trainer, model)
    if trainer.datamodule.seed == 1 and model.images_seen >= 192: os.kill(os.getpid(), signal.SIGKILL)
SampleMetrics.act = act
settings = {settings!r}
settings["callbacks"]["SampleMetrics"]["every"] = 64
zoo.fit("dcgan_digits", out={out!r}, seeds=[0, 1, 2], **settings)
"""


def test_a_group_killed_in_its_second_run_ends_with_the_same_bits(group: Path, tmp_path: Path) -> None:
    """The finished run is left alone, the killed one goes on from its checkpoint, the third one starts."""
    folder = tmp_path / "group"
    command = KILLED_IN_THE_SECOND.format(out=str(folder), settings=SETTINGS)
    ended = processes.run(["-c", command])
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert [path.stem for path in checkpoints_in(folder / "seed=1")] == [f"{128:012d}"]
    assert not (folder / "seed=2").exists()
    first = checkpoints_in(folder / "seed=0")[0].stat().st_mtime_ns

    assert main(resume=str(folder)) == 0
    assert checkpoints_in(folder / "seed=0")[0].stat().st_mtime_ns == first
    for seed in (0, 1, 2):
        one, other = (read_checkpoint(checkpoints_in(f / f"seed={seed}")[0]) for f in (folder, group))
        assert one["zoo"]["images_seen"] == 256
        assert all(torch.equal(tensor, other["state_dict"][name]) for name, tensor in one["state_dict"].items())
    assert RunFolder(folder / "seed=1").starts()[-1]["resumed_from"] == f"{128:012d}.ckpt"


def test_ctrl_c_stops_the_group_after_the_round_and_saves(
    group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    inner = zoo.callbacks.SampleMetrics.act

    def act(self: Any, trainer: Any, model: Any) -> None:
        inner(self, trainer, model)
        if model.images_seen == 128:
            os.kill(os.getpid(), signal.SIGINT)

    folder = tmp_path / "group"
    with monkeypatch.context() as patch:
        patch.setattr(zoo.callbacks.SampleMetrics, "act", act)
        assert main("dcgan_digits", out=str(folder), seeds="0,1,2", **SETTINGS) == 128 + signal.SIGINT
    assert f"the group stops here; go on with: python -m zoo.fit resume={folder}\n" in capfd.readouterr().out
    assert checkpoints_in(folder / "seed=0")[0].stem < f"{256:012d}"
    assert not (folder / "seed=1").exists()
    assert main(resume=str(folder)) == 0
    for seed in (0, 1, 2):
        assert (folder / f"seed={seed}/metrics.csv").read_bytes() == (group / f"seed={seed}/metrics.csv").read_bytes()


def test_a_run_that_ended_early_and_was_finished_alone_counts(
    group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(group, tmp_path / "group"))
    GroupFolder(folder).record_end("seed=1", 1)
    assert fit_group(again(folder), lambda plan: 0) == 0
    (folder / "seed=1/ends.jsonl").unlink()  # as of a run that has not reached its length
    assert fit_group(again(folder), lambda plan: 0) == 0  # the code of the last end counts
    GroupFolder(folder).record_end("seed=1", 1)
    assert fit_group(again(folder), lambda plan: 0) == 1
    assert f"seed=1: ended early before; to go on with it alone: python -m zoo.fit resume={folder}/seed=1" in (
        capsys.readouterr().out
    )


def test_seeds_can_be_added_to_a_group(group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(group, tmp_path / "group"))
    assert main(resume=str(folder), seeds="2,7") == 0
    out = capsys.readouterr().out
    assert "4 of 4 runs have all their images" in out
    assert checkpoints_in(folder / "seed=7")[0].stem == f"{256:012d}"
    assert json.loads((folder / "plan/plan.json").read_text())["grid"] == {"seed": ["0", "1", "2", "7"]}


def test_a_change_that_a_run_refuses_is_not_recorded(group: Path, tmp_path: Path) -> None:
    """It was, and seeds that were added afterwards had another width than those before."""
    folder = Path(shutil.copytree(group, tmp_path / "group"))
    before = (folder / "plan/plan.json").read_bytes()
    with pytest.raises(UserError, match=r"(?s)seed=0: .*model\.width: 4 in the run, 8 now"):
        main(resume=str(folder), seeds="2", model={"width": 8})
    assert (folder / "plan/plan.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"out": "x"}, "out=FOLDER and resume= exclude each other: a resumed group goes on in its own folder"),
        ({"recipe": "wgan_gp_digits"}, "is a group of dcgan_digits, not of wgan_gp_digits. Leave recipe= out to"),
        (
            {"overrides": {"model": {"width": "4,8"}}},
            "model.width: a group that is resumed keeps its grid; only seeds=",
        ),
        (
            {"overrides": {"seed": 5}},
            "differ in it, and would go on with one value in folders that are named after others",
        ),
        ({"seeds": "0,x"}, "seeds: whole numbers joined by commas"),
    ],
)
def test_a_resume_that_asks_for_another_group_is_refused(group: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError) as caught:
        asked_group(load_recipe, options.pop("recipe", None), resume=group, **options)
    assert text in str(caught.value)


def test_seeds_beside_a_single_run_are_refused(group: Path) -> None:
    with pytest.raises(UserError) as caught:
        main(resume=str(group / "seed=0"), seeds="1,2")
    assert str(caught.value).startswith(f"seeds: {group}/seed=0 is no group of runs, to which seeds could be added. ")


def test_a_group_takes_no_single_runs_place_and_no_run_takes_a_groups(group: Path) -> None:
    for options in ({}, {"seeds": "0,1"}):
        with pytest.raises(UserError) as caught:
            main("dcgan_digits", out=str(group), **options)
        assert str(caught.value).startswith(f"{group} already holds a group of runs; resume={group} goes on with it")
    with pytest.raises(UserError, match="already holds a run; resume="):
        main("dcgan_digits", out=str(group / "seed=0"), seeds="0,1")


def test_a_group_in_use_is_refused(group: Path) -> None:
    with claim(group), pytest.raises(UserError, match="is in use: process "):
        main(resume=str(group))


def test_where_one_run_belongs_a_group_is_answered_with_its_runs(group: Path) -> None:
    hint = f"{group} is a group of 3 runs: name one of them, such as {group}/seed=0"
    with pytest.raises(CheckpointError) as caught:
        zoo.load_run(group)
    assert str(caught.value) == hint
    with pytest.raises(CheckpointError) as caught:
        read_run(group)
    assert str(caught.value) == f"{hint}. python -m zoo.compare {group} compares all of them"


def test_a_damaged_plan_is_named(group: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(group, tmp_path / "group"))
    (folder / "plan/plan.json").write_text('{"recipe": "dcgan_dig')
    with pytest.raises(CheckpointError, match=r"plan\.json is damaged, so the group cannot be read"):
        main(resume=str(folder))


def test_from_python_seeds_give_a_list_of_runs(group: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = zoo.fit(resume=group, seeds=[0, 1, 2])
    assert [run.folder.name for run in runs] == ["seed=0", "seed=1", "seed=2"]
    assert [run.recipe.seed for run in runs] == [0, 1, 2]
    with pytest.raises(UserError, match="'4,8' is not an integer"):  # commas are for the command line
        zoo.fit("dcgan_digits", seeds=[0], model={"width": "4,8"})  # type: ignore[typeddict-item]
