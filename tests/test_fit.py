"""Truths of `python -m zoo.fit`: `check=true`, help, and what a run in a process of its own leaves behind."""

from __future__ import annotations

import csv
import json
import math
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

import zoo
from tests.helpers.commands import command
from zoo.config.recipe_files import recipe_folder, recipe_names
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe

ROOT = Path(zoo.__file__).parent.parent


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A fresh Python that finds the package but starts elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


# --- check=true ------------------------------------------------------------------------------------------------------


def test_check_prints_the_whole_recipe_which_is_itself_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["images=640", "model.width=4", "callbacks.SampleGrid=null", "trainer.accelerator=cpu"]
    assert command("recipe=dcgan_digits", "check=true", f"out={tmp_path / 'run'}", *words) == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "run").exists()

    (tmp_path / "dcgan_digits.yaml").write_text(printed)
    again = load_recipe(tmp_path / "dcgan_digits.yaml")
    overrides: dict[str, Any] = {"images": 640, "model": {"width": 4}, "callbacks": {"SampleGrid": None}}
    assert again == plan_run("dcgan_digits", overrides={**overrides, "trainer": {"accelerator": "cpu"}}).recipe
    whole = yaml.safe_load(printed)
    assert whole["model"]["critic_steps"] == 1  # a default that no file says
    assert whole["data"]["resolution"] == 16  # no longer an interpolation


def test_check_with_a_fault_prints_no_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recipe=dcgan_digits", "check=true", "model.widht=4") == 2
    assert capsys.readouterr().out == ""


def test_check_tells_what_was_decided_and_still_prints_a_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("recipe=dcgan_mnist", "check=true", "data.class=Digits") == 0
    text = capsys.readouterr()
    assert yaml.safe_load(text.out)["model"]["num_classes"] == 0
    assert "model.num_classes is 0 because data.class was changed" in text.out + text.err


