"""The files of a group: runs of one recipe that differ in seed or settings. No other module contains their names.

GROUP/
  plan/plan.json              the settings that all runs share, and the grid
  plan/RECIPE.yaml            the recipe as it was when the group began
  plan/codes.jsonl            the exit code of each run that came to an end
  NAME/                       the run folder of each run, such as model.width=32,seed=0
  run.lock                    which process trains the group, while it does
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError
from zoo.io.files import append_jsonl, atomic_write, read_jsonl
from zoo.io.run_folder import RunFolder

Grid = dict[str, list[str]]
"""Values of each setting that differs between the runs of a group, as they were typed, by the setting's dotted name."""


def run_names(grid: Grid) -> dict[str, dict[str, str]]:
    """Return the settings of each run by the name of its folder; the last setting of the grid changes fastest.

    Example:
        >>> list(run_names({"model.width": ["32", "64"], "seed": ["0", "1"]}))[:3]
        ['model.width=32,seed=0', 'model.width=32,seed=1', 'model.width=64,seed=0']
    """
    points = [dict(zip(grid, values)) for values in product(*grid.values())]
    return {",".join(f"{key}={value}" for key, value in point.items()): point for point in points}


@dataclass(frozen=True)
class GroupFolder:
    """Paths, readers and writers of the folder of a group; the folder and its files need not exist.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def plan(self) -> Path:
        """The plan. A folder that has this file is the folder of a group."""
        return self.path / "plan" / "plan.json"

    @property
    def is_group(self) -> bool:
        """Whether the folder is that of a group."""
        return self.plan.is_file()

    def write(self, recipe: Path, overrides: dict[str, Any], grid: Grid) -> Path:
        """Write the plan, with a copy of the recipe's file; return the path of the copy.

        Args:
            recipe: the recipe's file, or the copy that an earlier start made.
            overrides: plain values that all runs share in place of the recipe's.
            grid: the grid.
        """
        self.plan.parent.mkdir(parents=True, exist_ok=True)
        copy = self.plan.with_name(recipe.name)
        if copy != recipe:
            with atomic_write(copy) as scratch:
                shutil.copyfile(recipe, scratch)
        with atomic_write(self.plan, sync=True) as scratch:
            content = {"recipe": recipe.name, "overrides": overrides, "grid": grid}
            scratch.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return copy

    def read(self) -> tuple[Path, dict[str, Any], Grid]:
        """Return the path of the recipe's copy, the shared overrides and the grid.

        Raises:
            CheckpointError: if the plan is damaged, or the copy of the recipe is missing.
        """
        try:
            content = json.loads(self.plan.read_text(encoding="utf-8"))
            recipe, overrides, grid = content["recipe"], content["overrides"], content["grid"]
            whole = isinstance(overrides, dict) and all(
                isinstance(value, str) for values in grid.values() for value in values
            )
            path = self.plan.with_name(Path(recipe).name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole or not grid:
            raise CheckpointError(f"{self.plan} is damaged, so the group cannot be read. Restore it from a copy")
        if not path.is_file():
            raise CheckpointError(f"{path}, the recipe of the group, is missing. Restore it from a copy")
        return path, overrides, grid

    def runs(self) -> dict[str, Path]:
        """Return the run folders by their names, in the order of the plan; they need not have begun."""
        return {name: self.path / name for name in run_names(self.read()[2])}

    def codes(self) -> dict[str, int]:
        """Return the last exit code of each run that came to an end, by its name."""
        return {str(row.get("run")): int(row.get("code", 0)) for row in read_jsonl(self.path / "plan" / "codes.jsonl")}

    def record_end(self, name: str, code: int) -> None:
        """Record the exit code of a run that came to an end."""
        append_jsonl(self.path / "plan" / "codes.jsonl", [{"run": name, "code": code}])


def group_hint(path: Path) -> str:
    """Return what to give in place of the folder of a group where a single run belongs; empty for another folder."""
    group = GroupFolder(path)
    if not group.is_group:
        return ""
    runs = group.runs()
    begun = [str(run) for run in runs.values() if RunFolder(run).recipe.is_file()]
    name = f": name one of them, such as {begun[0]}" if begun else ", none of which has begun"
    return f"{path} is a group of {len(runs)} runs{name}"
