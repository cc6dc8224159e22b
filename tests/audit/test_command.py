"""Truths of `python -m zoo.audit`: what it opens, writes, keeps and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import zoo
from zoo.audit.command import main
from zoo.audit.opening import history_of
from zoo.config.command_line import run_command
from zoo.data import Digits
from zoo.rendering import pictures

RELEASE = "zoo:dcgan_digits"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(*words: str) -> int:
    """Exit code of the command, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command("audit", main, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def digits(folder: Path, chosen: range) -> str:
    data = Digits(resolution=16, channels=1, batch_size=8, held_out=0)
    data.setup()
    batch = data.train.batch(torch.tensor(list(chosen)))
    for i, image in enumerate(batch.images.float() / 127.5 - 1):
        pictures.save(pictures.single(image), folder / f"{i}.png")
    return str(folder)


def test_a_release_is_audited_with_the_data_of_its_recipe(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"checkpoint={RELEASE}", "only=smoothness,weights", "budget=quick") == 0
    text = capsys.readouterr().out
    folder = elsewhere / "audit-dcgan_digits"
    found = json.loads((folder / "report.json").read_text())
    assert found["subject"] == "dcgan_digits"
    assert found["about"]["checkpoint"] == RELEASE
    assert found["about"]["model"] == "DCGAN after 120,000 images"
    assert found["about"]["extractor"]["name"] == "digits"
    assert found["about"]["train"]["images"] + found["about"]["held_out"]["images"] == 1797
    assert "note" not in found["about"]
    for finding in found["findings"]:
        assert finding["question"] in text
    assert "verdict: Undecided: too few questions could be answered" in text
    assert str(Path("audit-dcgan_digits") / "report.html") in text
    assert (folder / "report.html").is_file()
    assert (folder / "report.md").is_file()


def test_features_of_real_images_are_made_once(elsewhere: Path, extracted: list[int]) -> None:
    words = (f"checkpoint={RELEASE}", "only=smoothness", "budget=quick")
    run(*words)
    first = sum(extracted)
    extracted.clear()
    run(*words)
    held_out = json.loads((elsewhere / "audit-dcgan_digits" / "report.json").read_text())["about"]["used"]["held_out"]
    assert held_out > 100
    assert sum(extracted) == first - held_out


def test_other_data_are_said(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"checkpoint={RELEASE}", "only=weights", "budget=quick", "data.split_seed=3", "out=other") == 0
    assert "note: these are not the images, or not the split" in capsys.readouterr().out
    assert json.loads((elsewhere / "other" / "report.json").read_text())["about"]["note"]


def test_folders_of_images(elsewhere: Path) -> None:
    folders = [
        digits(elsewhere / name, chosen)
        for name, chosen in (("theirs", range(40)), ("train", range(40, 90)), ("new", range(90, 140)))
    ]
    words = ("train=train", "held_out=new", "only=recovery", "extractor=pixels", "budget=quick")
    assert run(f"fake={folders[0]}", *words) == 0
    found = json.loads((elsewhere / "audit-theirs" / "report.json").read_text())
    assert found["about"]["used"] == {"train": 50, "held_out": 50}
    assert found["findings"][0]["status"] == "skipped"
    assert run(f"checkpoint={RELEASE}", *words, "out=model") == 0  # a model with images from folders
    found = json.loads((elsewhere / "model" / "report.json").read_text())
    assert found["about"]["train_folder"] == "train"
    assert found["about"]["used"]["held_out"] == 50


def test_a_run_has_its_report_in_its_folder(elsewhere: Path) -> None:
    zoo.fit(
        "dcgan_digits",
        out="run",
        images=192,
        model={"width": 4},
        trainer={"accelerator": "cpu"},
        callbacks={"SampleGrid": None, "SampleMetrics": None},
    )
    signals = [
        {"images_seen": seen, "kind": "full", "values": {"sigma1/g/first": 1.0 * seen, "sigma2/g/first": 0.5, "x": 1}}
        for seen in (64, 128, 192)
    ]
    (elsewhere / "run" / "alarms").mkdir(exist_ok=True)
    text = "\n".join(map(json.dumps, signals)) + '\n{"cut sho'
    (elsewhere / "run" / "alarms" / "signals.jsonl").write_text(text)
    assert history_of(elsewhere / "run")[0] == {"images": 64, "g/first": [64.0, 0.5]}
    assert run("checkpoint=run", "only=weights", "budget=quick") == 0
    found = json.loads((elsewhere / "run" / "audit" / "report.json").read_text())
    (growth,) = [s for s in found["findings"][0]["statistics"] if s["name"] == "largest growth"]
    assert growth["value"] == 1.5
    assert found["subject"] == "run"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "give either checkpoint=RUN, or folders of images: fake=FOLDER train=FOLDER held_out=FOLDER"),
        (["checkpoint=a", "fake=b"], "give either checkpoint=RUN, or folders of images"),
        (["fake=b"], "train=FOLDER is missing: an audit needs the images of the training"),
        (["checkpoint=a", "train=b"], "held_out=FOLDER is missing"),
        (
            [f"checkpoint={RELEASE}", "data.root=x", "train=a", "held_out=b"],
            "data.root=x: folders of images take only data.on_corrupt, data.value_range, data.background, data.match, "
            "data.cache. ",
        ),
        ([f"checkpoint={RELEASE}", "only=copyin"], "there is no question 'copyin'. Did you mean copying?"),
        ([f"checkpoint={RELEASE}", "budget=fast"], "budget: quick, standard or full; got 'fast'.\n"),
        ([f"checkpoint={RELEASE}", "extractor=effnet"], "there is no extractor 'effnet'. Did you mean effnet-lite0?"),
        ([f"checkpoint={RELEASE}", "device=tpu"], "device: auto, cpu or cuda; got 'tpu'"),
        ([f"checkpoint={RELEASE}", "butget=quick"], "Did you mean budget?"),
        (["checkpoint=dcgan_digit"], "Did you mean dcgan_digits?"),
        ([f"checkpoint={RELEASE}", "data.resolution=32"], "Set data.resolution=16 data.channels=1"),
        ([f"checkpoint={RELEASE}", "train=nowhere", "held_out=nowhere"], "nowhere"),
        ([f"checkpoint={RELEASE}", "out=file/below"], "out: cannot write"),
    ],
)
def test_mistakes_are_told(words: list[str], text: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "file").write_text("")
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("zoo.audit: ")
    assert text in said
    assert "Traceback" not in said