def test_check_is_true_or_false(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recipe=dcgan_digits", "check=maybe") == 2
    assert "check: 'maybe' is not true or false" in capsys.readouterr().err


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_explains_every_key_and_does_nothing(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recipe=dcgan_digits", word) == 0
    text = capsys.readouterr().out
    assert text.startswith("python -m zoo.fit ")
    for key in ("recipe=", "resume=", "out=", "check=true", "KEY=VALUE"):
        assert key in text


def test_help_is_indented_evenly(capsys: pytest.CaptureFixture[str]) -> None:
    command("--help")
    lines = capsys.readouterr().out.splitlines()
    (keys,) = {len(line) - len(line.lstrip()) for line in lines if "resume=auto" in line or "recipe=NAME" in line}
    (said,) = {len(line) - len(line.lstrip()) for line in lines if line.lstrip().startswith("Ctrl-C")}
    assert (keys, said) == (2, 0)


# --- in a process of its own -----------------------------------------------------------------------------------------

of_one_worker = pytest.mark.xdist_group("fit elsewhere")  # which trains once


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory that is not the checkout."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def trained(elsewhere: Path) -> subprocess.CompletedProcess[str]:
    """A run of 512 images from another working directory, into the folder `run` there."""
    words = ["recipe=dcgan_digits", "images=512", "model.width=4", "out=run", "trainer.accelerator=cpu"]
    return python("-m", "zoo.fit", *words, cwd=elsewhere)


@of_one_worker
def test_a_run_ends_with_code_0_and_says_where_everything_is(
    trained: subprocess.CompletedProcess[str], elsewhere: Path
) -> None:
    assert trained.returncode == 0, trained.stderr
    assert "Traceback" not in trained.stderr
    lines = trained.stdout.splitlines()
    assert lines[0].startswith("dcgan_digits: DCGAN on Digits, 512 images, ")
    assert lines[1] == "run folder: run"
    assert "samples: run/samples/000000000512.png" in lines
    assert lines[-1] == "draw more: python -m zoo.sample checkpoint=run"
    assert (elsewhere / "run/samples/000000000512.png").is_file()
    assert [path.name for path in elsewhere.iterdir()] == ["run"]


@of_one_worker
def test_a_run_that_goes_well_warns_of_nothing(trained: subprocess.CompletedProcess[str]) -> None:
    assert trained.stderr == ""


@of_one_worker
def test_a_run_leaves_its_recipe_its_samples_and_its_checkpoint(
    trained: subprocess.CompletedProcess[str], elsewhere: Path
) -> None:
    folder = elsewhere / "run"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["000000000512.ckpt"]
    assert list((folder / "tensorboard").glob("events.*"))
    assert {"000000000000.png", "000000000512.png", "evolution.png", "evolution.gif", "real.png"} == {
        path.name for path in (folder / "samples").iterdir()
    }
    with Image.open(folder / "samples/000000000512.png") as picture:
        assert picture.size == (10 * 50 + 2, 8 * 50 + 2)  # ten classes, eight rows, 48 pixels and a margin each
    own, planned = load_recipe(folder / "recipe.yaml"), load_recipe("dcgan_digits", {"images": 512})
    assert (own.images, own.model.arguments["width"], own.data) == (512, 4, planned.data)
    assert (folder / "recipe.yaml").read_text().startswith("# A run of dcgan_digits, ")


@of_one_worker
def test_a_run_records_what_it_ran_on(trained: subprocess.CompletedProcess[str], elsewhere: Path) -> None:
    (line,) = (elsewhere / "run/environment.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["recipe"] == "dcgan_digits"
    assert record["command"][1:3] == ["recipe=dcgan_digits", "images=512"]
    assert record["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


@of_one_worker
def test_a_run_shorter_than_the_interval_between_logs_still_leaves_its_losses(
    trained: subprocess.CompletedProcess[str], elsewhere: Path
) -> None:
    with open(elsewhere / "run/metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["images_seen"] == "512"
    assert math.isfinite(float(rows[-1]["d/adversarial"]))
    assert math.isfinite(float(rows[-1]["g/adversarial"]))


def test_a_faulty_command_ends_with_code_2_without_a_traceback(elsewhere: Path) -> None:
    ended = python("-m", "zoo.fit", "recipe=dcgan_digits", "model.widht=4", "out=faulty", cwd=elsewhere)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        "zoo.fit: dcgan_digits with model.widht=4 has 1 fault\n"
        "  model.widht: DCGAN has no setting of that name. Did you mean width?\n"
    )
    assert not (elsewhere / "faulty").exists()


def test_python_m_zoo_lists_commands_and_all_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("zoo", run_name="__main__")  # what `python -m zoo` does, without another seven seconds of imports
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for name in recipe_names():
        says = (recipe_folder() / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")
        assert any(line.startswith(f"{name} ") and line.endswith(says) for line in lines)
    for module in ("zoo.fit", "zoo.sample"):
        assert any(line.startswith(f"python -m {module} ") for line in lines)


def test_importing_the_zoo_warns_of_nothing_and_fit_stays_callable(elsewhere: Path) -> None:
    program = (
        "import zoo; assert callable(zoo.fit), 'before'\n"
        "import zoo.fit; assert callable(zoo.fit), 'after'\n"
        "try: zoo.fit('dcgan_digits', model={'widht': 4})\n"
        "except ValueError as error: print(error)\n"
        "from zoo.fit import fit, main; import zoo.runs.fitting\n"
        "assert fit is zoo.fit is zoo.runs.run.fit; assert main is zoo.runs.fitting.main\n"
        "from zoo import fit as again; import zoo.fit as third; assert again is third is fit\n"
        "import importlib.util; assert importlib.util.find_spec('zoo.fit').origin.endswith('fit.py')\n"
        "try: from zoo.fit import nothing\n"
        "except ImportError as error: print(error)\n"
    )
    ended = python("-W", "error", "-c", program, cwd=elsewhere)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "Did you mean width?" in ended.stdout
    assert "cannot import name 'nothing' from 'fit'" in ended.stdout


def test_the_command_can_be_run_by_name_after_the_file_was_imported(capsys: pytest.CaptureFixture[str]) -> None:
    import zoo.fit

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of runpy: the name is in sys.modules
        patch.setattr(sys, "argv", ["fit", "recipe=dcgan_digits", "check=true", "images=640"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("zoo.fit", run_name="__main__")
    assert not ended.value.code
    assert yaml.safe_load(capsys.readouterr().out)["images"] == 640
    assert callable(zoo.fit)
