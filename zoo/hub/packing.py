"""Writing a release: from a model, or from a run with everything that its folder knows."""

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
import yaml
from PIL import Image

from zoo import pictures
from zoo.callbacks.samples import draw
from zoo.checkpoint import read_checkpoint
from zoo.errors import ReleaseError, UserError, first_line
from zoo.files import read_lines, sha256_of
from zoo.gan import GAN
from zoo.hub import places, release, weights
from zoo.hub.building import own_classes_of
from zoo.hub.card import card, checked
from zoo.hub.disk_paths import disk_paths, without_disk_paths
from zoo.run import load_run, newest_checkpoint

SEED = 0  # of every card's grid; fixed once for all, so that none can be picked
DATA = {
    "Digits": {
        "name": "scikit-learn's handwritten digits", "licence": "CC BY 4.0",
        "source": "UCI, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), test part",
    },
    "FashionMNIST": {
        "name": "Fashion-MNIST", "licence": "MIT", "source": "Zalando Research (Xiao et al. 2017, arXiv:1708.07747)",
    },
}  # fmt: skip
"""Training data whose licence is known; others are named by whoever packs."""


def write_release(
    model: GAN,
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
    building = release.building_part(model, dtype)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        scratch.mkdir(parents=True)
        file = scratch / release.WEIGHTS
        weights.write(file, release.tensors_of(model, dtype), {release.HEADER_KEY: json.dumps(building)})
        loaded = release.load(file, building, own_classes_of(model))
        grid, facts = draw_grid(loaded)
        pictures.save(grid, scratch / release.GRID)
        if metrics is not None:
            release.write_text(scratch / release.METRICS, json.dumps(metrics, indent=2) + "\n")
        if recipe is not None:
            release.write_text(scratch / release.RECIPE, recipe)
        files = {
            path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(scratch.iterdir())
        }
        images = {key: getattr(loaded, key) for key in ("resolution", "channels", "num_classes")}
        ours = (folder.parent / places.INDEX).is_file()  # loaded by its bare name
        about = {"name": folder.name, **({} if ours else {"where": f"./{folder.name}"}), **about}
        config = {**building, "images": images, "about": about, "grid": facts, "files": files}
        release.write_text(scratch / release.CARD, card(config, metrics))
        release.write_text(scratch / release.CONFIG, json.dumps(config, indent=2) + "\n")
        _put(scratch, folder)
    except OSError as error:
        raise ReleaseError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def refuse_other_folders(folder: Path) -> None:
    """A release goes into a new folder, an empty one, or over another release.

    Raises:
        ReleaseError: otherwise.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        release.read_config(folder / release.CONFIG)  # other libraries call theirs config.json, too
    except ReleaseError as error:
        raise ReleaseError(f"{folder} holds something that is no release; choose another folder") from error


def _put(scratch: Path, folder: Path) -> None:
    """Move finished files into place. Over an old release the configuration goes first and comes last: a folder
    without one is no release, so a mixture of two never is.
    """
    if not folder.exists():
        os.replace(scratch, folder)
        return
    (folder / release.CONFIG).unlink(missing_ok=True)
    for name in (
        release.WEIGHTS, release.CARD, release.METRICS, release.GRID, release.RECIPE, release.AUDIT, release.AUDIT_PAGE,
    ):  # fmt: skip
        (folder / name).unlink(missing_ok=True)
    for path in sorted(scratch.iterdir(), key=lambda path: path.name == release.CONFIG):
        os.replace(path, folder / path.name)


# --- the grid --------------------------------------------------------------------------------------------------------


def draw_grid(model: GAN) -> tuple[Image.Image, dict[str, Any]]:
    """The grid of the card, and what is needed to draw it again; fewer rows where images are large."""
    rows = 8 if model.resolution <= 64 else 4 if model.resolution <= 128 else 2
    columns = model.num_classes if 2 <= model.num_classes <= 16 else 10
    return grid_again(model, {"seed": SEED, "rows": rows, "columns": columns})


def grid_again(model: GAN, facts: dict[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """The grid by its facts, with the digest of its pixels and the platform that drew it."""
    picture = draw(model, facts["rows"], facts["columns"], facts["seed"])
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    samples = 2_000 if model.resolution == 1 else facts["rows"] * facts["columns"]  # points fill one picture
    facts = {
        "seed": facts["seed"], "samples": samples, "rows": facts["rows"], "columns": facts["columns"],
        "pixels_sha256": digest, "platform": this_platform(),
    }  # fmt: skip
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


# --- from a run ------------------------------------------------------------------------------------------------------


def pack(
    run: str,
    out: str,
    metrics: str | list[str] | None = None,
    licence: str | None = None,
    weights_licence: str | None = None,
    data: str | None = None,
    source: str | None = None,
    summary: str | None = None,
    weaknesses: str | list[str] | None = None,
    hours: float | None = None,
    machine: str | None = None,
    dtype: str = "float32",
) -> Path:
    """Make a release of a run.

    Args:
        run: its folder, or one of its checkpoints.
        out: the release's folder; its name is the release's name.
        metrics: files that `python -m zoo.evaluate` wrote; None takes those of this checkpoint in the run's folder.
        licence: of the training data; must be given where the zoo does not know it.
        weights_licence: of the release, as the hub spells it; apache-2.0 unless given.
        data: what the training data are called.
        source: where they are from.
        summary: a sentence or two.
        weaknesses: what to warn of, besides what the numbers show.
        hours: of training, where the run does not know.
        machine: what it was trained on, where more is to be said than the run knows.
        dtype: `float32`, or `float16` or `bfloat16` for a file half as large with rounded weights.

    Raises:
        UserError: for a run that cannot be read, numbers that are not its own, or data without a licence.
    """
    path = newest_checkpoint(run)
    refuse_other_folders(Path(out).absolute())
    model = load_run(path)
    home = path.parent.parent
    recipe = _text(home / "recipe.yaml")
    whole = yaml.safe_load(recipe) if recipe else {}
    about_data = _data(whole, read_checkpoint(path), {"name": data, "licence": licence, "source": source})
    numbers = _metrics(path, metrics, model)
    about = {
        "summary": summary, "licence": weights_licence, "data": about_data,
        "training": _training(home, whole, model, {"hours": hours, "machine": machine}),
        "weaknesses": weaknesses,
    }  # fmt: skip
    about = {key: value for key, value in about.items() if value is not None}
    paths = disk_paths([whole, about, numbers])
    about, numbers = json.loads(without_disk_paths(json.dumps([about, numbers]), paths))
    recipe = recipe and without_disk_paths(recipe, paths)
    folder = write_release(model, Path(out), dtype=dtype, about=about, metrics=numbers, recipe=recipe)
    update_index(folder)
    return folder


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _data(whole: dict[str, Any], state: dict[str, Any], given: dict[str, str | None]) -> dict[str, Any]:
    """What is known of the training data.

    Raises:
        UserError: when nobody knows their licence.
    """
    kind = str((whole.get("data") or {}).get("class", "unknown data"))
    recorded = state.get(kind.rpartition(".")[2]) or {}
    known = {"name": kind, **DATA.get(kind, {}), **{key: value for key, value in given.items() if value is not None}}
    if "licence" not in known:
        raise UserError(f"licence: the licence of the training data ({kind}) is not known; give licence=TEXT, and "
                        "data=NAME and source=TEXT where they help")  # fmt: skip
    return {**known, **{key: recorded[key] for key in ("train", "held_out", "digest") if key in recorded}}


def _training(home: Path, whole: dict[str, Any], model: GAN, given: dict[str, Any]) -> dict[str, Any]:
    """What the run's folder says of how it was trained."""
    started, ended = (read_lines(home / f"{name}.jsonl") for name in ("environment", "ends"))
    found: dict[str, Any] = {"images": model.images_seen, "precision": (whole.get("trainer") or {}).get("precision")}
    if started:
        last = started[-1]
        found |= {"recipe": started[0]["recipe"], "commit": last.get("git_commit"), "packages": last.get("packages")}
        found["pretrained"] = started[0].get("pretrained")
        found["machine"] = ", ".join(filter(None, (last.get("machine"), last.get("gpu"))))
    if ended and ended[-1]["images_seen"] == model.images_seen and len(ended) == len(started):
        found["hours"] = sum(line["seconds"] for line in ended) / 3600
    found["checkpoint"] = _chosen(home, model.images_seen)
    found |= {key: value for key, value in given.items() if value is not None}
    return {key: value for key, value in found.items() if value is not None}


def _chosen(home: Path, images_seen: int) -> str | None:
    """Whether it is the run's best or its last checkpoint, with the number that chose, of both, on held-out images."""
    for path in sorted((home / "evaluation").glob("report-*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        both = [report.get(name) for name in ("best", "last")]
        if not all(both) or not both[0]["selected_by"]:
            continue
        key = next(iter(both[0]["selected_by"]))
        best, last = (next(number for number in one["numbers"] if number["key"] == key) for one in both)
        seen = [one["images_seen"] for one in both]
        which = [word for word, n in zip(("best", "last"), seen) if n == images_seen]
        values = [f"{best['value']:.3g} at the best ({seen[0]:,} images)"]
        values += [f"{last['value']:.3g} at the last ({seen[1]:,})"] if seen[1] != seen[0] else []
        protocol = best["protocol"]
        return (
            f"the {' and '.join(which) or 'one in between'}; {best['label']} chose on training images, and on "
            f"{protocol['n_real']:,} held-out ones, against {protocol['n_fake']:,} samples of seed {protocol['seed']}, "
            f"is {', '.join(values)}"
        )
    return None


def _metrics(path: Path, files: str | list[str] | None, model: GAN) -> dict[str, Any] | None:
    """The numbers of this checkpoint.

    Raises:
        UserError: for a file that is none, or that measured another model.
    """
    if files is None:
        chosen = sorted((path.parent.parent / "evaluation").glob(f"{path.stem}-*.json"))
    else:
        chosen = [Path(name) for name in (files.split(",") if isinstance(files, str) else files)]
    found = []
    for file in chosen:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            measured = {number["protocol"].get("images_seen") for row in content["rows"] for number in row["numbers"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"metrics: {file} is no file of python -m zoo.evaluate ({first_line(error)})") from error
        if measured - {model.images_seen}:
            raise UserError(
                f"metrics: {file} measured a model after {measured.pop()} images, this one has seen {model.images_seen}"
            )
        found.append(content)
    return {"evaluations": found} if found else None


def update_index(folder: Path) -> bool:
    """Enter a release into the `index.json` beside it; False where there is none."""
    path = folder.parent / places.INDEX
    if not path.is_file():
        return False
    entries = places.read_index(folder.parent)
    config = release.read_config(folder / release.CONFIG)
    entry = config["files"][release.WEIGHTS]
    old = entries.get(folder.name, {})
    entries[folder.name] = {**old, **entry, "class": config["class"], "summary": config["about"].get("summary", "")}
    text = json.dumps({"releases": dict(sorted(entries.items()))}, indent=2) + "\n"
    release.write_text(path, text)
    print(f"entered into {path}", file=sys.stderr)
    return True
