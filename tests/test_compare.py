"""`python -m zoo.compare` on real runs: the table, the files, the page, and what the command line takes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.test_watch import structure
from zoo.compare import compare, main
from zoo.config.command_line import run_command, split_paths
from zoo.rendering import svg
from zoo.runs.measuring import evaluate

pytest.importorskip("matplotlib")


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run_command("compare", main, list(words), paths="runs")
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A group of two seeds, with three measurements each."""
    folder = tmp_path_factory.mktemp("runs") / "a<b>"
    metrics = {"every": 64, "n": 40, "metrics": ["fid", "prdc"]}
    zoo.fit(
        "dcgan_digits",
        out=folder,
        seeds=[0, 1],
        images=192,
        model={"width": 4},
        trainer={"accelerator": "cpu", "log_every_n_steps": 1},
        callbacks={"SampleGrid": None, "SampleMetrics": metrics, "Alarms": None},
    )
    return folder


def test_the_numbers_are_those_that_the_runs_recorded(group: Path) -> None:
    comparison = compare([str(group)], metric="fd")
    (train, held_out) = comparison.tables
    for table, split in ((train, "train"), (held_out, "held_out")):
        assert table.split == split
        for row in table.rows:
            for seed, value, seen in zip((0, 1), row.values, row.images_seen, strict=True):
                report = json.loads((group / f"seed={seed}/evaluation/report-digits.json").read_text())
                entry = report[row.checkpoint]
                recorded = entry["numbers"][0]["value"] if split == "held_out" else entry["selected_by"]["fid"]
                assert (value, seen) == (recorded, entry["images_seen"])
    assert [curve.images_seen for curve in train.curves] == [[64, 128, 192]]
    assert held_out.curves == []


def test_the_terminal_shows_the_table_and_the_notes(group: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(str(group), "metric=fd") == 0
    out = capsys.readouterr().out
    (table, _) = compare([str(group)], metric="fd").tables
    assert "FD-digits on training images (40 generated against 40 real, lower is better)" in out
    for row in table.rows:
        assert row.spread.deviation is not None
        (line,) = [
            line
            for line in out.split("held-out")[0].splitlines()
            if line.startswith(f"│ dcgan_digits │ {row.checkpoint}")
        ]
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert cells[2:6:2] == ["2", f"{row.spread.mean:.4g}"]
        assert cells[5] == f"{row.spread.deviation:.3g}"
    assert "sampling of one run" not in out  # a column without any value
    assert "note: where there is no sampling interval, the runs were measured without one; python -m" in out


def test_the_files_hold_the_same_numbers(group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(str(group / "seed=0"), str(group / "seed=1"), f"out={tmp_path / 'out'}") == 0
    assert capsys.readouterr().out.endswith(f"page: {tmp_path}/out/comparison.html\n")
    found = json.loads((tmp_path / "out/comparison.json").read_text())
    assert [run["seed"] for run in found["groups"][0]["runs"]] == [0, 1]
    assert [table["label"] for table in found["tables"][:2]] == ["FD-digits", "precision-digits"]
    markdown = (tmp_path / "out/comparison.md").read_text()
    html = structure((tmp_path / "out/comparison.html").read_text())
    assert html.headings[0] == "Comparison of dcgan_digits"
    assert not [reference for reference in html.references if not reference.startswith(("data:", "#"))]
    assert "script" not in html.tags
    for table in found["tables"]:
        assert f"## {table['title']}\n" in markdown
        assert table["title"] in html.headings
        for row in table["rows"]:
            for value in (f"{row['spread']['mean']:.4g}", f"{row['spread']['deviation']:.3g}"):
                assert f" {value} |" in markdown
                assert value in html.text
    assert html.tags.count("svg") == sum(bool(table["curves"]) for table in found["tables"]) == 5
    assert "a<b>/seed=0 (seed 0)" in html.text


def test_without_matplotlib_the_page_says_that_it_has_no_curves(
    group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svg, "can_plot", lambda: False)
    compare([str(group)], out=str(tmp_path))
    html = structure((tmp_path / "comparison.html").read_text())
    assert "There are no curves on this page, because matplotlib is not installed" in html.text
    assert "svg" not in html.tags


def test_evaluating_a_run_adds_its_sampling_interval(group: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(f"{group}/seed=0", metrics=["fid"], n=40, n_real=40, repeats=4)
    capsys.readouterr()
    (_, held_out) = compare([str(group)], metric="fd").tables
    last = next(row for row in held_out.rows if row.checkpoint == "last")
    assert (last.sampling_n, len(last.values)) == (1, 2)
    assert command(str(group), "metric=fd") == 0
    assert f"± {last.sampling:.3g} (1 of 2)" in capsys.readouterr().out


def test_files_of_evaluations_are_pooled_wherever_they_lie(group: Path, tmp_path: Path) -> None:
    """They record recipe, seed and settings of their runs; one seed that is given twice counts once."""
    for seed in (0, 1):
        evaluate(f"{group}/seed={seed}", metrics=["fid"], n=40, n_real=40, repeats=0, out=f"{tmp_path}/e{seed}.json")
    (table,) = compare([f"{tmp_path}/e0.json", f"{tmp_path}/e1.json"]).tables
    (row,) = table.rows
    recorded = [json.loads((tmp_path / f"e{seed}.json").read_text())["rows"][0]["numbers"][0] for seed in (0, 1)]
    assert (row.group, row.checkpoint, row.seeds) == ("dcgan_digits", "given", [0, 1])
    assert row.values == [number["value"] for number in recorded]
    notes = compare([f"{tmp_path}/e0.json", str(group)], metric="fd").notes
    assert f"{group}/seed=0 has the settings and the seed of {tmp_path}/e0.json, which alone is counted" in notes


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            [],
            "zoo.compare: name at least one run folder or group, such as python -m zoo.compare runs/dcgan_digits/TIME",
        ),
        (["nowhere"], "zoo.compare: there is no run folder, group or file nowhere"),
        (["x/seed=0"], "zoo.compare: there is no run folder, group or file x/seed=0"),
        (["nowhere", "metrc=fd"], "metrc: compare has no setting of that name. Did you mean metric?"),
    ],
)
def test_a_fault_ends_with_code_2(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*words) == 2
    assert text in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_is_refused(
    group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").touch()
    assert command(str(group), f"out={tmp_path / 'out'}") == 2
    assert capsys.readouterr().err == f"zoo.compare: out: a folder for the results; {tmp_path}/out is a file\n"


def test_paths_may_look_like_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a group are called seed=0: a word is a path if it has a slash before the `=`, or is there."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("seed=0")
    words: list[Any] = ["seed=0", "seed=1", "runs/x/seed=2", "plain", "metric=fd", "out=a/b"]
    assert split_paths(words) == (["seed=0", "runs/x/seed=2", "plain"], ["seed=1", "metric=fd", "out=a/b"])
