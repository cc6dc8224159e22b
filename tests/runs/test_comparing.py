"""The comparison of runs on records made by hand: pooling, intervals, protocols, and what is said."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from zoo.errors import UserError
from zoo.evaluation.metric_table import INCEPTION_LABELS, METRICS, OTHER_LABELS
from zoo.io.group_folder import GroupFolder
from zoo.runs.comparing.command import compare
from zoo.runs.comparing.comparison import Comparison, Row, Table
from zoo.runs.comparing.grouping import find_runs, group_runs
from zoo.runs.comparing.readings import HIGHER_IS_BETTER, LOWER_IS_BETTER
from zoo.runs.comparing.statistics import spread_of, welch_interval

PROTOCOL = {"extractor": "digits", "split": "train", "n_real": 100, "n_fake": 100, "data_digest": "ab", "seed": 0}


def write_run(folder: Path, seed: int, fd: list[float], width: int = 8, images: int = 300, **sections: Any) -> Path:
    """Write a run folder that has a recipe and a table of metrics: FD at 100, 200, ... images, and a loss."""
    folder.mkdir(parents=True)
    recipe = {
        "seed": seed,
        "images": images,
        "pretrained": "",
        "model": {"class": "DCGAN", "width": width, "seed": seed},
        "data": {"class": "Digits", "seed": seed},
        "trainer": {"precision": "32-true"},
        "callbacks": {"SampleMetrics": {"class": "SampleMetrics", "n": 100, "select": "fid"}},
        "loggers": {},
        **sections,
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    (folder / "environment.jsonl").write_text(json.dumps({"recipe": "dcgan_digits"}) + "\n")
    with open(folder / "metrics.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["images_seen", "metrics/FD-digits", "metrics/FD-digits-floor", "metrics/recall-digits", "d/a"])
        for i, value in enumerate(fd, 1):
            writer.writerow([100 * i, value, 1.0, value / 1000, -value])
    return folder


def number(value: float, images_seen: int, low: float | None = None, **protocol: Any) -> dict[str, Any]:
    """A number as `SampleMetrics` and `zoo.evaluate` write it, with a symmetric interval."""
    return {
        "key": "fid",
        "label": f"FD-{protocol.get('extractor', 'digits')}",
        "value": value,
        "low": low,
        "high": None if low is None else 2 * value - low,
        "floor": 1.5,
        "floor_n": [100, 100],
        "higher_is_better": False,
        "protocol": {**PROTOCOL, "images_seen": images_seen, **protocol},
    }


def add_measurements(folder: Path, values: list[float], **protocol: Any) -> None:
    """Write the record of `SampleMetrics`, at 100, 200, ... images."""
    rows = []
    for i, value in enumerate(values, 1):
        best = value == min(values[:i])
        rows.append({"images_seen": 100 * i, "best_so_far": best, "numbers": [number(value, 100 * i, **protocol)]})
    (folder / "evaluation").mkdir(exist_ok=True)
    (folder / "evaluation/training-digits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(comparison: Comparison, label: str, group: str, checkpoint: str, split: str = "train") -> Row:
    (table,) = [table for table in comparison.tables if (table.label, table.split) == (label, split)]
    (found,) = [row for row in table.rows if (row.group, row.checkpoint) == (group, checkpoint)]
    return found


# --- statistics ------------------------------------------------------------------------------------------------------


def test_mean_deviation_and_interval_of_one_two_three() -> None:
    """Mean 2, deviation 1, and t of 2 degrees of freedom from the tables: 4.303."""
    spread = spread_of([1.0, 2.0, 3.0])
    assert (spread.n, spread.mean, spread.deviation) == (3, 2.0, 1.0)
    assert spread.high is not None
    assert spread.high - 2 == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert spread.low == pytest.approx(4 - spread.high)


def test_one_seed_has_no_deviation() -> None:
    spread = spread_of([5.0])
    assert (spread.n, spread.mean, spread.deviation, spread.low, spread.high) == (1, 5.0, None, None, None)
    assert welch_interval([5.0], [1.0, 2.0]) is None


def test_the_interval_of_a_difference_is_welchs() -> None:
    first, second = [1.0, 2.0, 4.0], [7.0, 7.5]
    of_first, of_second = (7 / 3) / 3, 0.125 / 2  # variances over sizes
    freedom = (of_first + of_second) ** 2 / (of_first**2 / 2 + of_second**2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(of_first + of_second)
    assert welch_interval(first, second) == pytest.approx((7.25 - 7 / 3 - half, 7.25 - 7 / 3 + half))


def test_without_spread_an_interval_is_a_point(recwarn: pytest.WarningsRecorder) -> None:
    assert spread_of([0.1, 0.1, 0.1]).deviation == 0.0
    assert spread_of([2.0, 2.0]).low == spread_of([2.0, 2.0]).high == 2.0
    assert welch_interval([1.0, 1.0], [3.0, 3.0]) == (2.0, 2.0)
    assert welch_interval([0.1, 0.1, 0.1], [0.3, 0.3]) == pytest.approx((0.2, 0.2))
    low, high = welch_interval([1.0, 1.0], [3.0, 5.0]) or (math.nan, math.nan)
    half = stats.t.ppf(0.975, 1)  # the standard error is 1, of the second group alone
    assert (low, high) == pytest.approx((3 - half, 3 + half))
    assert not recwarn.list


def test_the_t_interval_covers_the_true_mean_in_95_of_100_experiments() -> None:
    draws = np.random.default_rng(0).normal(7.0, 2.0, (2000, 3))
    inside = [
        s.low <= 7.0 <= s.high for s in map(spread_of, draws.tolist()) if s.low is not None and s.high is not None
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


# --- tables of metrics -----------------------------------------------------------------------------------------------


def test_tables_made_by_hand_are_pooled_as_numpy_does(tmp_path: Path) -> None:
    curves = {0: [30.0, 10.0, 12.0], 1: [28.0, 14.0, 11.0], 2: [31.0, 9.0, 19.0]}
    for seed, fd in curves.items():
        write_run(tmp_path / f"r{seed}", seed, fd)
    result = compare([str(tmp_path)])
    values = np.array(list(curves.values()))

    last = row(result, "FD-digits", "dcgan_digits", "last")
    assert (last.seeds, last.values, last.images_seen) == ([0, 1, 2], [12.0, 11.0, 19.0], [300, 300, 300])
    assert last.spread.mean == pytest.approx(values[:, -1].mean())
    assert last.spread.deviation == pytest.approx(values[:, -1].std(ddof=1))
    best = row(result, "FD-digits", "dcgan_digits", "best")
    assert (best.values, best.images_seen) == ([10.0, 11.0, 9.0], [200, 300, 200])
    assert best.spread.deviation == 1.0
    recall = row(result, "recall-digits", "dcgan_digits", "best")  # at the best distance, not at the best recall
    assert recall.values == pytest.approx([0.01, 0.011, 0.009])

    (table, other) = result.tables
    assert (table.higher_is_better, other.higher_is_better) == (False, True)
    (curve,) = table.curves
    assert curve.images_seen == [100, 200, 300]
    assert curve.mean == pytest.approx(values.mean(0).tolist())
    assert curve.deviation == pytest.approx(values.std(0, ddof=1).tolist())


def test_a_loss_is_compared_by_the_name_of_its_column(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, [3.0, 1.0, 2.0])
    (table,) = compare([str(tmp_path / "a")], metric="d/a").tables
    assert [(r.checkpoint, r.values) for r in table.rows] == [("best", [-1.0]), ("last", [-2.0])]
    assert (table.higher_is_better, table.title) == (None, "d/a as logged")


@pytest.mark.parametrize("name", ["fd", "FD", "fid", "FD-digits"])
def test_a_metric_is_named_in_several_ways(name: str, tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, [3.0])
    assert [table.label for table in compare([str(tmp_path / "a")], metric=name).tables] == ["FD-digits"]


def test_a_name_that_no_run_recorded_is_answered(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, [3.0])
    with pytest.raises(UserError) as caught:
        compare([str(tmp_path / "a")], metric="recal-digits")
    assert str(caught.value) == "metric: no run recorded 'recal-digits'. Did you mean recall-digits?"


def test_the_directions_are_those_of_the_metrics() -> None:
    """A table without the records beside it has labels only; the directions are held against the metrics."""
    keys = {key: higher for spec in METRICS.values() for key, higher in spec.keys.items()}
    labels = {OTHER_LABELS.get(key, key) for key in keys} | set(INCEPTION_LABELS.values())
    assert labels == {*LOWER_IS_BETTER, *HIGHER_IS_BETTER}
    assert all(not keys[key] for key in LOWER_IS_BETTER.values())
    back = {label: key for key, label in [*OTHER_LABELS.items(), *INCEPTION_LABELS.items()]}
    assert all(keys[back.get(label, label)] for label in HIGHER_IS_BETTER)


# --- records of SampleMetrics and zoo.evaluate -----------------------------------------------------------------------


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


# --- groups ----------------------------------------------------------------------------------------------------------


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path: Path) -> None:
    for width in (8, 16):
        for seed in (0, 1):
            write_run(tmp_path / f"w{width}s{seed}", seed, [9.0], width)
    groups, notes = group_runs(find_runs([tmp_path])[0])
    assert notes == []
    found = {group.name: [run.seed for run in group.runs] for group in groups}
    assert found == {"model.width=16": [0, 1], "model.width=8": [0, 1]}


def test_runs_of_different_recipes_are_named_by_them(tmp_path: Path) -> None:
    """By the recipe alone where that tells them apart, otherwise with the settings that differ within a recipe."""
    for name, width in (("a", 8), ("b", 16), ("c", 32)):
        folder = write_run(tmp_path / name, 0, [9.0], width)
        if name != "a":
            (folder / "environment.jsonl").write_text(json.dumps({"recipe": "wgan_gp_digits"}) + "\n")
    groups, _ = group_runs(find_runs([tmp_path / "a", tmp_path / "b"])[0])
    assert [group.name for group in groups] == ["dcgan_digits", "wgan_gp_digits"]
    groups, _ = group_runs(find_runs([tmp_path])[0])
    assert [group.name for group in groups] == [
        "dcgan_digits",
        "wgan_gp_digits, model.width=16",
        "wgan_gp_digits, model.width=32",
    ]


def test_what_only_looks_at_a_run_does_not_part_it(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, [9.0])
    write_run(
        tmp_path / "b",
        1,
        [9.0],
        trainer={"precision": "32-true", "threads": 2},
        callbacks={"SampleGrid": {"class": "SampleGrid", "every": 9}, "SampleMetrics": {"class": "SampleMetrics"}},
    )
    write_run(tmp_path / "c", 2, [9.0], trainer={"precision": "bf16-mixed"})
    groups, _ = group_runs(find_runs([tmp_path])[0])
    assert [(group.name, len(group.runs)) for group in groups] == [
        ("trainer.precision=32-true", 2),
        ("trainer.precision=bf16-mixed", 1),
    ]


def test_a_seed_counts_once(tmp_path: Path) -> None:
    """A copy of a run is no second seed."""
    for name in ("a", "b"):
        write_run(tmp_path / name, 0, [9.0])
    write_run(tmp_path / "c", 1, [9.0])
    result = compare([str(tmp_path), str(tmp_path / "a")], metric="fd")
    assert row(result, "FD-digits", "dcgan_digits", "last").seeds == [0, 1]
    assert f"{tmp_path}/b has the settings and the seed of {tmp_path}/a, which alone is counted" in result.notes


def test_a_group_folder_stands_for_its_runs_and_the_missing_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("")
    GroupFolder(tmp_path / "g").write(tmp_path / "mine.yaml", {}, {"seed": ["0", "1", "2"]})
    with pytest.raises(UserError, match=r"is a group of which no run has begun: python -m zoo\.fit resume="):
        compare([str(tmp_path / "g")])
    write_run(tmp_path / "g/seed=1", 1, [9.0])
    result = compare([str(tmp_path / "g")], metric="fd")
    assert row(result, "FD-digits", "dcgan_digits", "last").seeds == [1]
    assert f"{tmp_path}/g: 2 of 3 runs have not begun: seed=0; seed=2" in result.notes
    assert "one seed: no deviation over training seeds. dcgan_digits" in result.notes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("training-digits.jsonl", '{"images_seen": 100, "numbers": [{"label": "FD-digits"}]}'),
        ("training-digits.jsonl", '{"images_seen": 100, "numbers": 7}'),
        ("training-digits.jsonl", '{"best_so_far": true}'),
        ("report-digits.json", '{"best": [1], "last": {}}'),
        ("report-digits.json", '{"best": {"numbers": [{"protocol": null, "value": 1}]}, "last": {}}'),
    ],
)
def test_damaged_numbers_are_an_error_that_names_the_file(name: str, content: str, tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", 0, [9.0]) / "evaluation" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(
        UserError, match=rf"{re.escape(str(path))} has numbers that cannot be read .*Move the file away"
    ):
        compare([str(tmp_path)])


def test_a_run_that_is_not_finished_is_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", 0, [9.0, 8.0])
    assert (
        f"{folder} has seen 200 of its 300 images; its last checkpoint is pooled as it is"
        in compare([str(folder)]).notes
    )


def test_a_run_without_numbers_is_left_out_and_said(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 0, [9.0])
    empty = write_run(tmp_path / "b", 1, [])
    only_loss = write_run(tmp_path / "c", 2, [])
    (only_loss / "metrics.csv").write_bytes(b"images_seen,d/a\r\n100,0.5\r\n")
    result = compare([str(tmp_path)], metric="fd")
    assert row(result, "FD-digits", "dcgan_digits", "last").seeds == [0]
    for folder in (empty, only_loss):
        assert f"{folder} recorded none of these numbers and is left out" in result.notes
    assert "one seed: no deviation over training seeds. dcgan_digits" in result.notes


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: None, "there is no run folder, group or file "),
        (lambda path: path.mkdir(), " is no run folder, and there are no runs in it; `python -m zoo.fit` makes them"),
        (lambda path: path.write_text("{}"), " holds no numbers of `python -m zoo.evaluate`. Give run folders, "),
        (
            lambda path: write_run(path, 0, []),
            "these runs recorded no metrics. Measure them with python -m zoo.evaluate",
        ),
    ],
)
def test_a_place_without_numbers_is_refused(make: Any, text: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(UserError) as caught:
        compare([str(tmp_path / "x")])
    assert text in str(caught.value)


# --- differences -----------------------------------------------------------------------------------------------------


def differences(tmp_path: Path, *groups: list[float]) -> tuple[Table, Comparison]:
    places = []
    for width, values in enumerate(groups, 1):
        for seed, value in enumerate(values):
            places.append(str(write_run(tmp_path / f"w{width}s{seed}", seed, [value], width, images=100)))
    result = compare(places, metric="fd")
    return result.tables[0], result


def test_groups_that_overlap_are_not_told_apart(tmp_path: Path) -> None:
    table, _ = differences(tmp_path, [10.0, 12.0, 14.0], [11.0, 12.0, 16.0])
    last = table.differences[-1]
    assert (last.group, last.baseline, last.checkpoint) == ("model.width=2", "model.width=1", "last")
    assert last.value == pytest.approx(1.0)
    assert last.verdict == "not told apart by 3 seeds"


def test_groups_that_do_not_overlap_are_told_apart_with_the_direction(tmp_path: Path) -> None:
    table, result = differences(tmp_path, [10.0, 10.1, 10.2], [5.0, 5.1], [20.0, 20.1])
    assert [d.verdict for d in table.differences if d.checkpoint == "last"] == [
        "lower, better (told apart by 3 and 2 seeds)",
        "higher, worse (told apart by 3 and 2 seeds)",
    ]
    assert "4 differences: one of 20 intervals of 95 % excludes 0 by chance, on average" in result.notes


def test_one_seed_tells_nothing_apart(tmp_path: Path) -> None:
    table, _ = differences(tmp_path, [10.0, 10.1], [5.0])
    assert [(d.low, d.high) for d in table.differences] == [(None, None)] * 2
    assert {d.verdict for d in table.differences} == {
        "one seed: no deviation over training seeds, so nothing tells the two apart"
    }
