"""What a planned run starts from: random weights, or a release of its size and colour."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zoo.config.recipe import Recipe
from zoo.releases.references import release_names, releases_folder
from zoo.runs.finetuning import read_source
from zoo.runs.photos.choices import GIVEN, Line
from zoo.runs.photos.models import SETTINGS, Candidate

SHAPES = (
    "resolution",
    "channels",
    "latent_dim",
    "width",
    "width_base",
    "widths",
    "blocks",
    "group_size",
    "kernel_size",
)
"""Settings that decide whether weights fit."""
HELPS = "it helps at first (studies/README.md#fine-tuning-on-few-images)"


def settings_of_start(pretrained: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a model needs to take the weights that the user named; none without.

    Args:
        pretrained: release or run; empty for random weights.
        overrides: nested settings of the user.
    """
    if not pretrained:
        return {}
    source = read_source(pretrained)
    if source.class_name not in SETTINGS:
        return {}
    shape = {name: source.settings[name] for name in SHAPES if name in source.settings}
    if source.class_name == "ProGAN":
        shape["initial_resolution"] = shape["resolution"]  # its blocks are trained already
    model = {"class": source.class_name, **shape}
    model_given = overrides.get("model") or {}
    return {"model": {key: value for key, value in model.items() if key not in model_given}}


def start_line(recipe: Recipe, chosen: Candidate) -> Line:
    """Return the line of the plan about the weights at the start."""
    if recipe.pretrained:
        return Line("start", str(recipe.pretrained), GIVEN)
    fitting = [name for name in release_names() if fits(name, recipe, chosen)]
    if not fitting:
        return Line("start", "random weights", "no release has this model, size and colour; pretrained= names a run")
    names = " or ".join(f"pretrained={name}" for name in fitting)
    return Line("start", "random weights", f"{names} starts from a release of this model, size and colour; {HELPS}")


def fits(name: str, recipe: Recipe, chosen: Candidate) -> bool:
    """Return whether a release has the model, the resolution and the channels of a recipe."""
    path = releases_folder() / name / "config.json"
    if not path.is_file():
        return False
    config = json.loads(path.read_text(encoding="utf-8"))
    theirs = config["arguments"]
    own = recipe.model.arguments
    return str(config["class"]).rpartition(".")[2] == chosen.name and all(
        theirs.get(key) == own[key] for key in ("resolution", "channels")
    )
