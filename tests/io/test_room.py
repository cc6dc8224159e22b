"""Tests of a full disk: row R7, a run goes on without what it can spare, and a cache is refused in one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.errors import DataError
from zoo.features import extractor
from zoo.features.cache import Features, cached_features, entry_path
from zoo.io import files
from zoo.io.checkpoints import read_checkpoint
from zoo.io.files import read_jsonl, read_table
from zoo.io.room import mapped_array, spared
from zoo.io.run_folder import checkpoints_in

SETTINGS: dict[str, Any] = {
    "images": 640,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 2},
    "callbacks": {
        "SampleMetrics": {"every": 192, "n": 60, "metrics": ["fid"]},
        "SampleGrid": {"every": 128},
        "SaveEvery": {"every": 320},
        "Alarms": {"rounds": 2},
    },
}


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_run_on_a_full_disk_goes_on_without_what_it_can_spare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row R7: table, pictures, signals and TensorBoard fail once training has begun; the checkpoint is whole."""
    real, fails = files.atomic_write, [True]

    def write(path: Path, sync: bool = False) -> Any:
        spare = path.suffix in (".csv", ".png", ".gif", ".jsonl")
        return full() if spare and fails[0] else real(path, sync)

    for module in ("callbacks.table", "rendering.pictures", "alarms.records", "callbacks.metrics"):
        monkeypatch.setattr(f"zoo.{module}.atomic_write", write)
    monkeypatch.setattr("zoo.alarms.records.append_jsonl", full)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", **SETTINGS)
    assert run.model.images_seen == 640
    assert read_checkpoint(checkpoints_in(run.folder)[0])["zoo"]["images_seen"] == 640
    said = capsys.readouterr().err
    for what, path in {
        "the table of metrics": "metrics.csv",
        "sample grids": "samples",
        "signals of the alarms": "alarms/signals.jsonl",
        "TensorBoard's file": "tensorboard",
        "measurements": "evaluation/training-digits.jsonl",
    }.items():
        line = (
            f"note: {what} cannot be written to {run.folder / path}: No space left on device. The run goes on without"
        )
        assert said.count(line) == 1
    monkeypatch.undo()
    zoo.fit(resume=run.folder, images=960)  # with room again
    assert [row["images_seen"] for row in read_table(run.folder / "metrics.csv", "images_seen")[1]][-1] == "960"
    assert read_jsonl(run.folder / "alarms" / "signals.jsonl")[-1]["images_seen"] == 896


def test_a_table_is_whole_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = zoo.callbacks.MetricsTable(tmp_path)
    table.log_metrics({"loss": 1.0}, step=64)
    with monkeypatch.context() as context:
        context.setattr("builtins.open", full)
        table.log_metrics({"loss": 0.5}, step=128)
    table.log_metrics({"loss": 0.25}, step=192)
    assert (tmp_path / "metrics.csv").read_text() == "images_seen,loss\n64,1.0\n128,0.5\n192,0.25\n"


def test_a_cache_of_images_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row R7: path, size and remedy; without the check, the memory map would end the process with a bus error."""
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.new("L", (16, 16), 20 * i).save(tmp_path / "photos" / f"{i}.png")
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        DataError,
        match=r"the cache of decoded images cannot be written to \S+/images: No space left on device. It needs 2,048 "
        r"bytes, [\d,]+ are free. Make room, or set ZOO_CACHE to a folder on another disk",
    ):
        zoo.data.Folder(root=str(tmp_path / "photos"), resolution=16, channels=1).setup("fit")


def test_a_mapped_array_has_its_room_and_keeps_its_values(tmp_path: Path) -> None:
    array = mapped_array(tmp_path / "a.npy", (3, 5), np.uint8)
    array[:] = 7
    array.flush()
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.full((3, 5), 7, np.uint8))
    assert (tmp_path / "a.npy").stat().st_size == array.offset + 15


def test_an_array_that_does_not_fit_is_refused_before_it_takes_any_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.io.room.free_bytes", lambda folder: 14)
    with pytest.raises(DataError, match=r"No space left on device. It needs 15 bytes, 14 are free. Make room, or set"):
        mapped_array(tmp_path / "a.npy", (3, 5), np.uint8)
    assert list(tmp_path.iterdir()) == []


def test_features_that_cannot_be_kept_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row R7: safetensors has an error of its own for a full disk."""
    from safetensors import SafetensorError

    def refuse(*_: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr("zoo.features.cache.save_file", refuse)
    data = zoo.data.Digits(resolution=8)
    data.setup("fit")
    found = cached_features(extractor("pixels"), data.train, np.arange(4))
    assert isinstance(found, Features)
    assert found.values.shape[0] == 4
    assert torch.isfinite(found.values).all()
    assert not entry_path(extractor("pixels"), data.train, np.arange(4)).exists()
    assert "note: cannot keep features in" in capsys.readouterr().err


def test_other_errors_are_not_spared(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), spared("something", tmp_path):
        raise ValueError("wrong")
