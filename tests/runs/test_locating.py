"""Tests of the rules that decide whether a user names a run, a checkpoint or a release."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.helpers.training import tiny_dcgan, train
from zoo.errors import CheckpointError, ReleaseError, UserError
from zoo.io.checkpoints import CheckpointFiles
from zoo.io.claims import claim
from zoo.io.run_folder import RunFolder
from zoo.releases.references import Reference
from zoo.runs.finetuning import read_source
from zoo.runs.locating import best_checkpoint, checkpoint_of, locate, newest_checkpoint, report_name
from zoo.runs.opening import load_model, open_trained
from zoo.runs.resuming import find_start

DIGEST = "0" * 64


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A folder with two checkpoints, and no recipe."""
    run = RunFolder(tmp_path_factory.mktemp("run"))
    for images in (8, 16):
        train(tiny_dcgan(), 1, run.path, plugins=[CheckpointFiles()]).save_checkpoint(run.checkpoint(images))
    return run


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dcgan().save_pretrained(tmp_path_factory.mktemp("releases") / "it")


def test_folders_and_files_are_told_apart_by_what_they_hold(run: RunFolder, release: Path, tmp_path: Path) -> None:
    for kind in (str, Path):
        assert locate(kind(run.path)) == run
        assert locate(kind(run.checkpoint(8))) == run.checkpoint(8)
        assert locate(kind(release)) == Reference("path", str(release))
        assert locate(kind(release / "model.safetensors")) == Reference("path", str(release / "model.safetensors"))
    assert locate(tmp_path / "none.safetensors").kind == "path"  # the loader says that it is missing
    assert locate(tmp_path) == RunFolder(tmp_path)  # without checkpoints so far


def test_a_run_folder_may_contain_a_config_of_another_tool(run: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoint_folder.mkdir()
    folder.checkpoint(8).write_bytes(run.checkpoint(8).read_bytes())
    (tmp_path / "config.json").write_text("{}")
    assert locate(str(tmp_path)) == folder
    assert zoo.load_run(tmp_path).images_seen == load_model(str(tmp_path)).images_seen


def test_names_and_addresses_are_releases() -> None:
    names = {
        "dcgan_digits": Reference("ours", "dcgan_digits"),
        "zoo:dcgan_digits": Reference("ours", "dcgan_digits"),
        "hf:someone/digits": Reference("hub", "someone/digits"),
        f"https://x/y#sha256={DIGEST}": Reference("url", "https://x/y", DIGEST),
        f"http://x/y#sha256={DIGEST}": Reference("url", "http://x/y", DIGEST),
    }
    assert {text: locate(text) for text in names} == names
    with pytest.raises(ReleaseError, match="has no digest"):
        locate("https://x/model.safetensors")


def test_a_folder_with_the_name_of_a_release_is_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dcgan_digits").mkdir()
    assert locate("dcgan_digits") == RunFolder(Path("dcgan_digits"))
    assert locate("zoo:dcgan_digits") == Reference("ours", "dcgan_digits")


def test_the_home_folder_may_be_abbreviated(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run.path.parent))
    assert locate(f"~/{run.path.name}") == run


@pytest.mark.parametrize("opens", [locate, load_model, read_source, lambda where: open_trained(where, {})])
def test_a_name_of_nothing_is_explained_in_the_same_way_everywhere(opens: Any) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"no run folder or checkpoint dcgan_digit, nor a release of that name. Did you mean dcgan_digits\? .*hf:",
    ):
        opens("dcgan_digit")
    for path in ("./nowhere", "~/nowhere", "nowhere.ckpt"):
        with pytest.raises(CheckpointError, match=r"no run folder or checkpoint \S+$"):
            opens(path)


@pytest.mark.parametrize("opens", [zoo.load_run, checkpoint_of, lambda where: zoo.fit(resume=where)])
def test_where_only_a_run_will_do_no_name_is_looked_up(opens: Any, release: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no run folder or checkpoint dcgan_digits$"):
        opens("dcgan_digits")
    with pytest.raises(UserError, match=re.escape(f"{release} is a release, not a run: zoo.from_pretrained loads it")):
        opens(str(release))


def test_where_only_a_release_will_do_a_run_is_refused(run: RunFolder) -> None:
    with pytest.raises(ReleaseError, match=r"is the folder of a run, not a release: zoo.load_run loads it"):
        zoo.from_pretrained(run.path)


def test_a_run_stands_for_its_newest_checkpoint_and_on_request_its_best(run: RunFolder, tmp_path: Path) -> None:
    assert newest_checkpoint(run) == checkpoint_of(run.path) == run.checkpoint(16)
    assert newest_checkpoint(run.checkpoint(8)) == run.checkpoint(8)
    with pytest.raises(CheckpointError, match=r"has no checkpoints; a run folder keeps them in checkpoints/\*.ckpt"):
        newest_checkpoint(RunFolder(tmp_path))
    for where in (run.path, run.checkpoint(8)):
        with pytest.raises(CheckpointError, match=r"keeps no best checkpoint \(best/\*.ckpt\)"):
            best_checkpoint(where)
    best = RunFolder(tmp_path / "run").best_checkpoint(8)
    best.parent.mkdir(parents=True)
    best.touch()
    assert best_checkpoint(str(tmp_path / "run")) == best


def test_a_run_without_a_checkpoint_that_is_training_says_so(run: RunFolder, tmp_path: Path) -> None:
    """`fit resume=RUN` of a live run names the process, which a run that has ended does not have."""
    live = RunFolder(tmp_path / "live")
    live.path.mkdir()
    live.recipe.touch()
    with claim(live.path):
        for opens in (checkpoint_of, lambda where: find_start(None, where), lambda where: load_model(str(where))):
            with pytest.raises(CheckpointError) as caught:
                opens(live.path)
            assert str(caught.value).startswith(
                f"{live.path} has no checkpoint yet: process {os.getpid()} on {socket.gethostname()}, since "
            )
            assert str(caught.value).endswith("with Ctrl-C or SIGTERM, which saves one")
        with pytest.raises(
            CheckpointError, match=rf"\) yet, and process {os.getpid()} on .* trains in it right now; Sam"
        ):
            best_checkpoint(live.path)
    with pytest.raises(CheckpointError) as caught:
        checkpoint_of(live.path)
    assert str(caught.value) == (
        f"{live.path} has no checkpoints; a run folder keeps them in checkpoints/*.ckpt. To train anew: python -m "
        f"zoo.fit recipe={live.recipe}"
    )
    live.lock.write_text('{"host": "elsewhere", "pid": 1, "time": "now"}')  # nobody here knows whether it still runs
    with pytest.raises(CheckpointError, match="has no checkpoint yet: process 1 on elsewhere, since now, trains in it"):
        checkpoint_of(live.path)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("runs/dcgan/2026-01-01/", "2026-01-01"),
        ("best/000000000512.ckpt", "000000000512"),
        ("a b/model.safetensors", "model"),
        ("hf:someone/digits", "digits"),
        ("zoo:dcgan_digits", "dcgan_digits"),
        (f"https://x/my model.safetensors#sha256={DIGEST}", "my-model"),
        ("..", "audit"),
    ],
)
def test_reports_have_names_that_are_valid_for_a_folder(where: str, name: str) -> None:
    assert report_name(where) == name
