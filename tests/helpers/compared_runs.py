"""Run folders with records made by hand, and the rows of their comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from zoo.runs.comparing.comparison import Comparison, Row

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
