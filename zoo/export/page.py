"""A folder with a page that draws a generator's images in the browser, from any static server."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from markupsafe import Markup

from zoo.errors import UserError
from zoo.export.checking import largest_difference
from zoo.export.facts import Facts, facts_of
from zoo.export.folders import check_free, new_folder
from zoo.export.formats import write_onnx
from zoo.gan import GAN
from zoo.io.files import atomic_write, cache_folder, with_home
from zoo.rendering.templating import render

TEMPLATES = Path(__file__).with_name("templates")
INDEX = "index.html"
PACKAGE = "onnxruntime-web@1.22.0"
"""The runtime of the page, from npm; MIT licence."""
RUNTIME = {
    "ort.wasm.min.mjs": ("ort.js", "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265"),
    "ort-wasm-simd-threaded.mjs": ("runtime.js", "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8"),
    "ort-wasm-simd-threaded.wasm": ("runtime.wasm", "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4"),
}
"""Files of the package by their names there: the name in the folder of a page, and the SHA-256 digest."""
PATIENCE = 300
"""Seconds that npm is given to fetch the package."""


def write_page(folder: Path, where: str, model: GAN, runtime: str = "") -> float:
    """Write a folder with a page, the model as ONNX, and the runtime; return the largest difference from the model.

    Args:
        folder: the folder, which must not exist or be empty.
        where: what the user named: a run folder, a checkpoint or a release.
        model: the model that was loaded from there.
        runtime: the npm package `PACKAGE` as a .tgz file or an unpacked folder; empty for the one in the cache, or from
            npm.

    Raises:
        UserError: for a folder with files, latents that the page cannot draw, or a runtime that cannot be had.
    """
    check_free(folder)
    files = runtime_files(runtime)
    with new_folder(folder) as scratch:
        _, difference = write_drawing(scratch, where, model)
        write_files(scratch, files)
    return difference


def write_drawing(folder: Path, where: str, model: GAN, runtime: str = "./", back: str = "") -> tuple[Facts, float]:
    """Write the model as ONNX and the page that draws with it; return the facts and the largest difference.

    Args:
        folder: an empty folder.
        where: what the user named: a run folder, a checkpoint or a release.
        model: the model that was loaded from there.
        runtime: address of the folder of the runtime's files, as seen from the page.
        back: address of the page that leads to this one; empty for none.

    Raises:
        UserError: for latents that the page cannot draw, or an ONNX file that differs from the model.
    """
    generator = model.exportable("uint8")
    facts = facts_of(where, model, generator)
    if facts.latent == "other":
        raise UserError(
            f"format=html: {facts.model} draws its latents by code of its own, which a page cannot repeat. Export "
            "format=onnx, and give it latents yourself"
        )
    run = write_onnx(folder / "model.onnx", model, generator, facts)
    difference = largest_difference(model, generator, run, "model.onnx")
    (folder / INDEX).write_text(page(facts, runtime, back), encoding="utf-8")
    return facts, difference


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder, which is created.

    Args:
        folder: the folder.
        files: contents by name.
    """
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def page(facts: Facts, runtime: str = "./", back: str = "") -> str:
    """Return the text of the page; `write_drawing` has the arguments."""
    code = {name: template_text(f"{name}.js") for name in ("latents", "drawing")}
    # A name may contain "</script>"; "<" is written as an escape of JSON.
    plain = json.dumps(vars(facts)).replace("<", "\\u003c")
    places = {"runtime": runtime, "back": back, "look": template_text("look.css")}
    return render(TEMPLATES / "generator.html", facts=facts, facts_json=Markup(plain), **places, **code)


def template_text(name: str) -> Markup:
    """Return a style sheet or a script of the templates, as it stands in a page."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def runtime_files(runtime: str = "") -> dict[str, bytes]:
    """Return the files of the runtime by their names in the folder of a page, checked by their digests.

    Args:
        runtime: the npm package as a .tgz file or an unpacked folder; empty for the cache, or npm.

    Raises:
        UserError: if they cannot be had, or are others.
    """
    kept = cache_folder() / "runtime" / PACKAGE
    if runtime:
        found = _files_in(with_home(runtime))
    elif all((kept / name).is_file() for name in RUNTIME):
        found = _files_in(kept)
    else:
        found = _from_npm()
    for name, (_, digest) in RUNTIME.items():
        if name not in found or hashlib.sha256(found[name]).hexdigest() != digest:
            raise UserError(
                f"runtime: {runtime or kept} does not hold the {name} of {PACKAGE}. Fetch the package with "
                f"`npm pack {PACKAGE}`, and give the file: runtime=FILE.tgz"
            )
    for name, content in found.items():
        if not (kept / name).is_file():
            with atomic_write(kept / name) as scratch:
                scratch.write_bytes(content)
    return {RUNTIME[name][0]: content for name, content in found.items()}


def _files_in(place: Path) -> dict[str, bytes]:
    """Return those files of the runtime that a package holds, packed or unpacked."""
    if place.is_dir():
        paths = {name: next(iter(place.rglob(name)), None) for name in RUNTIME}
        return {name: path.read_bytes() for name, path in paths.items() if path is not None}
    if not place.is_file():
        raise UserError(
            f"runtime: there is no file or folder {place}. Give the package that `npm pack {PACKAGE}` fetches"
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(place.read_bytes())) as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            opened = {name: archive.extractfile(members[name]) for name in RUNTIME if name in members}
            return {name: file.read() for name, file in opened.items() if file is not None}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(
            f"runtime: {place} is no package of npm ({error}). Fetch it with `npm pack {PACKAGE}`"
        ) from error


def _from_npm() -> dict[str, bytes]:
    """Fetch the package with npm.

    Raises:
        UserError: if npm is missing or fails.
    """
    npm = shutil.which("npm")
    remedy = f"Fetch it elsewhere with `npm pack {PACKAGE}`, and give the file: runtime=FILE.tgz"
    if npm is None:
        raise UserError(f"format=html needs the package {PACKAGE} of npm, and npm is not installed. {remedy}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run([npm, "pack", PACKAGE], cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
        except (subprocess.SubprocessError, OSError) as error:
            raise UserError(f"npm could not fetch {PACKAGE} ({error}). {remedy}") from error
        packed = sorted(Path(folder).glob("*.tgz"))
        return _files_in(packed[0]) if packed else {}
