"""Tests of files that a kill or a power cut has damaged: row R6, a good checkpoint always resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.alarms.records import Records
from zoo.io.files import append_jsonl, read_json, read_jsonl, read_table
from zoo.io.run_folder import RunFolder
from zoo.runs.history import read_run
from zoo.runs.packing import pack
from zoo.runs.watching.command import watch

SETTINGS: dict[str, Any] = {
    "images": 640,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 2},
    "callbacks": {
        "SampleMetrics": {"every": 192, "n": 60, "metrics": ["fid"]},
        "SampleGrid": None,
        "SaveEvery": {"every": 320},
    },
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.fit("dcgan_digits", out=tmp_path_factory.mktemp("trained"), **SETTINGS).folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def nuls(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30] + bytes(30))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_nuls(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def not_utf8(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10] + b"\xff\xfe\x80\n")


@pytest.mark.parametrize("damage", [cut, nuls, emptied, replaced_by_nuls, not_utf8])
def test_a_good_checkpoint_resumes_whatever_a_power_cut_did_to_the_records(
    damage: Callable[[Path], None], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row R6: all records of a run are damaged at once; what is unreadable is left out and said."""
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    records = [path for path in folder.rglob("*") if path.suffix in (".csv", ".jsonl", ".json")]
    assert {path.name for path in records} >= {
        "metrics.csv",
        "environment.jsonl",
        "ends.jsonl",
        "signals.jsonl",
        "training-digits.jsonl",
        "report-digits.json",
    }
    for path in records:
        damage(path)
    read_run(folder)
    pack(str(folder), str(tmp_path / "release"))
    capsys.readouterr()
    assert zoo.fit(resume=folder, images=960).model.images_seen == 960
    said = capsys.readouterr().err
    assert f"note: {folder / 'evaluation' / 'report-digits.json'} is damaged" in said
    if damage in (emptied, replaced_by_nuls):
        assert f"note: {folder / 'metrics.csv'} holds no table" in said
    else:
        assert f"note: {folder / 'metrics.csv'}: a line that cannot be read" in said
    if damage is not emptied:
        assert f"note: {folder / 'evaluation' / 'training-digits.jsonl'}: a line that cannot be read" in said
    assert [int(row["images_seen"]) for row in read_table(folder / "metrics.csv", "images_seen")[1]][-1] == 960
    assert read_jsonl(folder / "evaluation" / "training-digits.jsonl")[-1]["images_seen"] == 960
    assert json.loads((folder / "evaluation" / "report-digits.json").read_text())["last"]["images_seen"] == 960
    assert RunFolder(folder).ends()[-1]["images_seen"] == 960


def test_rows_after_half_a_line_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_jsonl(path, [{"a": 1}, {"a": 2}])
    cut_line = path.read_text()[:-4]
    path.write_text(cut_line)
    append_jsonl(path, [{"a": 3}])
    assert read_jsonl(path) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("images_seen,loss\r\n64,0.5\r\n128,0.25\r\n", ["64", "128"]),
        ("images_seen,loss\r\n64,0.5\r\n128,0.2", ["64"]),  # of 0.25: the number is whole, and wrong
        ("images_seen,loss\r\n64,0.5\r\n12", ["64"]),
        ("images_seen,loss\r\n64,0.5\r\n128,\0\0\0\0\r\n192,1\r\n", ["64", "192"]),
        ("images_seen,loss\r\n64,0.5\r\n128,\r\n", ["64", "128"]),  # no loss was logged in this row
        ("images_seen,loss\r\n64,0.5,3\r\nx,1\r\n128,y\r\n", []),
        ("\0\0\0\0\0\0", []),
        ("", []),
        ("other,loss\r\n64,0.5\r\n", []),
    ],
)
def test_only_whole_rows_of_a_table_are_read(text: str, rows: list[str], tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(text.encode())
    assert [row["images_seen"] for row in read_table(path, "images_seen")[1]] == rows


def test_a_report_that_is_no_mapping_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    assert read_json(path) == {}
    path.write_text("[1, 2]")
    assert read_json(path) is None
    assert capsys.readouterr().err == f"note: {path} is damaged (6 bytes) and is left out\n"


def test_rows_that_lack_what_they_are_read_for_are_passed_over(trained: Path, tmp_path: Path) -> None:
    """Each ended `zoo.watch` and `zoo.compare` with a KeyError, a TypeError or a ValueError, and signals the resume."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    before = read_run(folder)
    files = RunFolder(folder)
    append_jsonl(
        files.signals, [{}, {"images_seen": "x", "values": {"a": 1}}, {"images_seen": 641, "values": {"a": "b"}}]
    )
    append_jsonl(files.events, [{"alarm": "collapse"}])
    append_jsonl(folder / "ends.jsonl", [{"images_seen": 640, "seconds": 1.0, "start": "x"}])
    assert read_run(folder) == replace(before, folder=folder)
    assert watch(str(folder), out=str(tmp_path / "page.html")).is_file()
    assert Records(files, images_seen=640).events == before.events
