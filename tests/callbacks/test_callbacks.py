"""Pictures, progress, the table of numbers, stopping."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger

import zoo
from tests.helpers.training import tiny_dcgan, tiny_mlp, train
from zoo.callbacks import Every, MetricsTable, RunProgress, SampleGrid, StopAt
from zoo.io.run_folder import RunFolder, spread
from zoo.rendering import pictures


class Noted(Every):
    def __init__(self, every: int, **options: Any) -> None:
        super().__init__(every, **options)
        self.at: list[int] = []

    def act(self, trainer: Any, model: zoo.GAN) -> None:
        self.at.append(model.images_seen)


def test_every_acts_at_crossings_and_once_at_the_end(tmp_path: Path) -> None:
    plain, start, last = Noted(20), Noted(20, at_start=True, at_end=False), Noted(24)
    train(tiny_mlp(), 6, tmp_path, callbacks=[plain, start, last])  # 8, 16, ..., 48 images
    assert plain.at == [24, 40, 48]
    assert start.at == [0, 24, 40]
    assert last.at == [24, 48]  # the end falls on a crossing and is not repeated


def test_a_run_stops_at_its_length(tmp_path: Path) -> None:
    model = tiny_mlp()
    train(model, 100, tmp_path, callbacks=[StopAt(33)])
    assert model.images_seen == 40


def test_the_same_latents_are_drawn_over_time(tmp_path: Path) -> None:
    model = tiny_dcgan(num_classes=3, generator_lr=0.0, average_halflife=0)
    for module in model.generator.modules():  # a generator that stands still, statistics included
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.0
    train(model, 5, tmp_path, callbacks=[SampleGrid(every=16, rows=2)])
    found = sorted((tmp_path / "samples").glob("[0-9]*.png"))
    assert [path.stem for path in found] == [f"{n:012d}" for n in (0, 16, 32, 40)]
    assert len({path.read_bytes() for path in found}) == 1


def test_a_conditional_grid_has_one_class_in_each_column(tmp_path: Path) -> None:
    model = tiny_dcgan(num_classes=3)
    train(model, 1, tmp_path, callbacks=[SampleGrid(every=8, rows=2, seed=5)])
    expected = pictures.grid(model.sample(6, seed=5, labels=[0, 1, 2, 0, 1, 2]), 3)
    drawn = Image.open(tmp_path / "samples" / "000000000008.png")
    assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_the_evolution_shows_the_first_rows_over_time(tmp_path: Path) -> None:
    train(tiny_dcgan(), 4, tmp_path, callbacks=[SampleGrid(every=8, rows=3, columns=4)])
    grids = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "samples").glob("[0-9]*.png"))]
    strip = np.asarray(Image.open(tmp_path / "samples" / "evolution.png"))
    assert len(grids) == 5
    height = (grids[0].shape[0] - pictures.MARGIN) // 3
    assert strip.shape == (5 * height, grids[0].shape[1], 3)
    for i, grid in enumerate(grids):
        assert np.array_equal(strip[i * height : (i + 1) * height], grid[:height])
    with Image.open(tmp_path / "samples" / "evolution.gif") as gif:
        assert gif.n_frames >= 2


def test_grids_reach_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoardLogger(tmp_path, name="board", version="")
    train(tiny_mlp(), 3, tmp_path, callbacks=[SampleGrid(every=16, rows=2)], logger=board, log_every_n_steps=1)
    events = EventAccumulator(board.log_dir)
    events.Reload()
    assert [image.step for image in events.Images("samples")] == [0, 16, 24]
    assert [scalar.step for scalar in events.Scalars("d/adversarial")] == [8, 16, 24]


def test_points_are_drawn_as_a_scatter_plot(tmp_path: Path) -> None:
    train(tiny_mlp(resolution=1, channels=2), 2, tmp_path, callbacks=[SampleGrid(every=8)])
    assert (tmp_path / "samples" / "evolution.png").exists()
    picture = np.asarray(pictures.scatter(torch.tensor([[0.0, 0.0], [1.0, -1.0]]).view(2, 2, 1, 1), size=101))
    dark = np.argwhere((picture != 255).any(2))
    assert {tuple(place) for place in dark} >= {(51, 49), (100, 100)}  # the centre, and bottom right
    assert len(dark) == 18


def test_few_are_chosen_evenly_with_both_ends() -> None:
    paths = [Path(str(i)) for i in range(100)]
    assert spread(paths, 4) == [Path("0"), Path("33"), Path("66"), Path("99")]
    assert spread(paths[:3], 4) == paths[:3]


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_takes_new_columns_and_keeps_old_rows(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path)
    table.log_metrics({"a": 1.0}, step=64)
    table.log_metrics({"a": 2.0}, step=128)
    table.log_metrics({"b": 3.0}, step=128)
    assert rows(tmp_path) == [
        {"images_seen": "64", "a": "1.0", "b": ""},
        {"images_seen": "128", "a": "2.0", "b": "3.0"},
    ]


def test_a_resumed_table_forgets_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path)
    for step in (64, 128, 192):
        table.log_metrics({"a": float(step)}, step=step)
    resumed = MetricsTable(tmp_path, resumed_at=128)
    resumed.log_metrics({"a": 0.5}, step=192)
    assert [(row["images_seen"], row["a"]) for row in rows(tmp_path)] == [
        ("64", "64.0"),
        ("128", "128.0"),
        ("192", "0.5"),
    ]


def test_without_a_terminal_progress_is_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = RunProgress(images=48, line_seconds=0.0)
    train(tiny_mlp(), 6, tmp_path, callbacks=[progress], enable_progress_bar=True, log_every_n_steps=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("8 of 48 images · ")
    assert lines[0].count("images/s") == 1
    assert "d/adversarial" in lines[2]
    assert lines[-1].startswith("48 of 48 images · ")
    assert lines[-1].endswith("0:00:00 left")


def test_the_progress_is_recorded_for_the_page_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.callbacks.progress.RECORD_SECONDS", 0.0)
    train(tiny_mlp(), 4, tmp_path, callbacks=[RunProgress(images=48)], enable_progress_bar=True)
    record = json.loads(RunFolder(tmp_path).progress.read_text())
    assert (record["images_seen"], record["progress"], record["images"]) == (32, 32, 48)
    assert record["images_per_second"] > 0
    assert record["seconds_left"] == pytest.approx(16 / record["images_per_second"], rel=0.01, abs=0.1)
    assert time.time() - record["written"] < 600


def test_a_disk_without_room_costs_the_record_of_the_progress_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zoo.callbacks.progress.RECORD_SECONDS", 0.0)
    monkeypatch.setattr("zoo.callbacks.progress.atomic_write", full)
    train(tiny_mlp(), 4, tmp_path, callbacks=[RunProgress(images=48)], enable_progress_bar=True)
    assert not RunFolder(tmp_path).progress.exists()


def test_pictures_keep_their_values() -> None:
    images = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1)
    assert pictures.to_uint8(images).flatten().tolist() == [0, 128, 255]
    colour = torch.rand(2, 3, 64, 64) * 2 - 1
    picture = np.asarray(pictures.grid(colour, 2))
    cell = picture[pictures.MARGIN : pictures.MARGIN + 64, pictures.MARGIN : pictures.MARGIN + 64]
    assert np.array_equal(cell, pictures.to_uint8(colour)[0].permute(1, 2, 0).numpy())
    assert pictures.single(colour[0]).mode == "RGB"
    assert pictures.single(colour[0, :1]).mode == "L"


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown file extension"):
        pictures.save(Image.new("RGB", (2, 2)), tmp_path / "a.nothing")
    assert list(tmp_path.iterdir()) == []
