"""The dependencies that `pyproject.toml` declares: row M11."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
tomllib: Any = pytest.importorskip("tomllib")


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {(found := Requirement(line)).name: found for line in lines}


def test_every_dependency_has_a_lowest_version_which_ci_installs() -> None:
    """Row M11: without one, the lowest version is whatever was published first; `.ci/lowest` installs the bounds."""
    found = requirements()
    assert [name for name, r in found.items() if not any(s.operator in (">=", "==") for s in r.specifier)] == []
    assert "--resolution lowest-direct" in (ROOT / ".ci/lowest").read_text()
    assert "bash .ci/lowest" in (ROOT / ".github/workflows/ci.yml").read_text()


@pytest.mark.parametrize(
    ("name", "too_old"),
    [
        ("pillow", "10.0.1"),  # ImageFont.load_default takes a size from 10.1 on
        ("tensorboard", "2.16.0"),  # it requires a nightly TensorFlow
        ("rich", "13.7.0"),  # an older one (13.7) writes an empty line to stderr at the end of a run
        ("matplotlib", "3.10.0"),  # warns when imported beside a current pyparsing
    ],
)
def test_versions_that_failed_are_excluded(name: str, too_old: str) -> None:
    """Row M11: each of these failed a test when the lower bounds were installed."""
    assert Version(too_old) not in requirements()[name].specifier
