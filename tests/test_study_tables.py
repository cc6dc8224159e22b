"""Tables of studies: numbers over training seeds as text, ideas beside their parents, strengths of augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import adaptive_augmentation
import ideas
import penalty_strength
import question_tables
from tables import markdown, mean_and_deviation, mean_and_range, write_between


def test_numbers_over_seeds_are_text() -> None:
    assert mean_and_deviation([]) == mean_and_range([]) == ""
    assert mean_and_deviation([4.0], "{:.1f}") == mean_and_range([4.0, 4.01], "{:.1f}") == "4.0"
    assert mean_and_deviation([1.0, 2.0, 3.0], "{:.2f}") == "2.00 ± 1.00"
    assert mean_and_range([1.0, 2.0, 6.0], "{:.0f}") == "3 (1 to 6)"


def test_a_table_replaces_what_stood_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    write_between(page, "<!-- a -->", "<!-- b -->", markdown(["x", "y"], [["1", "2"]]))
    assert page.read_text() == "before\n<!-- a -->\n| x | y |\n|---|---|\n| 1 | 2 |\n<!-- b -->\nafter\n"


def test_an_idea_is_compared_with_its_parent_seed_by_seed() -> None:
    def row(idea: str, seed: int, fd: float, *alarms: str) -> dict[str, Any]:
        numbers = {"fd": fd, "coverage": 0.5}
        return {"idea": idea, "seed": seed, "images": 10, **numbers, "alarms": list(alarms)}

    rows = [row("dcgan", 0, 200.0), row("dcgan", 1, 300.0), row("lecam", 0, 190.0, "overfitting", "overfitting")]
    rows += [row("lecam", 1, 270.0), {"idea": "acgan", "seed": 0, "images": 10, "ended": "infinite", "alarms": []}]
    rows += [row("lecam", 2, 1.0) | {"images": 99}]
    lines = ideas.table(rows, images=10, costs={"lecam": {"of_parent": 1.134}})[2:]
    assert lines == [
        "| **`dcgan`** | 2 | 250 ± 71 |  | 0.50 ± 0.00 |  | none |",
        "| `acgan` | 1 |  |  |  |  | not finite in 1 of 1 |",
        "| `lecam` | 2 | 230 ± 57 | -20 ± 14 | 0.50 ± 0.00 | 1.1x | overfitting in 1 of 2 |",
    ]


def test_the_table_of_augmentations_has_the_strength_and_the_training_images_themselves() -> None:
    def row(kind: str, seed: int, gap: float, *end: float) -> dict[str, Any]:
        course = [[64, 0.0, 0.0], [128, *end]] if end else []
        own = {"data": "emoji", "kind": kind, "seed": seed, "train": 504, "gap": gap, "gap_plain": 0.8, "fd": 1_000.0}
        return {**own, "coverage": 0.25, "course": course, "of_training_images": {"fd": 300.0, "coverage": 0.9}}

    rows = [row("none", 0, 0.9), row("adaptive", 0, 0.5, 0.25, 0.5), row("adaptive", 1, 0.7, 0.75, 0.5)]
    strength = "0.50 ± 0.35, 0.50 ± 0.00"
    assert adaptive_augmentation.table(rows)[2:] == [
        "| 504 emoji | none | 1 | 0.90 | 0.80 | 1,000 | 0.250 |  |",
        f"| 504 emoji | adaptive | 2 | 0.60 ± 0.14 | 0.80 ± 0.00 | 1,000 ± 0 | 0.250 ± 0.000 | {strength} |",
        "| emoji | the training images themselves |  |  |  | 300 | 0.900 |  |",
    ]


def test_the_table_of_strengths_begins_with_the_weakest_and_names_what_falls() -> None:
    def row(weight: float, final: float, seed: int, recall: float) -> dict[str, Any]:
        numbers = {key: {"value": 0.5} for key in ("fid", "precision", "coverage")} | {"recall": {"value": recall}}
        return {"weight": weight, "final": final, "seed": seed, "readable": 0.9, **numbers}

    rows = [row(3.0, 1.0, 0, 0.2), row(3.0, 1.0, 1, 0.4), row(1.0, 0.1, 0, 0.1)]
    assert penalty_strength.table(rows)[2:] == [
        "| 1, falling to 0.1 | 1 | 0.50 | 0.50 | 0.10 | 0.50 | 90.0 |",
        "| 3 | 2 | 0.50 ± 0.00 | 0.50 ± 0.00 | 0.30 ± 0.14 | 0.50 ± 0.00 | 90.0 ± 0.0 |",
    ]


def test_the_m_at_a_half_lies_between_its_neighbours_in_the_logarithm() -> None:
    course = {10: 0.9, 100: 0.75, 10_000: 0.25}  # a half is midway between 100 and 10,000: at 1,000
    rows = [{"parameters": 50, "seed": 0, "m": m, "distance": distance} for m, distance in course.items()]
    never = [{"parameters": 60, "seed": 0, "m": m, "distance": 0.9} for m in course]
    assert question_tables.known_images(rows + never)[2:] == ["| 50 | 1 | 1,000 |"]
    rows += [{"parameters": 50, "seed": 1, "m": m, "distance": distance} for m, distance in ((10, 0.5), (1_000, 0.49))]
    assert question_tables.known_images(rows)[2:] == ["| 50 | 2 | 505 ± 700 |"]


def test_the_table_of_blends_has_the_first_and_the_last_moment() -> None:
    def moment(images: int, fd: float, pull: float) -> dict[str, Any]:
        scores = {"generated": -1.0, "held_out": 1.0, "negatives": -1.0}
        return {"images": images, "fd": fd, "coverage": 0.5, "score": scores, "pull": pull}

    def row(kind: str, seed: int, fd: float) -> dict[str, Any]:
        return {
            "kind": kind,
            "seed": seed,
            "course": [moment(1_000, 30.0, 0.5), moment(9, 7.0, 0.1), moment(9, fd, 0.25)],
        }

    head, _, *lines = question_tables.blends([row("rising", 0, 20.0), row("gan", 0, 2.0), row("gan", 1, 4.0)])
    assert "distance at 1,000 images" in head
    usual = "30.0 ± 0.0 | 3.0 ± 1.4 | 0.50 ± 0.00 | -1.0 ± 0.0 | 1.0 ± 0.0 | -1.0 ± 0.0 | 0.50 ± 0.00, 0.25 ± 0.00"
    assert lines == [
        f"| the generator's images (the usual game) | 2 | {usual} |",
        "| `rising`: blends, ever closer to real images | 1 | 30.0 | 20.0 | 0.50 | -1.0 | 1.0 | -1.0 | 0.50, 0.25 |",
    ]
