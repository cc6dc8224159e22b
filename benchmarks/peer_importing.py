"""Import other people's repositories as they lie in a folder, without installing them or changing a file of theirs."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


class Placeholders(MetaPathFinder, Loader):
    """Finder that supplies empty modules for packages which a repository imports and the measured code does not use.

    Every public name in such a module is an empty class.

    Args:
        names: names of the packages; their submodules are supplied as well.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return a spec for a module of these packages, None for any other."""
        if any(name == root or name.startswith(f"{root}.") for root in self.names):
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the empty module."""
        module = ModuleType(spec.name)
        module.__getattr__ = _empty_class  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


def _empty_class(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


@contextlib.contextmanager
def importing(folder: Path, placeholders: Sequence[str] = ()) -> Iterator[None]:
    """Let imports find the modules of a repository, and forget them at the end.

    Several repositories have a module `utils` or `models`, so each is imported by itself: modules of the same names are
    put aside before and put back afterwards. What the repository's modules print is dropped.

    Args:
        folder: the repository.
        placeholders: packages that are replaced by empty ones, see `Placeholders`.
    """
    roots = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"} | {*placeholders}

    def taken() -> dict[str, ModuleType]:
        return {
            name: sys.modules.pop(name)
            for name in list(sys.modules)
            if name.partition(".")[0] in roots or name in placeholders
        }

    aside, finder = taken(), Placeholders(placeholders)
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, finder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.meta_path.remove(finder)
        sys.path.remove(str(folder))
        taken()
        sys.modules.update(aside)
        for name in placeholders:  # importing a.b also made b an attribute of a
            parent, _, leaf = name.rpartition(".")
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(leaf, None)
                vars(sys.modules[parent]).update({leaf: aside[name]} if name in aside else {})


def commit_of(folder: Path) -> str:
    """Return the commit of a repository: from git, or from its file `.commit` if it was unpacked; else "unknown"."""
    if (folder / ".git").exists():
        command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    written = folder / ".commit"
    return written.read_text().strip() if written.is_file() else "unknown"
