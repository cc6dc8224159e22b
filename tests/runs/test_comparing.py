"""The comparison of runs on tables of metrics made by hand: pooling, names, directions, differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.compared_runs import row, write_run
from zoo.errors import UserError
from zoo.evaluation.metric_table import INCEPTION_LABELS, METRICS, OTHER_LABELS
from zoo.runs.comparing.command import compare
from zoo.runs.comparing.comparison import Comparison, Table
from zoo.runs.comparing.readings import HIGHER_IS_BETTER, LOWER_IS_BETTER

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
