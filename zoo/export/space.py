"""A folder that runs as a Gradio Space of Hugging Face, or on any machine, without this library."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UserError
from zoo.export.checking import largest_difference
from zoo.export.facts import Facts, facts_of
from zoo.export.folders import check_free, new_folder
from zoo.export.formats import write_onnx
from zoo.gan import GAN
from zoo.hub.finding import find
from zoo.releases.references import Reference
from zoo.releases.release_format import CARD, CONFIG, GRID, OPTIONAL, WEIGHTS
from zoo.rendering.templating import render
from zoo.runs.locating import locate

TEMPLATES = Path(__file__).with_name("templates")
GRADIO = "6.31.0"
"""The version of Gradio that the page was tried with."""
REQUIREMENTS = f"gradio=={GRADIO}\nnumpy>=1.26\nonnxruntime>=1.22\npillow>=10.1\n"
LONGEST = 60
"""Characters of the short description that the hub takes."""
RELEASE = "release"
"""Folder of the release within that of the Space."""


def write_space(folder: Path, where: str, model: GAN) -> float:
    """Write the folder of a Space; return the largest difference of its ONNX file from the model.

    Args:
        folder: the folder, which must not exist or be empty.
        where: what the user named: a run folder, a checkpoint or a release.
        model: the model that was loaded from there.

    Raises:
        UserError: for a folder with files, or latents that the page cannot draw.
    """
    check_free(folder)
    generator = model.exportable("uint8")
    facts = facts_of(where, model, generator)
    if facts.latent == "other":
        raise UserError(
            f"format=space: {facts.model} draws its latents by code of its own, which a page cannot repeat. Export "
            "format=onnx, and give it latents yourself"
        )
    with new_folder(folder) as scratch:
        run = write_onnx(scratch / "model.onnx", model, generator, facts)
        difference = largest_difference(model, generator, run, "model.onnx")
        shutil.copyfile(TEMPLATES / "space_app.txt", scratch / "app.py")
        (scratch / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
        has_release = _copy_release(where, scratch / RELEASE)
        matter = front_matter(where, facts)
        text = render(TEMPLATES / "space_readme.md", front_matter=matter, facts=facts, has_release=has_release)
        (scratch / "README.md").write_text(text, encoding="utf-8")
    return difference


def front_matter(where: str, facts: Facts) -> str:
    """Return the front matter by which the hub starts a Space.

    Args:
        where: what the user named; a repository of the hub becomes the model that the Space is linked with.
        facts: facts about the generator.
    """
    location = locate(where)
    matter: dict[str, Any] = {
        "title": facts.name,
        "colorFrom": "green",
        "colorTo": "blue",
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "app_file": "app.py",
        "pinned": False,
        **({"license": facts.licence} if facts.licence else {}),
        **({"models": [location.name]} if isinstance(location, Reference) and location.kind == "hub" else {}),
        "short_description": f"Images by a {facts.model}, {facts.resolution} px"[:LONGEST],
    }
    return str(yaml.safe_dump(matter, sort_keys=False, allow_unicode=True))


def _copy_release(where: str, folder: Path) -> bool:
    """Copy the files of a release, and return whether there is one."""
    location = locate(where)
    found = find(location).folder if isinstance(location, Reference) else None
    if found is None or not (found / CONFIG).is_file():
        return False
    folder.mkdir()
    for name in (CONFIG, WEIGHTS, CARD, GRID, *OPTIONAL):
        if (found / name).is_file():
            shutil.copyfile(found / name, folder / name)
    return True
