"""Tests of the loggers of a run, of Lightning's messages, and of a run as text: rows R8 and A16."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.loggers import Logger

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.errors import UserError
from zoo.runs.loggers import build_loggers, quiet_lightning
from zoo.runs.planning import plan_run


class Here(Logger):
    """A logger that writes where the one of Weights & Biases does by default."""

    def __init__(self, save_dir: str = ".") -> None:
        super().__init__()
        self._save_dir = save_dir

    @property
    def save_dir(self) -> str:
        return self._save_dir

    name = version = "here"

    def log_metrics(self, metrics: Any, step: int | None = None) -> None: ...

    def log_hyperparams(self, params: Any) -> None: ...


class Lacking(Here):
    """A logger of a package that is not installed, which refuses as Lightning's do."""

    def __init__(self) -> None:
        raise ModuleNotFoundError("Requirement 'lacking>=1' not met. HINT: Try running `pip install -U 'lacking>=1'`")


def loggers(folder: Path, name: str, **settings: Any) -> list[Logger]:
    section = {"mine": {"class": f"{__name__}.{name}", **settings}}
    return build_loggers(plan_run("dcgan_digits", overrides={**SMALL_RUN, "loggers": section}).recipe, folder)


def test_a_logger_that_would_write_into_the_working_directory_writes_into_the_run_folder(tmp_path: Path) -> None:
    """Weights & Biases writes into the run folder: row A16."""
    assert loggers(tmp_path, "Here")[0].save_dir == str(tmp_path)
    assert loggers(tmp_path, "Here", save_dir="elsewhere")[0].save_dir == "elsewhere"


def test_weights_and_biases_writes_into_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package itself, offline, leaves the working directory empty: row A16."""
    pytest.importorskip("wandb")
    for name in ("here", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    section = {"mine": {"class": "pytorch_lightning.loggers.WandbLogger", "offline": True}}
    zoo.fit("dcgan_digits", out=tmp_path / "run", **SMALL_RUN, loggers=section)
    assert any((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert list((tmp_path / "here").iterdir()) == []


def test_a_logger_whose_package_is_missing_is_refused_with_what_to_install(tmp_path: Path) -> None:
    """The message names the section and the package, and no folder is left: row R8."""
    with pytest.raises(UserError) as caught:
        zoo.fit("dcgan_digits", out=tmp_path / "run", **SMALL_RUN, loggers={"mine": {"class": f"{__name__}.Lacking"}})
    assert str(caught.value) == (
        "loggers.mine: Requirement 'lacking>=1' not met. HINT: Try running `pip install -U 'lacking>=1'`. Install the "
        "package, or leave loggers.mine out"
    )
    assert not (tmp_path / "run").exists()


def test_a_fit_in_a_notebook_shows_no_lines_of_lightning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No GPU, TPU and tip lines at each `zoo.fit`: row A16."""
    levels = [logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")]
    zoo.fit("dcgan_digits", out=tmp_path, **SMALL_RUN)
    assert [record.getMessage() for record in caplog.records if record.levelno < logging.WARNING] == []
    assert [logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")] == levels


def test_a_level_for_debugging_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    with quiet_lightning():
        assert logger.level == logging.DEBUG


def test_a_run_is_one_line_as_text(tmp_path: Path) -> None:
    """`repr(run)` names model, images and folder, not every layer: row A16."""
    run = zoo.fit("dcgan_digits", out=tmp_path, **SMALL_RUN)
    assert repr(run) == f"<Run of dcgan_digits: DCGAN after 128 of 128 images in {run.seconds:,.0f} s, in {tmp_path}>"
