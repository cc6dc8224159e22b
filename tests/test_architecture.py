"""Imports point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "zoo"
ALLOWED: dict[str, set[str]] = {
    "files": set(),
    "errors": set(),
    "batch": {"errors"},
    "clock": set(),
    "terms": set(),
    "contract": {"batch", "errors"},
    "augment": {"batch", "errors"},
    "average": {"clock"},
    "objectives": {"batch"},
    "sampling": {"gan"},  # for annotations only
    "settings": {"errors"},
    "pictures": {"files"},
    "checkpoint": {"errors"},
    "replicas": set(),
    "publishing": {"gan", "hub"},  # for annotations, and inside its methods
    "freezing": set(),
    "gan": {
        "augment", "average", "batch", "clock", "contract", "errors", "freezing", "objectives", "publishing",
        "replicas", "sampling", "terms",
    },
    "blocks": {"blocks"},
    "duality": {"batch", "blocks", "data", "errors", "freezing", "gan", "objectives", "sampling"},
    "models": {"average", "gan", "objectives", "batch", "classes", "clock", "errors", "blocks", "models", "sampling"},
    "data": {"files", "batch", "clock", "errors", "data"},
    "features": {"files", "clock", "data", "errors", "features", "settings"},
    "metrics": {"errors", "metrics"},
    "audit": {"audit", "batch", "data", "errors", "features", "files", "metrics", "page", "pictures", "sampling"},
    "evaluation": {"files", "clock", "data", "errors", "evaluation", "features", "metrics"},
    "page": set(),
    "alarms": {
        "alarms", "augment", "batch", "blocks", "checkpoint", "clock", "data", "errors", "features", "files", "gan",
        "objectives", "sampling", "terms",
    },
    "callbacks": {
        "alarms", "files", "batch", "callbacks", "checkpoint", "clock", "data", "duality", "errors", "evaluation",
        "features", "gan", "metrics", "models", "pictures", "replicas", "sampling", "terms",
    },
    "hub": {
        "callbacks", "checkpoint", "classes", "command", "data", "errors", "files", "gan", "hub", "models", "pictures",
        "run", "settings",
    },
    "bolts": {"batch", "callbacks", "errors", "sampling"},
}  # fmt: skip
COMMANDS = {"audit/__main__.py", "audit/opening.py"}  # these put a command together, and may know everything


def imported(path: Path) -> set[str]:
    """First-level parts of the zoo that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "zoo":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zoo."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("zoo.")}
    return found


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_each_part_imports_only_what_it_may(part: str) -> None:
    files = [PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").exists() else sorted((PACKAGE / part).rglob("*.py"))
    assert files
    for file in files:
        if str(file.relative_to(PACKAGE)) not in COMMANDS:
            assert imported(file) <= ALLOWED[part], file.name


def test_no_file_is_named_for_nothing() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "base", "misc"}


def test_files_stay_readable() -> None:
    long = {path.name: n for path in PACKAGE.rglob("*.py") if (n := len(path.read_text().splitlines())) > 380}
    assert not long
