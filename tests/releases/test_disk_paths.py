"""A release tells nothing of the disk it was packed on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import zoo
from tests.helpers.training import tiny_dcgan
from tests.releases.test_audited import report
from zoo import hub
from zoo.releases.disk_paths import disk_paths, without_disk_paths
from zoo.releases.references import releases_folder
from zoo.runs import packing


def test_paths_are_found_wherever_they_are_nested() -> None:
    settings = {"data": {"root": "/home/me/photos", "resolution": 64}, "also": [("/data",), "runs/data", "/", "at /x"]}
    assert disk_paths(settings) == {"/home/me/photos", "/data"}


def test_only_whole_paths_are_cut_down() -> None:
    text = 'root: /data\nout: runs/data\nother: "/database"\nin: https://host/data\nfile: /data/1.png\nend: in /data.\n'
    assert without_disk_paths(text, {"/data"}) == (
        'root: data\nout: runs/data\nother: "/database"\nin: https://host/data\nfile: data/1.png\nend: in data.\n'
    )
    assert without_disk_paths("/a/b then /a", {"/a", "/a/b"}) == "b then a"
    assert without_disk_paths("<td>/me/a &amp; b</td>", {"/me/a & b"}) == "<td>a &amp; b</td>"
    assert json.loads(without_disk_paths(json.dumps({"at": "/mé/ü"}), {"/mé/ü"})) == {"at": "ü"}


def test_a_packed_run_names_no_folder_of_its_machine(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8)).save(photos / f"{i}.png")
    run = zoo.fit(
        "dcgan_digits",
        out=str(tmp_path / "run"),
        images=32,
        model={"width": 4, "num_classes": 0},
        data={"class": "Folder", "root": str(photos), "channels": 1, "batch_size": 16},
        trainer={"accelerator": "cpu"},
        callbacks={"SampleMetrics": None, "SampleGrid": None, "Alarms": None},
    )
    assert yaml.safe_load((run.folder / "recipe.yaml").read_text())["data"]["root"] == str(photos)  # its owner knows
    folder = packing.pack(run=str(run.folder), out=str(tmp_path / "mine"), licence="CC0")
    hub.attach(folder, report(tmp_path / "report", model="DCGAN after 32 images", checkpoint=str(run.folder)))
    assert str(tmp_path) in (tmp_path / "report" / "report.html").read_text()
    for path in folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["data"]["root"] == "photos"
    assert json.loads((folder / "audit.json").read_text())["about"]["checkpoint"] == "run"
    assert hub.verify(folder)


@pytest.mark.parametrize("name", zoo.pretrained())
def test_the_shipped_ones_name_none_either(name: str) -> None:
    folder = releases_folder() / name
    for file in ("config.json", "metrics.json", "audit.json", "recipe.yaml"):
        text = (folder / file).read_text()
        parsed = yaml.safe_load(text) if file.endswith("yaml") else json.loads(text)
        assert not disk_paths(parsed), file


def test_a_release_of_a_model_in_memory_has_no_paths(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    assert not disk_paths(json.loads((folder / "config.json").read_text()))
