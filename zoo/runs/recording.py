"""Write the recipe of a run into its folder, and refuse one of which a part is missing."""

from __future__ import annotations

from pathlib import Path

import yaml

from zoo.config.recipe import Recipe
from zoo.errors import CheckpointError
from zoo.io.files import atomic_write
from zoo.io.run_folder import RunFolder

HEAD = "# A run of"
LAST_SECTION = "loggers"


def record_recipe(run: RunFolder, recipe: Recipe) -> None:
    """Write the recipe as it runs, whole or not at all; a file that has the same content is left alone."""
    head = f"{HEAD} {recipe.name}, every default written out. Again: python -m zoo.fit recipe=THIS_FILE\n"
    text = head + recipe.to_yaml()
    if run.recipe.is_file() and run.recipe.read_bytes() == text.encode():
        return
    with atomic_write(run.recipe, sync=True) as scratch:
        scratch.write_text(text, encoding="utf-8")


def whole_recipe(path: Path) -> Path:
    """Return the path of a run's recipe after checking that its end is there.

    Earlier versions wrote the recipe in place, so a kill could leave its beginning. That may be valid YAML: a recipe
    without its last callbacks.

    Raises:
        CheckpointError: if the recipe was cut.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        content = yaml.safe_load(text) if text.startswith(HEAD) else None
    except yaml.YAMLError:  # reported with its place by whoever loads the recipe
        return path
    starts_like_a_record = HEAD.startswith(text[: len(HEAD)])  # also an empty file, and one cut within the first words
    if starts_like_a_record and (
        not isinstance(content, dict) or content.get(LAST_SECTION) is None or not text.endswith("\n")
    ):
        raise CheckpointError(
            f"{path} was cut: its last section, {LAST_SECTION}, is missing or incomplete ({len(text):,} characters are "
            "left). The command that started the run is in environment.jsonl beside it; with check=true it prints the "
            "recipe again, to be saved as this file"
        )
    return path
