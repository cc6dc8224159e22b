"""Pages that draw in the browser, for the gallery of the documentation site: made once, and kept in `build/pages`.

They are those of `python -m zoo.export checkpoint=A,B format=gallery`, so they share one copy of the runtime. Making
them takes seconds for each release and needs the extra `export`, npm and, the first time, a network; `ZOO_PLAYABLE`
says which are made. A page is made again when the weights, or what it is made by, have changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "pages"
RUNTIME = "runtime"
SOURCES = ("zoo/export", "zoo/gan.py", "zoo/layers", "zoo/models", "zoo/sampling", "zoo/rendering")
"""What the pages are made by."""
PACKAGES = ("torch", "onnx", "onnxscript")
CHOICE = "ZOO_PLAYABLE"
"""Environment variable: names of releases joined by commas, `all`, or `none`; without it, the pages that are kept."""
log = logging.getLogger("mkdocs.hooks.playable")


def pages_of(names: Sequence[str], releases: Path) -> dict[str, Path]:
    """Return the folders of the pages that there are, by the name of the release, and of the runtime as `runtime`.

    Args:
        names: the releases.
        releases: their folder.
    """
    asked = os.environ.get(CHOICE, "")
    if asked == "none":
        return {}
    chosen = names if asked in ("", "all") else [name.strip() for name in asked.split(",")]
    if unknown := sorted(set(chosen) - set(names)):  # a warning, which stops a strict build
        log.warning(f"{CHOICE}: all, none, or names of releases joined by commas; got {', '.join(unknown)}")
        chosen = [name for name in chosen if name in names]
    folder = KEPT / digest(made_by())
    kept = {name: folder / f"{name}-{digest(files_of(releases / name))}" for name in chosen}
    missing = [name for name in chosen if not kept[name].is_dir()]
    if asked and missing:
        make(missing, kept, folder / RUNTIME)
    found = {name: path for name, path in kept.items() if path.is_dir()}
    if len(found) < len(names):
        log.info(
            f"gallery: {len(found)} of {len(names)} releases have a page that draws in the browser; "
            f"{CHOICE}=all makes all of them"
        )
    return {**found, RUNTIME: folder / RUNTIME} if found else {}


def make(names: Sequence[str], kept: dict[str, Path], runtime: Path) -> None:
    """Make pages with the command that readers use, and keep them; say why if they cannot be made.

    Args:
        names: the releases.
        kept: the folder for the page of each.
        runtime: the folder for the runtime.
    """
    runtime.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runtime.parent) as scratch:
        made = Path(scratch) / "made"
        words = [f"checkpoint={','.join(f'zoo:{name}' for name in names)}", "format=gallery", f"out={made}"]
        done = subprocess.run([sys.executable, "-m", "zoo.export", *words], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            log.info(f"gallery: pages that draw in the browser cannot be made: {done.stderr.strip()}")
            return
        for source, place in [*((made / name, kept[name]) for name in names), (made / RUNTIME, runtime)]:
            if not place.is_dir():
                os.rename(source, place)
    for older in KEPT.iterdir():
        if older != runtime.parent:
            shutil.rmtree(older)


def made_by() -> list[str]:
    """Return the digests of the sources that make a page, and the versions of the packages."""
    found = [line for source in SOURCES for line in files_of(ROOT / source)]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return found


def files_of(place: Path) -> list[str]:
    """Return the name and the digest of a file, or of each file in a folder."""
    paths = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.suffix not in (".pyc", ""))
    return [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]


def digest(lines: Iterable[str]) -> str:
    """Return a short digest of lines."""
    return hashlib.sha256(json.dumps(list(lines)).encode()).hexdigest()[:16]
