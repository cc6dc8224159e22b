"""CONTRIBUTING.md names the files of each kind of change: an example of every kind, made in a copy of the package."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.additions import ADDITIONS, Addition
from tests.test_architecture import AUDIT_FLOORS, faults

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.xdist_group("contributing")  # one worker copies the package and uses the additions
HEAD = "import torch, zoo\ntorch.set_num_threads(1)\n"


def rows() -> dict[str, str]:
    """The table of CONTRIBUTING.md: the files named for each kind of change, as one text."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.split("| kind of change |")[1].split("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {cell[0].strip(): "|".join(cell[1:3]) for cell in cells}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of package, recipes and the small release, with every addition made."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("zoo", "recipes", "docs"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
    shutil.copytree(ROOT / "checkpoints", root / "checkpoints", ignore=shutil.ignore_patterns("progan_*", "*.png"))
    for addition in ADDITIONS:
        addition.apply(root)
    return root


@pytest.fixture(scope="module")
def results(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What came of using each addition: an empty text, or the traceback. One process uses all of them."""
    folder = tmp_path_factory.mktemp("use")
    script = [HEAD, "import traceback", "results = {}"]
    for addition in ADDITIONS:
        script += ["try:", f"    exec({addition.use!r}, dict(torch=torch, zoo=zoo))", "    print('USED', end=' ')"]
        script += ["except BaseException:", "    traceback.print_exc(file=sys.stdout)"]
        script += [f"print('END {addition.kind}')"]
    (folder / "use.py").write_text("import sys\n" + "\n".join(script))
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "use.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    texts: dict[str, str] = {}
    for text, kind in re.findall(r"(.*?)END ([^\n]+)\n", done.stdout, re.DOTALL):
        texts[kind] = "" if text.strip().endswith("USED") else text + done.stderr
    return texts


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda addition: addition.kind)
def test_an_addition_works(addition: Addition, results: dict[str, str]) -> None:
    assert results[addition.kind] == ""


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda addition: addition.kind)
def test_an_addition_touches_the_files_that_are_named(addition: Addition) -> None:
    named = re.findall(r"`((?:zoo|recipes|docs)/[^`]+)`", rows()[addition.kind])
    for path in addition.touched:
        assert any(re.fullmatch(re.escape(name).replace("NAME", r"\w+?"), path) for name in named), path
    assert len(addition.touched) == len(set(named))


def test_every_kind_of_the_table_has_an_example() -> None:
    assert [addition.kind for addition in ADDITIONS] == list(rows())


def test_the_additions_keep_the_floors(copy: Path) -> None:
    floors = runpy.run_path(str(copy / "docs" / "packages.py"))["FLOORS"]
    assert faults(copy / "zoo", floors, 1) == []
    assert faults(copy / "zoo", AUDIT_FLOORS, 2) == []
