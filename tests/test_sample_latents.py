"""Latents from files, and truncations, that `python -m zoo.sample` and `python -m zoo.evaluate` refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.config.command_line import run_command
from zoo.errors import UserError
from zoo.runs.drawing import main, read_latents
from zoo.runs.evaluation_request import truncation_levels

WHERE = "checkpoint=dcgan_digits"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what `python -m zoo.sample` says when it refuses, in one line."""
    with pytest.raises(SystemExit) as ended:
        run_command("sample", main, [WHERE, *words])
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def damaged(folder: Path) -> dict[str, Path]:
    """Write files of latents as a full disk, a copy that was cut off, and a changed bit leave them."""
    whole = folder / "whole.npz"
    np.savez_compressed(whole, z=np.random.default_rng(0).normal(size=(50, 64)))
    content = whole.read_bytes()
    contents = {
        "empty.npy": b"",
        "empty.npz": b"",
        "cut.npz": content[: len(content) // 2],
        "bit.npz": content[:300] + bytes([content[300] ^ 255]) + content[301:],
    }
    for name, text in contents.items():
        (folder / name).write_bytes(text)
    return {name: folder / name for name in contents}


def test_damaged_files_of_latents_are_refused_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in damaged(tmp_path).values():
        with pytest.raises(UserError, match=r"no \.npy file, nor a \.npz file with an array z, or it is damaged"):
            read_latents(path)
    assert "empty.npy is no .npy file" in refused(capsys, f"latents={tmp_path / 'empty.npy'}")


def test_a_list_without_a_truncation_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "truncation: name at least one bound" in refused(capsys, "truncation=[]")


def test_a_truncation_beside_latents_would_have_no_effect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "z.npy", np.zeros((3, 64), np.float32))
    said = refused(capsys, f"latents={tmp_path / 'z.npy'}", "truncation=0.5", f"out={tmp_path / 'a.png'}")
    assert "truncation=0.5: the latents of " in said
    assert "drawn as they are. Leave out truncation or latents" in said
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("way", ["redrawing", "scaling"])
def test_an_infinite_truncation_is_refused(way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It scaled latents to infinity, and stood as `Infinity` in the JSON of an evaluation, which no other reads."""
    said = refused(capsys, "n=2", "truncation=.inf", f"truncation_by={way}", f"out={tmp_path / 'a.png'}")
    assert "truncation must be finite, or None for none; got inf" in said
    with pytest.raises(UserError, match="truncation: a positive number, or a list of them; got inf"):
        truncation_levels(float("inf"))
