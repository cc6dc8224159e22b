"""Tests of the run folder's paths and readers, and of the rule that only one module contains the file names."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest

import zoo
from zoo.io.files import atomic_write
from zoo.io.run_folder import RunFolder, checkpoints_in, run_of, watch_picture

FILE = re.compile(
    r"environment\.jsonl|ends\.jsonl|metrics\.csv|signals\.jsonl|events\.jsonl|recipe\.yaml|progress\.json|watch\.html"
    r"|evolution\.(png|gif)|\.ckpt|(checkpoints|best|healthy|samples|evaluation|alarms|watch|audit|tensorboard)/"
)
"""File names of a run folder, in any string."""

FOLDER = {"checkpoints", "best", "healthy", "samples", "evaluation", "alarms", "watch", "audit", "left", "tensorboard"}
"""Subfolders of a run folder. These words have other meanings too, so only those that are joined to a path count."""

ALLOWED = {
    "releases/release_format.py": {".ckpt"},  # an ending of pickles
    "releases/file_names.py": {"recipe.yaml"},  # a file of releases
    "releases/references.py": {
        "checkpoints",
        ".ckpt",
    },  # the folder of our releases; an ending that makes a text a path
}


def docstrings(tree: ast.AST) -> set[ast.Constant]:
    """Return every string that is a statement: docstrings, and the descriptions of constants."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def names_in(code: str) -> list[str]:
    """Return the strings of a module that contain file names of a run folder, or are joined to a path."""
    tree = ast.parse(code)
    ignored = docstrings(tree)
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    joined = {node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)}
    return [
        node.value
        for node in texts
        if node not in ignored and (FILE.search(node.value) or (node in joined and node.value in FOLDER))
    ]


def test_no_other_module_names_a_file_of_a_run_folder() -> None:
    package = Path(zoo.__file__).parent
    spelt = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name != "io/run_folder.py":
            spelt[name] = [text for text in names_in(path.read_text()) if text not in ALLOWED.get(name, ())]
    assert {name: texts for name, texts in spelt.items() if texts} == {}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("folder / 'best'", ["best"]),
        ("folder / 'alarms' / name", ["alarms"]),
        ("f'{folder}/recipe.yaml'", ["/recipe.yaml"]),
        ("print('see checkpoints/ of it')", ["see checkpoints/ of it"]),
        ("open('metrics.csv')", ["metrics.csv"]),
        ("'best' in report", []),
        ("def f():\n    'Write recipe.yaml.'", []),
        ("N = 3\n'''Kept of checkpoints/*.ckpt.'''", []),
    ],
)
def test_the_rule_sees_paths_and_no_words(code: str, names: list[str]) -> None:
    assert names_in(code) == names


# --- paths and readers -----------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_that_does_not_exist_reads_as_an_empty_run(run: RunFolder) -> None:
    readers = [run.starts, run.ends, run.checkpoints, run.best_checkpoints, run.healthy_checkpoints]
    assert [read() for read in [*readers, run.sample_grids, run.held_out_reports]] == [[]] * 7
    assert run.evaluations(run.checkpoint(8)) == []
    assert not run.path.exists()


def test_names_on_disk_stay_as_earlier_versions_wrote_them(run: RunFolder) -> None:
    checkpoint = run.checkpoint(512)
    paths = {
        run.recipe: "recipe.yaml",
        run.metrics_table: "metrics.csv",
        checkpoint: "checkpoints/000000000512.ckpt",
        run.best_checkpoint(512): "best/000000000512.ckpt",
        run.healthy_checkpoint(checkpoint.name): "healthy/000000000512.ckpt",
        run.sample_grid(512): "samples/000000000512.png",
        run.evolution_strip: "samples/evolution.png",
        run.evolution_animation: "samples/evolution.gif",
        run.training_metrics("digits"): "evaluation/training-digits.jsonl",
        run.held_out_report("digits"): "evaluation/report-digits.json",
        run.evaluation(checkpoint, "train", "digits"): "evaluation/000000000512-train-digits.json",
        run.signals: "alarms/signals.jsonl",
        run.events: "alarms/events.jsonl",
        run.watch_page: "watch.html",
        watch_picture(run.watch_page, "losses"): "watch/losses.png",
        run.audit: "audit",
    }
    assert {path.relative_to(run.path).as_posix() for path in paths} == set(paths.values())
    for path, name in paths.items():
        assert path == run.path / name


