"""Truths of `python -m zoo.fit` and of commands as such: exit codes, texts, and what a run leaves behind."""

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
from zoo.config.command_line import checked_arguments, run_command
from zoo.config.recipe_files import recipe_folder, recipe_names
from zoo.errors import RecipeError, UserError
from zoo.runs.fitting import main
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe

ROOT = Path(zoo.__file__).parent.parent


def command(*words: str, name: str = "fit", function: Any = main) -> int:
    """Exit code of a command, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command(name, function, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A fresh Python that finds the package but starts elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


# --- faults: exit code 2, a text that teaches, nothing built ---------------------------------------------------------

TEXTS: dict[str, tuple[str, list[str]]] = {
    "unknown key": (
        "model.widht=4",
        ["model.widht: DCGAN has no setting of that name", "Did you mean width?", "has 1 fault\n"],
    ),
    "unknown section": ("modle.width=4", ["modle: there is no such section", "Did you mean model?"]),
    "wrong type": ("model.width=abc", ["model.width: 'abc' is not an integer"]),
    "wrong choice": ("model.latent=gauss", ["model.latent: 'gauss' is not one of 'auto', 'normal', 'uniform'"]),
    "wrong length of a list": ("model.betas=[0.5]", ["model.betas: [0.5] is not a list of 2: a number, a number"]),
    "no length": ("images=0", ["images: the length of a run must be at least 1 image; got 0"]),
    "not a whole number": ("images=1.5", ["images: 1.5 is not an integer"]),
    "folder without root": ("data.class=Folder", ["data.root: missing; Folder needs it (a text)"]),
    "folder that is not there": (
        "data.class=Folder data.root=nowhere",
        ["there is no folder nowhere (data.root)", "data.root=FOLDER", "data.class=Digits"],
    ),
    "unknown model": ("model.class=DCGANN", ["model.class: the zoo has no class DCGANN", "Did you mean DCGAN?"]),
    "unknown data": ("data.class=Digit", ["data.class: the zoo has no class Digit", "Did you mean Digits?"]),
    "data as model": ("model.class=Digits", ["model.class: Digits is not a GAN"]),
    "model as data": ("data.class=DCGAN", ["data.class: DCGAN is not a source of images"]),
    "unknown callback": (
        "callbacks.SampleGird.every=5",
        ["callbacks.SampleGird.class: the zoo has no class SampleGird", "Did you mean SampleGrid?"],
    ),
    "data as callback": ("callbacks.Digits.every=5", ["callbacks.Digits.class: Digits is not a Lightning callback"]),
    "unknown setting of a callback": ("callbacks.SampleGrid.evry=5", ["callbacks.SampleGrid.evry", "every?"]),
    "two faults": (
        "model.widht=4 data.batch_size=x",
        ["has 2 faults\n", "model.widht: DCGAN has no setting", "data.batch_size: 'x' is not an integer"],
    ),
    "clipping by Lightning": ("trainer.gradient_clip_val=1", ["trainer.gradient_clip_val: ", "model.clip_norm"]),
    "accumulation by Lightning": (
        "trainer.accumulate_grad_batches=2",
        ["trainer.accumulate_grad_batches: ", "model.micro_batches"],
    ),
    "steps": ("trainer.max_steps=9", ["trainer.max_steps: ", "`images`"]),
    "half precision": (
        "trainer.precision=16-mixed",
        ["trainer.precision: 16-mixed is refused", "one loss scaler cannot serve two players", "bf16-mixed, 32-true"],
    ),
    "unknown trainer argument": ("trainer.device=2", ["trainer.device: Trainer has no setting", "devices?"]),
    "resolution": ("model.resolution=48", ["resolution of a DCGAN is one of 16, 28, 32, 64, 128, 256; got 48"]),
    "kernel": ("model.kernel_size=3", ["model", "kernel_size of a DCGAN is 4", "or 5", "got 3"]),
    "objective": ("model.objective=hing", ["objective is one of non_saturating, saturating, hinge", "got 'hing'"]),
    "interval of a callback": ("callbacks.SampleGrid.every=0", ["callbacks.SampleGrid: every must be at least 1"]),
    "schedule without an end": ("model.lr_schedule=linear", ["needs lr_horizon", "got 0", "${images}"]),
    "no assignment": ("model.width", ["'model.width' is not of the form key=value", "images=20000"]),
    "not a list": ("model.betas=[1", ["model.betas: '[1' is not a list of 2"]),
    "a batch larger than the data": ("data.batch_size=5000", ["fewer than one batch of 5000", "data.batch_size"]),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_fault_ends_with_code_2_and_says_what_to_write_instead(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words, fragments = TEXTS[case]
    assert command("recipe=dcgan_digits", f"out={tmp_path / 'run'}", *words.split()) == 2
    text = capsys.readouterr().err
    assert text.startswith("zoo.fit: ")
    for fragment in fragments:
        assert fragment in text
    assert "Traceback" not in text
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


# Values that only the networks, the optimizer, the first batch or Lightning's Trainer can refuse, and what to name.
REFUSED_LATE = {
    "model.width=0": "width",
    "model.width=-4": "width",
    "model.channels=0": "channels",
    "model.generator_lr=-1": "lr",
    "model.betas=[2.0,0.5]": "beta",
    "data.resolution=32": "resolution",
    "trainer.accelerator=tpux": "tpux",
    "trainer.devices=abc": "devices",
    "trainer.devices=0": "devices",
    "trainer.strategy=nonsense": "nonsense",
    "trainer.enable_model_summary=true": "enable_model_summary",
    "trainer.barebones=true": "barebones",
    "model.class=GAN": "GAN",
    "data.class=Images": "Images",
    "callbacks.Every.every=5": "Every",
}


@pytest.mark.parametrize("word", REFUSED_LATE)
def test_a_value_that_cannot_train_ends_with_code_2_and_its_name(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = [] if word.startswith("trainer.") else ["trainer.accelerator=cpu"]
    assert command("recipe=dcgan_digits", "images=64", f"out={tmp_path / 'run'}", *cpu, word) == 2
    text = capsys.readouterr().err
    assert text.startswith("zoo.fit: ")
    assert REFUSED_LATE[word] in text
    assert "Traceback" not in text


def test_a_run_can_be_told_to_show_no_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["images=64", "model.width=4", "trainer.accelerator=cpu", "trainer.precision=32-true"]
    code = command("recipe=dcgan_digits", f"out={tmp_path / 'run'}", *words, "trainer.enable_progress_bar=false")
    text = capsys.readouterr()
    assert (code == 0 and "images/s" not in text.out) or (code == 2 and "enable_progress_bar" in text.err)


def test_a_recipe_name_that_does_not_exist_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recipe=dcgan_digit") == 2
    text = capsys.readouterr().err
    assert "there is no recipe called 'dcgan_digit'. Did you mean dcgan_digits?" in text
    assert "`python -m zoo` lists all" in text
    assert "ending in .yaml" in text


def test_no_recipe_is_answered_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert command() == 2
    assert "name a recipe, such as recipe=dcgan_digits; `python -m zoo` lists them" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["recipe=3", "recipe=[dcgan_digits]", "recipe=true"])
def test_a_recipe_that_is_no_text_is_a_fault(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(word) == 2
    assert "recipe" in capsys.readouterr().err


def test_resume_wants_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("recipe=dcgan_digits", "resume=true") == 2
    assert "resume: a run folder or a checkpoint to go on with, or auto for the newest run" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["out=3", "resume=3"])
def test_a_folder_named_by_a_number_is_a_folder(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = command("recipe=dcgan_digits", "check=true", word)
    assert code == (0 if word.startswith("out") else 2)
    assert ("there is no run folder or checkpoint 3" in capsys.readouterr().err) == word.startswith("resume")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("images: 10\nmodel: {class: DCGAN\n", ["not readable as YAML", "line 3"]),
        ("images: 10\n\tmodel: 3\n", ["not readable as YAML", "tab", "line 2"]),
        ("images: 10\nimages: 20\n", ["not readable as YAML", "duplicate key images", "line 2"]),
        ("- dcgan\n", ["a recipe is a mapping with the sections seed, images, pretrained, model, data"]),
        ("images: 10\nmodel: {width: 4}\ndata: {class: Digits}\n", ["model: missing", "`class`", "a GAN"]),
        ("model: {class: DCGAN}\ndata: {class: Digits}\n", ["images: missing", "an integer"]),
        ("images: 10\nmodel: 3\ndata: {class: Digits}\n", ["model: ", "`class`"]),
    ],
)
def test_a_faulty_recipe_file_is_named_with_its_faults(
    text: str, fragments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert command(f"recipe={tmp_path / 'mine.yaml'}", f"out={tmp_path / 'run'}") == 2
    told = capsys.readouterr().err
    assert "mine.yaml has " in told
    for fragment in fragments:
        assert fragment in told
    assert not (tmp_path / "run").exists()


def test_a_binary_recipe_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\x81")
    assert command(f"recipe={tmp_path / 'mine.yaml'}") == 2
    assert "mine.yaml has 1 fault\n  not readable as YAML" in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "000000000064.ckpt").touch()
    with pytest.raises(UserError) as caught:
        plan_run("dcgan_digits", out=tmp_path / "run")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'run'} already holds a run; resume={tmp_path / 'run'} goes on with it")
    assert "out=FOLDER" in text


def test_a_plan_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_run("dcgan_digits")
    assert plan.folder.parts[:2] == ("runs", "dcgan_digits")
    assert plan.recipe.trainer["precision"] in ("32-true", "bf16-mixed")
    assert list(tmp_path.iterdir()) == []


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


# --- commands as such ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (143, 143)])
def test_a_command_ends_with_the_code_it_returns(returned: int | None, code: int) -> None:
    assert command("a=1", function=lambda **words: returned) == code


def test_a_users_fault_is_told_on_one_channel_under_the_commands_name(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(**words: Any) -> None:
        raise UserError(f"cannot do {words}")

    assert command("a=1", "b.c=x", name="fit", function=refuse) == 2
    assert capsys.readouterr() == ("", "zoo.fit: cannot do {'a': 1, 'b': {'c': 'x'}}\n")


def test_a_fault_of_the_zoo_itself_keeps_its_traceback() -> None:
    def broken(**words: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command("fit", broken, [])


def test_words_of_a_command_are_checked_against_its_function() -> None:
    def work(n: int, colour: str = "grey") -> None: ...

    work.__annotations__ = {"n": int, "colour": str}
    assert checked_arguments(work, {"n": "3"}) == {"n": 3, "colour": "grey"}
    with pytest.raises(RecipeError) as caught:
        checked_arguments(work, {"color": "red"})
    assert str(caught.value) == (
        "the command line has 2 faults\n"
        "  color: work has no setting of that name. Did you mean colour?\n"
        "  n: missing; work needs it (an integer)"
    )


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
