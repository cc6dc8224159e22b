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
from zoo.io.scratch import scratch_mark, sweep
from zoo.releases import references, release_format, weights
from zoo.releases.card import card, checked
from zoo.releases.release_format import ReleasableModel
from zoo.rendering import pictures
from zoo.sampling.grids import draw

SEED = 0  # of the grid on every card; the same for all releases, so that no grid can be selected


def write_release(
    model: ReleasableModel,
    folder: Path,
    *,
    dtype: str = "float32",
    about: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    recipe: str | None = None,
) -> Path:
    """Write all files of a release and return its folder; after a fault, the folder still holds the old files.

    The grid is drawn by a model with the weights as they are stored, so it shows the effect of rounding.

    Args:
        model: the model to release.
        folder: folder of the release; it may contain an earlier release.
        dtype: type of the stored weights: `float32`, `float16` or `bfloat16`.
        about: facts for the card, see `zoo.releases.card`.
        metrics: content of `metrics.json`; None for no numbers.
        recipe: text of `recipe.yaml`; None for no recipe.

    Raises:
        ReleaseError: if the model cannot be released, or the folder holds something else.
    """
    folder = folder.absolute()
    refuse_other_folders(folder)
    about = checked(about or {})
    header = release_format.header_config(model, dtype)
    sweep(folder.parent, f".*.{folder.name}", deep=False)
    scratch = folder.with_name(f".{scratch_mark()}.{folder.name}")
    try:
        scratch.mkdir(parents=True)
        file = scratch / release_format.WEIGHTS
        weights.write(file, release_format.tensors_of(model, dtype), {release_format.HEADER_KEY: json.dumps(header)})
        loaded = as_stored(model, header, file)
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
        is_indexed = (folder.parent / references.INDEX).is_file()  # such a release is loaded by its name alone
        about = {"name": folder.name, **({} if is_indexed else {"where": f"./{folder.name}"}), **about}
        config = {**header, "images": images, "about": about, "grid": facts, "files": files}
        release_format.write_text(scratch / release_format.CARD, card(config, metrics))
        release_format.write_text(scratch / release_format.CONFIG, json.dumps(config, indent=2) + "\n")
        _move_files(scratch, folder)
    except OSError as error:
        raise ReleaseError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def as_stored(model: ReleasableModel, header: dict[str, Any], file: Path) -> ReleasableModel:
    """Build a second model of the same class from the arguments and the weights of a release.

    Args:
        model: the model that is being released; it is not changed.
        header: the configuration that `release_format.header_config` returned.
        file: the weights, rounded for storage.
    """
    values, _ = check_settings(type(model), header["arguments"], "", complete=False)
    with torch.random.fork_rng(devices=[]):
        stored_model = type(model)(**values)
    release_format.fill(stored_model, weights.read(file), header)
    return stored_model


def refuse_other_folders(folder: Path) -> None:
    """Check that a folder is new, empty, or holds an earlier release.

    Raises:
        ReleaseError: if it holds anything else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        release_format.read_config(folder / release_format.CONFIG)  # other libraries also have a config.json
    except ReleaseError as error:
        raise ReleaseError(f"{folder} holds something that is no release; choose another folder") from error


def _move_files(scratch: Path, folder: Path) -> None:
    """Move the finished files of a release into its folder.

    Of an earlier release there, the configuration is removed first, and the new one is moved last. A folder without a
    configuration is no release, so a half-replaced folder is never taken for one.
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
    """Draw the grid of the card, with fewer rows for larger images.

    Returns:
        The picture, and the facts that are needed to draw it again.
    """
    rows = 8 if model.resolution <= 64 else 4 if model.resolution <= 128 else 2
    columns = model.num_classes if 2 <= model.num_classes <= 16 else 10
    return redraw_grid(model, {"seed": SEED, "rows": rows, "columns": columns})


def redraw_grid(model: ReleasableModel, facts: dict[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """Draw a grid by its facts.

    Args:
        model: the model, in evaluation mode.
        facts: seed, number of rows and number of columns.

    Returns:
        The picture, and its facts with the number of samples, the digest of the pixels, and the platform.
    """
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
    """Describe everything that decides how sums are rounded: torch, operating system, instruction set and processor.

    The processor is included because kernels differ between processors with the same instruction set.
    """
    system = f"{platform.system()} {platform.machine()}"
    return f"torch {torch.__version__}, {system}, {torch.backends.cpu.get_cpu_capability()}, {_processor()}"


def _processor() -> str:
    """Return vendor, family and model of the CPU, such as "AuthenticAMD 25 17", or the name that Python reports."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in reversed(lines) if ":" in line)
    values = [facts[key] for key in ("vendor_id", "cpu family", "model") if key in facts]
    return " ".join(values) or platform.processor() or "unknown processor"


def update_index(folder: Path) -> bool:
    """Enter a release into the `index.json` beside its folder; return False if there is no index."""
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
