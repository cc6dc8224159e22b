"""Records of `SampleMetrics` and of `zoo.evaluate` in the comparison of runs, and their protocols."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.compared_runs import PROTOCOL, add_measurements, number, row, write_run
from zoo.runs.comparing.command import compare


def test_records_count_before_the_table_and_intervals_before_none(tmp_path: Path) -> None:
    for seed, values in enumerate(([20.0, 10.0, 12.0], [22.0, 9.0, 8.0])):
        folder = write_run(tmp_path / f"r{seed}", seed, [99.0, 99.0, 99.0])
        add_measurements(folder, values)
        held_out = {"split": "held_out"}
        best_at = 100 * (1 + int(np.argmin(values)))
        report = {
            "best": {"numbers": [number(min(values) + 1, best_at, **held_out)]},
            "last": {"numbers": [number(values[-1] + 1, 300, **held_out)]},
        }
        (folder / "evaluation/report-digits.json").write_text(json.dumps(report))
        rows = [{"truncation": None, "numbers": [number(values[-1] + 1, 300, low=values[-1] - seed, **held_out)]}]
        (folder / "evaluation/000000000300-held_out-digits.json").write_text(json.dumps({"rows": rows}))
    result = compare([str(tmp_path / "r0"), str(tmp_path / "r1")], metric="fd")

    assert row(result, "FD-digits", "dcgan_digits", "best").values == [10.0, 8.0]
    assert row(result, "FD-digits", "dcgan_digits", "best").images_seen == [200, 300]
    held_out_best = row(result, "FD-digits", "dcgan_digits", "best", "held_out")
    held_out_last = row(result, "FD-digits", "dcgan_digits", "last", "held_out")
    assert (held_out_best.values, held_out_best.sampling_n) == ([11.0, 9.0], 1)  # of r1 the best is the last
    assert (held_out_last.values, held_out_last.sampling_n) == ([13.0, 9.0], 2)
    assert held_out_last.sampling == pytest.approx((1.0 + 2.0) / 2)  # half-widths 1 and 2
    assert held_out_last.floor == 1.5


def test_files_of_one_run_are_joined_and_the_same_measurement_counts_once(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 0, [99.0])
    (folder / "evaluation").mkdir()
    files = {}
    kid = {**number(0.5, 100), "key": "kid", "label": "KID-digits"}
    for name, measured in (("fd", number(10.0, 100)), ("kid", kid), ("cut", number(14.0, 100, truncation=0.5))):
        files[name] = str(folder / f"evaluation/000000000100-{name}.json")
        Path(files[name]).write_text(json.dumps({"rows": [{"truncation": None, "numbers": [measured]}]}))
    copy = tmp_path / "run/evaluation/copy.json"
    copy.write_text(Path(files["fd"]).read_text())
    result = compare([*files.values(), str(copy)])
    found = sorted((table.label, row.checkpoint, row.values) for table in result.tables for row in table.rows)
    assert found == [("FD-digits", "given", [10.0]), ("FD-digits", "given", [14.0]), ("KID-digits", "given", [0.5])]
    assert f"{copy} has the settings and the seed of {files['fd']}, which alone is counted" in result.notes
    beside = [table.label for table in compare([str(folder), files["kid"]], metric="kid").tables]
    assert beside == ["KID-digits"]


def test_files_of_evaluations_are_pooled_by_the_runs_they_lie_in(tmp_path: Path) -> None:
    paths = []
    for seed, value in enumerate((10.0, 12.0)):
        folder = write_run(tmp_path / f"r{seed}", seed, [99.0])
        (folder / "evaluation").mkdir()
        paths.append(folder / "evaluation/000000000100-train-digits.json")
        paths[-1].write_text(json.dumps({"rows": [{"truncation": None, "numbers": [number(value, 100)]}]}))
    (table,) = compare([str(path) for path in paths]).tables
    assert [(r.group, r.checkpoint, r.values) for r in table.rows] == [("dcgan_digits", "given", [10.0, 12.0])]
    alone = tmp_path / "alone.json"
    alone.write_text(paths[0].read_text())
    (table,) = compare([str(alone)]).tables
    assert [(r.group, r.seeds) for r in table.rows] == [("alone", [None])]


def test_numbers_of_different_protocols_are_neither_pooled_nor_compared(tmp_path: Path) -> None:
    for seed, n in enumerate((100, 100, 200)):
        add_measurements(write_run(tmp_path / f"r{seed}", seed, [9.0]), [5.0 + seed], n_fake=n)
    result = compare([str(tmp_path / f"r{i}") for i in range(3)], metric="fd")
    assert [[r.values for r in table.rows if r.checkpoint == "last"] for table in result.tables] == [
        [[5.0, 6.0]],
        [[7.0]],
    ]
    assert (
        f"FD on training images is neither pooled nor compared between {tmp_path}/r0, {tmp_path}/r1 and "
        f"{tmp_path}/r2: n_fake is 100 and 200"
    ) in result.notes


@pytest.mark.parametrize(
    ("key", "value", "title"),
    [
        ("extractor", "pixels", "FD-pixels on training images (100 generated against 100 real, lower is better)"),
        (
            "data_digest",
            "cd",
            "FD-digits on training images (100 generated against 100 real, data_digest cd, lower is ",
        ),
    ],
)
def test_extractor_and_reference_are_part_of_the_protocol(key: str, value: str, title: str, tmp_path: Path) -> None:
    add_measurements(write_run(tmp_path / "r0", 0, []), [5.0])
    add_measurements(write_run(tmp_path / "r1", 1, []), [5.0], **{key: value})
    result = compare([str(tmp_path / "r0"), str(tmp_path / "r1")], metric="fd")
    assert [len(table.rows) for table in result.tables] == [2, 2]
    assert result.tables[1].title.startswith(title)
    said = f"FD on training images is neither pooled nor compared between {tmp_path}/r0 and {tmp_path}/r1: "
    assert f"{said}{key} is {PROTOCOL[key]} and {value}" in result.notes


def test_two_ways_to_measure_the_same_runs_need_no_note(tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = write_run(tmp_path / f"r{seed}", seed, [9.0])
        add_measurements(folder, [5.0])
        rows = [{"truncation": t, "numbers": [number(6.0, 100, low=5.0, truncation=t)]} for t in (None, 0.5)]
        (folder / "evaluation/000000000100-train-digits.json").write_text(json.dumps({"rows": rows}))
    result = compare([str(tmp_path)], metric="fd")
    assert [table.title for table in result.tables] == [
        "FD-digits on training images (100 generated against 100 real, lower is better)",
        "FD-digits on training images (100 generated against 100 real, truncation 0.5, lower is better)",
    ]
    assert not any("neither pooled" in note for note in result.notes)
