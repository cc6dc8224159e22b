"""Which runs a comparison takes as one group, and which it refuses, leaves out or names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.compared_runs import row, write_run
from zoo.errors import UserError
from zoo.io.group_folder import GroupFolder
from zoo.runs.comparing.command import compare
from zoo.runs.comparing.grouping import find_runs, group_runs


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
