"""A path that begins with `~` is seen from the home folder, in every command and function that takes a path."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import Logger

import zoo
from zoo.audit.command import run_audit
from zoo.audit.opening import write_release_report
from zoo.errors import UserError
from zoo.evaluation.numbers import Number
from zoo.hub.converting.tensors import read_file
from zoo.hub.verifying import verify
from zoo.releases.references import releases_folder
from zoo.runs.drawing import sample
from zoo.runs.evaluation_results import Evaluation, save_and_print
from zoo.runs.listing import show
from zoo.runs.loggers import build_loggers
from zoo.runs.packing import pack
from zoo.runs.planning import plan_run
from zoo.runs.watching.command import watch

SMALL: dict[str, Any] = {
    "images": 64,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu"},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None},
}


class Here(Logger):
    """A logger that only has a folder."""

    name = version = "here"

    def __init__(self, save_dir: str = ".") -> None:
        super().__init__()
        self.folder = save_dir

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any) -> None: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a release, that is not the working directory."""
    folder = tmp_path / "home"
    shutil.copytree(releases_folder() / "dcgan_digits", folder / "release")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_run_and_everything_made_of_it_lie_below_the_home_folder(home: Path) -> None:
    first = plan_run("dcgan_digits", out="~/first", overrides=SMALL)
    assert first.folder == home / "first"
    (home / "mine.yaml").write_text(first.recipe.to_yaml())
    run = zoo.fit("~/mine.yaml", out="~/run")
    assert run.folder == home / "run"
    assert plan_run(None, resume="~/run", overrides={"images": 128}).folder == home / "run"
    assert pack("~/run", "~/packed") == home / "packed"
    assert verify("~/packed")
    assert run.model.save_pretrained("~/saved") == home / "saved"
    assert len(read_file("~/saved/model.safetensors")) > 0
    assert watch("~/run", "~/page.html") == home / "page.html"
    assert list(Path.cwd().iterdir()) == []


def test_pictures_numbers_and_pages_lie_below_the_home_folder(home: Path) -> None:
    assert sample("~/release", n=1, out="~/one.png") == home / "one.png"
    sample("~/release", n=2, out="~/many/")
    assert sorted(path.name for path in (home / "many").iterdir()) == ["0.png", "1.png"]
    rows = [{"truncation": None, "numbers": [Number("fid", "FID", 1.0, protocol={})]}]
    save_and_print(Evaluation("a", Path("x.json"), rows), "~/numbers.json", curve=False)
    write_release_report("~/release", "~/page.html")
    show("~/release")
    assert {path.name for path in home.iterdir()} >= {"one.png", "many", "numbers.json", "page.html"}
    assert list(Path.cwd().iterdir()) == []


def test_an_audit_reads_and_writes_below_the_home_folder(home: Path) -> None:
    for part in ("fake", "train", "held_out"):
        (home / part).mkdir()
        for i, pixels in enumerate(torch.rand(64, 8, 8)):
            Image.fromarray((pixels * 255).byte().numpy()).save(home / part / f"{i}.png")
    folders = {part: f"~/{part}" for part in ("fake", "train", "held_out")}
    run_audit(**folders, only="sharpness", out="~/report", extractor="pixels")  # type: ignore[arg-type]
    assert (home / "report" / "report.json").is_file()
    assert list(Path.cwd().iterdir()) == []


def test_a_logger_writes_below_the_home_folder(home: Path, tmp_path: Path) -> None:
    section = {"mine": {"class": f"{__name__}.Here", "save_dir": "~/logs"}}
    recipe = plan_run("dcgan_digits", overrides={**SMALL, "loggers": section}).recipe
    assert build_loggers(recipe, tmp_path)[0].folder == str(home / "logs")  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", [lambda path: sample(path), lambda path: zoo.fit("dcgan_digits", out=path)])
def test_a_home_that_is_not_there_is_named(call: Callable[[str], Any]) -> None:
    with pytest.raises(UserError, match=r"^~nobody-here/x: there is no home folder for ~nobody-here. Give the path in"):
        call("~nobody-here/x")