def test_a_release_whose_data_are_elsewhere_says_how_to_name_them(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = elsewhere / "mine"
    shutil.copytree(Path(zoo.releases.references.releases_folder()) / "dcgan_digits", folder)
    recipe = folder / "recipe.yaml"
    text = recipe.read_text()
    data = "data:\n  class: Folder\n  root: /nowhere/photos\n  resolution: 16\n  channels: 1\n  batch_size: 8\n"
    recipe.write_text(text[: text.index("data:")] + data + text[text.index("trainer:") :])
    assert run("checkpoint=./mine", "only=weights", "budget=quick") == 2
    said = capsys.readouterr().err
    assert "./mine was trained on data.class=Folder data.root=/nowhere/photos" in said
    assert "data.root=FOLDER, or name other images: data.class=Folder data.root=FOLDER (for an audit" in said
    recipe.unlink()
    assert run("checkpoint=./mine", "only=weights", "budget=quick") == 2
    assert "does not say what it was trained on" in capsys.readouterr().err


def test_a_release_never_chooses_what_is_imported(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "evil.py").write_text("open('imported', 'w')\nclass Data: pass\n")
    folder = elsewhere / "mine"
    shutil.copytree(Path(zoo.releases.references.releases_folder()) / "dcgan_digits", folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("class: Digits", "class: evil.Data"))
    assert run("checkpoint=./mine", "only=weights", "budget=quick") == 2
    assert "evil.Data" in capsys.readouterr().err
    assert not (elsewhere / "imported").exists()


def test_the_help_names_every_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    for name in ("copying", "support", "weights", "held_out=FOLDER", "budget=standard"):
        assert name in text
