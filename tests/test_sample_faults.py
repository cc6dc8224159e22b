"""Faults of `python -m zoo.sample`: exit code 2, a text that teaches, nothing drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.helpers.commands import draw
from zoo.errors import UserError
from zoo.sample import sample

pytestmark = pytest.mark.xdist_group("sample")  # one worker trains the models

FAULTS: dict[str, tuple[str, str, list[str]]] = {
    "labels of an unconditional model": (
        "plain",
        "labels=3",
        ["labels were given, but this model is unconditional (num_classes=0)"],
    ),
    "label too large": ("digits", "labels=10", ["labels must lie in 0..9; got 10"]),
    "label too small": ("digits", "labels=-1", ["labels must lie in 0..9; got -1"]),
    "one label of a list": ("digits", "n=2 labels=[3,11]", ["labels must lie in 0..9; got 3 to 11"]),
    "no labels in a list": ("digits", "labels=[]", ["labels"]),
    "labels by name": ("digits", "labels=three", ["labels", "three"]),
    "truncation of zero": ("plain", "truncation=0", ["truncation must be positive; got 0"]),
    "negative truncation": ("plain", "truncation=-0.5", ["truncation must be positive; got -0.5"]),
    "truncation by name": ("plain", "truncation=much", ["truncation: 'much' is not a number"]),
    "a walk of one step": ("plain", "interpolate=1", ["interpolate: at least 2 steps, the two ends; got 1"]),
    "no images": ("plain", "n=0", ["n: at least 1 image; got 0"]),
    "number in words": ("plain", "n=many", ["n: 'many' is not an integer"]),
    "negative columns": ("plain", "columns=-2", ["columns", "-2"]),
    "unknown key": ("plain", "sed=3", ["sed: sample has no setting of that name. Did you mean seed?"]),
    "two faults": ("plain", "n=many sede=3", ["2 faults", "n: 'many' is not an integer", "Did you mean seed?"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_ends_with_code_2_and_draws_nothing(
    case: str, sampled_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, words, fragments = FAULTS[case]
    assert draw(f"checkpoint={sampled_runs[name]}", f"out={tmp_path / 'grid.png'}", *words.split()) == 2
    text = capsys.readouterr()
    assert text.err.startswith("zoo.sample: ")
    for fragment in fragments:
        assert fragment in text.err
    assert text.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["grid.tiff", "grid", "grid.png.txt"])
def test_another_ending_is_refused_with_those_there_are(
    out: str, sampled_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(f"checkpoint={sampled_runs['plain']}", f"out={tmp_path / out}") == 2
    text = capsys.readouterr().err
    assert "out: a picture ending in .png, .jpg, .jpeg, .webp, or a folder ending in /" in text
    assert f"got '{tmp_path / out}'" in text
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_the_users_fault(
    sampled_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert draw(f"checkpoint={sampled_runs['plain']}", "n=1", f"out={tmp_path / 'file' / 'grid.png'}") == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_missing_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(f"checkpoint={tmp_path / 'nowhere'}") == 2
    assert capsys.readouterr().err == f"zoo.sample: there is no run folder or checkpoint {tmp_path / 'nowhere'}\n"


def test_a_folder_without_checkpoints_says_where_they_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(f"checkpoint={tmp_path}") == 2
    text = capsys.readouterr().err
    assert f"{tmp_path} has no checkpoints; a run folder keeps them in checkpoints/*.ckpt" in text


def test_a_checkpoint_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("n=3") == 2
    assert "checkpoint: missing; sample needs it (a text)" in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.ckpt").write_text("nothing")
    assert draw(f"checkpoint={tmp_path / 'notes.ckpt'}") == 2
    assert "notes.ckpt is " in capsys.readouterr().err


def test_from_python_the_same_faults_are_errors(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    out = str(tmp_path / "grid.png")
    with pytest.raises(UserError, match="unconditional"):
        sample(str(sampled_runs["plain"]), n=2, labels=3, out=out)
    with pytest.raises(UserError, match=r"labels must lie in 0\.\.9; got 10 to 10"):
        sample(str(sampled_runs["digits"]), n=2, labels=10, out=out)
    for truncation in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="truncation must be positive"):
            sample(str(sampled_runs["plain"]), n=2, truncation=truncation, out=out)
    with pytest.raises(UserError, match="at least 2 steps"):
        sample(str(sampled_runs["digits"]), n=2, interpolate=1, out=out)


def test_an_empty_list_of_labels_is_refused(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="labels"):
        sample(str(sampled_runs["digits"]), n=2, labels=[], out=str(tmp_path / "grid.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"seeds": "5-2"},
            "seeds: whole numbers and spans of up to 1,000,000 joined by commas, such as 0-31 or 3,7; got '5-2'",
        ),
        ({"seeds": "a"}, "got 'a'"),
        ({"seeds": "-4"}, "got '-4'"),
        ({"seeds": str(2**32)}, f"seeds: whole numbers from 0 to {2**32 - 1}; got {2**32}"),
        ({"seeds": "1", "interpolate": 3}, "seeds, latents, interpolate and a list of truncations each say"),
        (
            {"truncation": [0.5, 1.0], "interpolate": 3},
            "a list of truncations each say what is drawn. Give one of them",
        ),
        ({"latents": "nowhere.npy"}, "latents: nowhere.npy is no .npy file, nor a .npz file with an array z"),
        ({"seeds": "0-7", "n": 3}, "n=3 has no effect on what is drawn or written here; leave it out"),
        ({"seeds": "0-7", "seed": 5}, "seed=5 has no effect on what is drawn or written here; leave it out"),
        ({"truncation_by": "scaling"}, "truncation_by=scaling has no effect on what is drawn or written here"),
        ({"out": "a.npz", "scale": 4}, "scale=4 has no effect on what is drawn or written here; leave it out"),
        ({"out": "a.npz", "columns": 2}, "columns=2 has no effect on what is drawn or written here; leave it out"),
        ({"scale": 0}, "scale: a whole factor of at least 1; got 0"),
        ({"out": "walk.gif"}, "out: a .gif shows the way between latents; give interpolate=STEPS as well"),
        ({"out": "walk.mp4"}, "out: a .mp4 shows the way between latents; give interpolate=STEPS as well"),
    ],
)
def test_seeds_latents_and_scales_that_cannot_be(
    sampled_runs: dict[str, Path], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        sample(str(sampled_runs["plain"]), **options)
    assert message in str(raised.value)


def test_latents_of_another_length_are_refused(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((2, 5), dtype=np.float32))
    np.save(tmp_path / "bad.npy", np.full((2, 64), np.nan, dtype=np.float32))
    length = zoo.load_run(sampled_runs["plain"]).latent_dim
    with pytest.raises(UserError, match=f"latents: 5 numbers for each image; this model takes {length}"):
        sample(str(sampled_runs["plain"]), latents=str(tmp_path / "z.npy"))
    with pytest.raises(UserError, match=r"latents: a table \(N, Z\) of finite numbers; .*bad.npy has shape \(2, 64\)"):
        sample(str(sampled_runs["plain"]), latents=str(tmp_path / "bad.npy"))
