"""Writing a release: from a model, or from a run with everything that its folder knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UserError, first_line
from zoo.gan import GAN
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import RunFolder, run_of
from zoo.releases.disk_paths import disk_paths, without_disk_paths
from zoo.releases.writing import refuse_other_folders, update_index, write_release
from zoo.runs.resuming import load_run, newest_checkpoint

DATA = {
    "Digits": {
        "name": "scikit-learn's handwritten digits",
        "licence": "CC BY 4.0",
        "source": "UCI, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), test part",
    },
    "FashionMNIST": {
        "name": "Fashion-MNIST",
        "licence": "MIT",
        "source": "Zalando Research (Xiao et al. 2017, arXiv:1708.07747)",
    },
}
"""Training data whose licence is known; others are named by whoever packs."""


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
    home = run_of(path)
    recipe = _text(home.recipe)
    whole = yaml.safe_load(recipe) if recipe else {}
    about_data = _data(whole, read_checkpoint(path), {"name": data, "licence": licence, "source": source})
    numbers = _metrics(path, metrics, model)
    about = {
        "summary": summary,
        "licence": weights_licence,
        "data": about_data,
        "training": _training(home, whole, model, {"hours": hours, "machine": machine}),
        "weaknesses": weaknesses,
    }
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
        raise UserError(
            f"licence: the licence of the training data ({kind}) is not known; give licence=TEXT, and "
            "data=NAME and source=TEXT where they help"
        )
    return {**known, **{key: recorded[key] for key in ("train", "held_out", "digest") if key in recorded}}


def _training(home: RunFolder, whole: dict[str, Any], model: GAN, given: dict[str, Any]) -> dict[str, Any]:
    """What the run's folder says of how it was trained."""
    started, ended = home.starts(), home.ends()
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


def _chosen(home: RunFolder, images_seen: int) -> str | None:
    """Whether it is the run's best or its last checkpoint, with the number that chose, of both, on held-out images."""
    for report in home.held_out_reports():
        both: list[Any] = [report.get(name) for name in ("best", "last")]
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
        chosen = run_of(path).evaluations(path)
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
