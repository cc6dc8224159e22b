"""A folder with the pages of several generators, one copy of their runtime, and a page that leads to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from zoo.errors import UserError
from zoo.export.folders import check_free, new_folder
from zoo.export.page import INDEX, TEMPLATES, runtime_files, template_text, write_drawing, write_files
from zoo.gan import GAN
from zoo.rendering.pictures import grid, save
from zoo.rendering.templating import render
from zoo.runs.locating import report_name

RUNTIME_FOLDER = "runtime"
SAMPLES = "samples.png"
SHOWN, COLUMNS = 16, 8
"""Number of samples in the picture of a model, and in one of its rows."""


def write_gallery(folder: Path, places: Sequence[str], load: Callable[[str], GAN], runtime: str = "") -> float:
    """Write a folder with a page for each of several models; return the largest difference from a model.

    Args:
        folder: the folder, which must not exist or be empty. Each page is a folder in it, named like its model.
        places: what the user named: run folders, checkpoints or releases.
        load: function that loads the model from such a place.
        runtime: see `zoo.export.page.write_page`.

    Raises:
        UserError: for two models of one name, and where `write_page` raises it.
    """
    check_free(folder)
    names = [report_name(where) for where in places]
    for name in names:
        if names.count(name) > 1 or name == RUNTIME_FOLDER:
            raise UserError(
                f"checkpoint: the pages are folders named like their models, and {name!r} is taken by "
                f"{'the runtime' if name == RUNTIME_FOLDER else 'another one'}. Rename one of the folders or files"
            )
    files, models, largest = runtime_files(runtime), [], 0.0
    with new_folder(folder) as scratch:
        write_files(scratch / RUNTIME_FOLDER, files)
        for name, where in zip(names, places):
            model = load(where)
            (scratch / name).mkdir()
            facts, difference = write_drawing(scratch / name, where, model, f"../{RUNTIME_FOLDER}/", f"../#{name}")
            labels = [i % model.num_classes for i in range(SHOWN)] if model.num_classes else None
            save(grid(model.sample(SHOWN, seed=0, labels=labels), COLUMNS), scratch / name / SAMPLES)
            models.append(facts)
            largest = max(largest, difference)
        text = render(TEMPLATES / "gallery.html", models=models, samples=SAMPLES, look=template_text("look.css"))
        (scratch / INDEX).write_text(text, encoding="utf-8")
    return largest
