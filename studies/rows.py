"""The results file of a study: what is there is not computed again, and every row is saved as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from zoo.io.files import atomic_write

RESULTS = Path(__file__).parent / "results"


class Rows(list[dict[str, Any]]):
    """Rows of a JSON file, which also tells how they were made.

    Args:
        path: the file; its rows are read if it is there.
        protocol: the study's docstring.
        **about: more that holds for all rows; replaces what the file said of the same.
    """

    def __init__(self, path: Path, protocol: str | None, **about: Any) -> None:
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        super().__init__(found.pop("rows", []))
        self.path = path
        self.about = found | {"protocol": (protocol or "").strip(), "torch": torch.__version__} | about

    def has(self, **wanted: Any) -> bool:
        """Whether there is a row with these values."""
        return any(all(row.get(key) == value for key, value in wanted.items()) for row in self)

    def leave(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows and write the file, whole or not at all."""
        self.extend(rows)
        with atomic_write(self.path) as path:
            path.write_text(json.dumps({**self.about, "rows": self}, indent=1) + "\n")
