"""Faults of `python -m zoo.fit`: exit code 2, a text that teaches, nothing built."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.commands import command
from zoo.errors import UserError
from zoo.runs.planning import plan_run

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