def test_checkpoints_are_ordered_by_images_and_what_a_kill_left_half_written_is_none(run: RunFolder) -> None:
    numbers = [2_000_000_000_000, 64, 8, 1_000]
    paths = [f(n) for n in numbers for f in (run.checkpoint, run.best_checkpoint)]
    paths += [run.healthy_checkpoint(f"{n:012d}.ckpt") for n in numbers]
    touched(*paths, run.checkpoint_folder / "notes.txt")
    for unfinished in (run.checkpoint(4_000), run.best_checkpoint(4_000), run.healthy_checkpoint("000000004000.ckpt")):
        kept: list[Path] = []
        with suppress(KeyError), atomic_write(unfinished) as scratch:
            touched(scratch)
            kept.append(scratch)
            raise KeyError
        touched(*kept)  # where a killed process would have left it
    assert [int(path.stem) for path in run.checkpoints()] == sorted(numbers, reverse=True)
    assert checkpoints_in(str(run.path)) == run.checkpoints()
    (left,) = run.unfinished_checkpoints()
    assert left.name.endswith(f".{run.checkpoint(4_000).name}")
    assert [int(path.stem) for path in run.best_checkpoints()] == sorted(numbers)
    assert [int(path.stem) for path in run.healthy_checkpoints()] == sorted(numbers)


def test_a_checkpoint_that_was_set_aside_is_kept_and_no_longer_listed(run: RunFolder) -> None:
    touched(run.checkpoint(8), run.checkpoint(16))
    moved = run.set_aside(run.checkpoint(16))
    assert moved.is_file()
    assert moved.name == run.checkpoint(16).name
    assert run.checkpoints() == [run.checkpoint(8)]


def test_a_checkpoint_with_a_name_of_its_own_is_not_the_newest(run: RunFolder) -> None:
    named = run.checkpoint_folder / "good.ckpt"
    touched(run.checkpoint(8), run.checkpoint(16), named)
    assert run.checkpoints() == [run.checkpoint(16), run.checkpoint(8), named]
    assert run.newer_than(8) == [run.checkpoint(16)]


def test_a_checkpoint_knows_its_run(run: RunFolder) -> None:
    for path in (run.checkpoint(8), run.best_checkpoint(8), run.healthy_checkpoint("000000000008.ckpt")):
        assert run_of(path) == run


def test_grids_are_listed_without_the_pictures_made_of_them(run: RunFolder) -> None:
    touched(run.sample_grid(64), run.sample_grid(8), run.evolution_strip, run.evolution_animation)
    assert run.sample_grids() == [run.sample_grid(8), run.sample_grid(64)]


def test_records_are_appended_and_half_a_line_is_left_out(run: RunFolder) -> None:
    run.path.mkdir()
    for number in range(2):
        run.record_start({"recipe": "dcgan_digits", "number": number})
    end = {"start": 1, "seconds": 0.5, "images_seen": 64}
    run.record_end(end)
    assert [start["number"] for start in run.starts()] == [0, 1]
    assert run.ends() == [end]
    (log,) = (path for path in run.path.iterdir() if "number" in path.read_text())
    log.write_text(log.read_text() + '{"recipe": "dcgan_di')
    assert [start["number"] for start in run.starts()] == [0, 1]


def test_reports_are_read_and_evaluations_belong_to_one_checkpoint(run: RunFolder) -> None:
    for name in ("digits", "pixels"):
        touched(run.held_out_report(name))
        run.held_out_report(name).write_text(json.dumps({"extractor": name}))
    assert [report["extractor"] for report in run.held_out_reports()] == ["digits", "pixels"]
    first, second = run.checkpoint(8), run.checkpoint(16)
    touched(*(run.evaluation(each, split, "digits") for each in (first, second) for split in ("train", "held_out")))
    assert [path.name for path in run.evaluations(first)] == [
        "000000000008-held_out-digits.json",
        "000000000008-train-digits.json",
    ]


def test_rows_of_another_file_are_no_starts_and_no_ends(run: RunFolder) -> None:
    start, end = {"recipe": "dcgan_digits"}, {"images_seen": 64, "seconds": 1.0, "start": 1}
    run.path.mkdir()
    for record in (start, end):
        run.record_start(record)
        run.record_end(record)
    assert (run.starts(), run.ends()) == ([start], [end])


def test_a_record_of_an_end_without_its_numbers_is_no_end(run: RunFolder) -> None:
    """A flipped bit in `seconds` was a KeyError when a release was packed: found by `tests/fuzz/damaged.py`."""
    run.path.mkdir()
    for record in ({"images_seen": 64, "sebonds": 1.0}, {"images_seen": 64, "seconds": "1"}, {"seconds": 1.0}):
        run.record_end(record)
    assert run.ends() == []
