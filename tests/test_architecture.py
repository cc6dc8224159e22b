"""Imports point one way: every package imports from lower floors only, in functions and annotations too."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("packages", ROOT / "docs" / "packages.py")
assert spec is not None
assert spec.loader is not None
packages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(packages)
FLOORS: list[list[str]] = packages.FLOORS
imported = packages.imported
AUDIT_FLOORS = [
    ["findings"],
    ["statistics"],
    ["evidence"],
    ["questions", "zoo_model"],
    ["reporting", "comparison"],
    ["auditing"],
    ["planted"],
    ["opening", "__init__"],
    ["command", "benchmark"],
    ["__main__"],
]
FREE = {"models", "runs", "hub", "releases", "gan", "callbacks", "alarms", "integrations"}
"""What the audit must not know, except where a command opens a model: any generator can be audited."""


def room(name: str, level: int) -> str:
    """The package or file that a dotted name belongs to, at a level below the root."""
    parts = name.split(".")
    return parts[level] if len(parts) > level else "__init__"


def faults(root: Path, floors: list[list[str]], level: int) -> list[str]:
    """Imports that do not go down, and rooms that stand on no floor."""
    number = {name: i for i, names in enumerate(floors) for name in names}
    folder = root if level == 1 else root / "audit"
    found = []
    for path in sorted(folder.rglob("*.py")):
        here = path.relative_to(folder).with_suffix("").parts[0]
        if len(path.relative_to(folder).parts) > 1 and path.name == "__main__.py" and level == 1:
            here = "__main__"  # the command of a package stands where commands stand
        if here not in number:
            found.append(f"{path.relative_to(root)}: {here} is on no floor")
            continue
        for name in sorted(imported(path, root)):
            there = room(name, level)
            if level == 2 and not name.startswith("zoo.audit"):
                continue
            if there != here and number.get(there, 99) >= number[here]:
                found.append(f"{path.relative_to(root)} imports {name}")
    return found


def test_every_package_imports_from_lower_floors_only() -> None:
    assert faults(ROOT / "zoo", FLOORS, 1) == []


def test_the_rooms_of_the_audit_import_from_lower_floors_only() -> None:
    assert faults(ROOT / "zoo", AUDIT_FLOORS, 2) == []


def test_only_what_opens_a_model_for_an_audit_knows_models_and_runs() -> None:
    for path in sorted((ROOT / "zoo" / "audit").rglob("*.py")):
        if path.name not in ("opening.py", "zoo_model.py", "__main__.py"):
            assert not {room(name, 1) for name in imported(path, ROOT / "zoo")} & FREE, path.name


def test_no_circle_of_files() -> None:
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "zoo").rglob("*.py")
    }
    graph = {name: imported(path, ROOT / "zoo") & set(files) - {name} for name, path in files.items()}
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert graph == {}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("metrics/upward.py", "def f() -> None:\n    from zoo.gan import GAN\n"),
        ("metrics/typed.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from zoo import gan\n"),
        ("newcomer/first.py", "import math\n"),
        ("metrics/beside.py", "import zoo.training.clock\n"),
    ],
)
def test_the_test_itself_sees(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / "zoo" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (tmp_path / "zoo" / "training").mkdir()
    (tmp_path / "zoo" / "gan.py").write_text("")
    assert len(faults(tmp_path / "zoo", FLOORS, 1)) == 1


def test_few_files_lie_in_the_root() -> None:
    assert len(list((ROOT / "zoo").glob("*.py"))) <= 9


def test_no_file_is_named_for_nothing() -> None:
    names = {path.stem for path in (ROOT / "zoo").rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "base", "misc"}


def test_files_stay_readable() -> None:
    long = {path.name: n for path in (ROOT / "zoo").rglob("*.py") if (n := len(path.read_text().splitlines())) > 420}
    assert not long


def test_documents_name_files_that_exist() -> None:
    """A path such as tests/hub/test_converting.py in a document; NAME and TIME stand for the reader's own."""
    path = re.compile(
        r"\b(?:zoo|tests|docs|studies|benchmarks|examples|recipes|checkpoints)/[\w/.-]+\.(?:py|md|json|ipynb)"
    )
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")]
    assert len(documents) > 30
    named = {(each.name, found) for each in documents for found in path.findall(each.read_text(encoding="utf-8"))}
    missing = {(document, found) for document, found in named if not (ROOT / found).exists() and "NAME" not in found}
    assert not {each for each in missing if each[0] != "CHANGELOG.md"}  # which names files of earlier versions


def test_the_drawing_of_the_packages_is_that_of_the_code() -> None:
    text = packages.DOCUMENT.read_text(encoding="utf-8")
    assert packages.with_figures(text, ROOT / "zoo") == text, "run: python docs/packages.py"


def test_a_drawing_leaves_out_only_what_longer_paths_imply(tmp_path: Path) -> None:
    texts = {"fit.py": "import zoo.io.a\nimport zoo.errors\n", "io/a.py": "import zoo.errors\n", "errors.py": ""}
    for name, text in texts.items():
        (tmp_path / "zoo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "zoo" / name).write_text(text)
    assert packages.mermaid(tmp_path / "zoo").splitlines()[2:-1] == ["    commands --> io", "    io --> errors"]
