"""Write a release folder from a model: weights, configuration, card and sample grid."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from zoo.config.settings import check_settings
from zoo.errors import ReleaseError
from zoo.io.files import sha256_of
from zoo.releases import references, release_format, weights
from zoo.releases.card import card, checked
from zoo.releases.release_format import ReleasableModel
from zoo.rendering import pictures
from zoo.sampling.grids import draw

SEED = 0  # of every card's grid; fixed once for all, so that none can be picked


def write_release(
    model: ReleasableModel,
    folder: Path,
    *,
    dtype: str = "float32",
    about: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    recipe: str | None = None,
) -> Path:
    """Write all files of a release; the folder holds the old ones or all of the new ones.

    The grid is drawn by the model as it is read back from the file, so weights rounded for storage are shown as such.

    Raises:
        ReleaseError: when the model cannot be released, or the folder holds something else.
    """
    folder = folder.absolute()
    refuse_other_folders(folder)
    about = checked(about or {})
    building = release_format.building_part(model, dtype)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        scratch.mkdir(parents=True)
        file = scratch / release_format.WEIGHTS
        weights.write(file, release_format.tensors_of(model, dtype), {release_format.HEADER_KEY: json.dumps(building)})
        loaded = as_stored(model, building, file)
        grid, facts = draw_grid(loaded)
        pictures.save(grid, scratch / release_format.GRID)
        if metrics is not None:
            release_format.write_text(scratch / release_format.METRICS, json.dumps(metrics, indent=2) + "\n")
        if recipe is not None:
            release_format.write_text(scratch / release_format.RECIPE, recipe)
        files = {
            path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(scratch.iterdir())
        }
        images = {key: getattr(loaded, key) for key in ("resolution", "channels", "num_classes")}
        ours = (folder.parent / references.INDEX).is_file()  # loaded by its bare name
        about = {"name": folder.name, **({} if ours else {"where": f"./{folder.name}"}), **about}
        config = {**building, "images": images, "about": about, "grid": facts, "files": files}
        release_format.write_text(scratch / release_format.CARD, card(config, metrics))
        release_format.write_text(scratch / release_format.CONFIG, json.dumps(config, indent=2) + "\n")
        _put(scratch, folder)
    except OSError as error:
        raise ReleaseError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def as_stored(model: ReleasableModel, building: dict[str, Any], file: Path) -> ReleasableModel:
    """Build a second model of the same class from a release's arguments and weights.

    Args:
        model: what is being released; unchanged.
        building: the arguments, as `release_format.building_part` gives them.
        file: the weights, rounded for storage.
    """
    values, _ = check_settings(type(model), building["arguments"], "", complete=False)
    with torch.random.fork_rng(devices=[]):
        twin = type(model)(**values)
    release_format.fill(twin, weights.read(file), building)
    return twin


def refuse_other_folders(folder: Path) -> None:
    """A release goes into a new folder, an empty one, or over another release.

    Raises:
        ReleaseError: otherwise.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        release_format.read_config(folder / release_format.CONFIG)  # other libraries call theirs config.json, too
    except ReleaseError as error:
        raise ReleaseError(f"{folder} holds something that is no release; choose another folder") from error


def _put(scratch: Path, folder: Path) -> None:
    """Move finished files into place. Over an old release the configuration goes first and comes last: a folder
    without one is no release, so a mixture of two never is.
    """
    if not folder.exists():
        os.replace(scratch, folder)
        return
    (folder / release_format.CONFIG).unlink(missing_ok=True)
    for name in (
        release_format.WEIGHTS,
        release_format.CARD,
        release_format.METRICS,
        release_format.GRID,
        release_format.RECIPE,
        release_format.AUDIT,
        release_format.AUDIT_PAGE,
    ):
        (folder / name).unlink(missing_ok=True)
    for path in sorted(scratch.iterdir(), key=lambda path: path.name == release_format.CONFIG):
        os.replace(path, folder / path.name)


# --- the grid --------------------------------------------------------------------------------------------------------


def draw_grid(model: ReleasableModel) -> tuple[Image.Image, dict[str, Any]]:
    """The grid of the card, and what is needed to draw it again; fewer rows where images are large."""
    rows = 8 if model.resolution <= 64 else 4 if model.resolution <= 128 else 2
    columns = model.num_classes if 2 <= model.num_classes <= 16 else 10
    return grid_again(model, {"seed": SEED, "rows": rows, "columns": columns})


def grid_again(model: ReleasableModel, facts: dict[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """The grid by its facts, with the digest of its pixels and the platform that drew it."""
    picture = draw(model, facts["rows"], facts["columns"], facts["seed"])
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    samples = 2_000 if model.resolution == 1 else facts["rows"] * facts["columns"]  # points fill one picture
    facts = {
        "seed": facts["seed"],
        "samples": samples,
        "rows": facts["rows"],
        "columns": facts["columns"],
        "pixels_sha256": digest,
        "platform": this_platform(),
    }
    return picture, facts


def this_platform() -> str:
    """What decides how sums are rounded; with the same instructions, kernels still differ between processors."""
    kind = f"{platform.system()} {platform.machine()}"
    return f"torch {torch.__version__}, {kind}, {torch.backends.cpu.get_cpu_capability()}, {_processor()}"


def _processor() -> str:
    """Maker, family and model of the CPU, such as "AuthenticAMD 25 17", or what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in reversed(lines) if ":" in line)
    named = [facts[key] for key in ("vendor_id", "cpu family", "model") if key in facts]
    return " ".join(named) or platform.processor() or "unknown processor"


def update_index(folder: Path) -> bool:
    """Enter a release into the `index.json` beside it; False where there is none."""
    path = folder.parent / references.INDEX
    if not path.is_file():
        return False
    entries = references.read_index(folder.parent)
    config = release_format.read_config(folder / release_format.CONFIG)
    entry = config["files"][release_format.WEIGHTS]
    old = entries.get(folder.name, {})
    entries[folder.name] = {**old, **entry, "class": config["class"], "summary": config["about"].get("summary", "")}
    text = json.dumps({"releases": dict(sorted(entries.items()))}, indent=2) + "\n"
    release_format.write_text(path, text)
    print(f"entered into {path}", file=sys.stderr)
    return True
