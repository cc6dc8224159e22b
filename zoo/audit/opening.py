"""What the command audits: a run, a checkpoint or a release with its data, or folders of images.

The only file of the audit, beside the command, that knows models of this zoo.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from zoo.classes import without_imports
from zoo.data import Folder, Images
from zoo.data.points import Points
from zoo.errors import UserError, first_line
from zoo.evaluating import build_data, check_fit, data_of, ready, recorded_digest
from zoo.evaluation.reals import default_extractor
from zoo.gan import GAN
from zoo.hub import load_model, places, release
from zoo.run import newest_checkpoint

OTHER_DATA = "these are not the images, or not the split, that the model is known to have been trained on"
SIGMA = re.compile(r"sigma([123])/(.+)")


@dataclass(frozen=True)
class Opened:
    """What is audited, with the images it is held against.

    Args:
        subject: a model, or a folder of generated images.
        name: for the report.
        train: training images, as `zoo.audit.audit` takes them.
        held_out: held-out images.
        extractor: name of the one that suits the images.
        out: folder of the report unless told otherwise.
        history: singular values over the run, see `history_of`.
        about: facts for the report.
    """

    subject: Any
    name: str
    train: Any
    held_out: Any
    extractor: str
    out: Path
    history: list[dict[str, Any]]
    about: dict[str, Any]


def open_checkpoint(
    where: str, changes: dict[str, Any], device: torch.device, folders: tuple[str, str] | None = None
) -> Opened:
    """A model with the data of its own recipe.

    Args:
        where: a run folder, a checkpoint file, or a release, as `zoo.sample` takes them.
        changes: settings in place of those of the recipe's data.
        device: of the model.
        folders: of training and of held-out images, in place of the recipe's data.

    Raises:
        UserError: for what cannot be opened, or data that are not here or do not fit.
    """
    model = load_model(where).to(device)
    about: dict[str, Any] = {
        "checkpoint": where, "model": f"{type(model).__name__} after {model.images_seen:,} images",
        "generator": "averaged",
    }  # fmt: skip
    known: set[str] = set()
    history: list[dict[str, Any]] = []
    name = _name_of(where)
    out = Path(f"audit-{name}")
    path, folder = (newest_checkpoint(where), None) if _is_run(where) else (None, _release_folder(where))
    if path is not None and (path.parent.parent / "recipe.yaml").is_file():
        run = path.parent.parent
        name, out, history = run.resolve().name, run / "audit", history_of(run)
    if folders is not None:
        parts = [
            ready(Folder(place, resolution=model.resolution, channels=model.channels, held_out=0, batch_size=1))
            for place in folders
        ]
        about |= {"train_folder": folders[0], "held_out_folder": folders[1]}
        return Opened(model, name, parts[0].train, parts[1].train, default_extractor(parts[0]), out, history, about)
    if path is not None:
        data = data_of(path, changes)
        recorded = recorded_digest(path, data)
        known = {recorded} if recorded else set()
    else:
        data = _data_of_release(where, folder, changes, model)
        known = _digests_of_release(folder)
    if isinstance(data, Points):
        raise UserError(
            "audits look at images; these data are points. python -m zoo.evaluate metrics=modes counts modes"
        )
    check_fit(model, data)
    about["data"] = f"{type(data).__name__}, {data.resolution} px"
    if known and data.digest not in known:
        about["note"] = OTHER_DATA
    return Opened(model, name, data.train, data.held_out, default_extractor(data), out, history, about)


def open_folders(fake: str, train: str, held_out: str) -> Opened:
    """A folder of generated images between folders of real ones, which are read at the size of the generated ones.

    Raises:
        UserError: for a folder without images.
    """
    name = _name_of(fake)
    return Opened(fake, name, train, held_out, "effnet-lite0", Path(f"audit-{name}"), [], {"generated": fake,
                  "train_folder": train, "held_out_folder": held_out})  # fmt: skip


def history_of(run: Path) -> list[dict[str, Any]]:
    """The largest singular values of each layer over a run, where the Alarms callback wrote them down.

    Returns:
        One entry for each full reading: `images`, and for each layer `[first, second, third]`.
    """
    path = run / "alarms" / "signals.jsonl"
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            values = {name: float(value) for name, value in row["values"].items() if name.startswith("sigma")}
            images = int(row["images_seen"])
        except (ValueError, KeyError, TypeError, AttributeError):  # a line that a kill cut short
            continue
        layers: dict[str, dict[int, float]] = {}
        for name, value in values.items():
            match = SIGMA.fullmatch(name)
            if match:
                layers.setdefault(match[2], {})[int(match[1])] = value
        if layers:
            found.append({"images": images, **{name: [v[i] for i in sorted(v)] for name, v in layers.items()}})
    return found


def _is_run(where: str) -> bool:
    """Whether `load_model` takes it for a run or a checkpoint of one."""
    path = Path(where)
    if (path / release.CONFIG).is_file() or path.suffix == ".safetensors":
        return False
    return not (
        where.startswith(("zoo:", "hf:", "https://")) or (where in places.release_names() and not path.exists())
    )


def _release_folder(where: str) -> Path | None:
    """The folder of a release with its recipe and numbers; None for a file at an address."""
    path = Path(where)
    if (path / release.CONFIG).is_file():
        return path
    if path.suffix == ".safetensors" and not where.startswith("https://"):
        return path.parent
    place = places.understand(where)
    if place.kind == "ours":
        return places.releases_folder() / place.name
    if place.kind == "hub":
        from zoo.hub.huggingface import download

        return download(place.name, None)
    return None


def _data_of_release(where: str, folder: Path | None, changes: dict[str, Any], model: GAN) -> Images:
    """The data that a release's recipe names. It comes from outside, so that it never chooses what code is imported."""
    fits = {"resolution": model.resolution, "channels": model.channels}
    if "class" in changes:
        return ready(build_data({**fits, **changes}))
    recipe = {} if folder is None else _section(folder / release.RECIPE)
    if "class" not in recipe:
        raise UserError(
            f"{where} does not say what it was trained on. Name its training images, of which some were held out: "
            f"data.class=Folder data.root=FOLDER data.held_out=0.1, or train=FOLDER held_out=FOLDER"
        )
    try:
        with without_imports():
            return ready(build_data({**recipe, **changes}))
    except UserError as error:
        given = " ".join(f"data.{key}={value}" for key, value in recipe.items() if key in ("class", "root", "name"))
        raise UserError(
            f"{where} was trained on {given}, which cannot be read here: {error}. Say where they are with "
            "data.root=FOLDER, or name other images: train=FOLDER held_out=FOLDER"
        ) from error


def _section(recipe: Path) -> dict[str, Any]:
    """The section `data` of a recipe that came from outside: plain YAML, nothing is built."""
    try:
        read = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    section = read.get("data") if isinstance(read, dict) else None
    return dict(section) if isinstance(section, dict) else {}


def _digests_of_release(folder: Path | None) -> set[str]:
    """Digests of the data that a release's numbers were measured on."""
    if folder is None or not (folder / release.METRICS).is_file():
        return set()
    try:
        evaluations = json.loads((folder / release.METRICS).read_text(encoding="utf-8"))["evaluations"]
        numbers = [number for each in evaluations for row in each["rows"] for number in row["numbers"]]
        return {str(n["protocol"]["data_digest"]) for n in numbers if "data_digest" in n["protocol"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / release.METRICS} cannot be read: {first_line(error)}") from error


def _name_of(where: str) -> str:
    """A name for a report and its folder."""
    last = where.split("#")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]
    return (
        re.sub(r"[^A-Za-z0-9._-]+", "-", last.removesuffix(".safetensors").removesuffix(".ckpt")).strip(".-") or "audit"
    )
