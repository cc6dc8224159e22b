"""Make a release of a run, with everything that the run folder records about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from zoo.config.values import read_yaml
from zoo.errors import UserError, first_line
from zoo.gan import GAN
from zoo.io.checkpoints import read_checkpoint
from zoo.io.files import with_home
from zoo.io.run_folder import RunFolder, run_of
from zoo.releases.disk_paths import disk_paths, without_disk_paths
from zoo.releases.writing import refuse_other_folders, update_index, write_release
from zoo.runs.locating import checkpoint_of
from zoo.runs.opening import load_run

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
"""Name, licence and source of training data whose licence is known, by the class of the data."""


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
    """Make a release of a run and return its folder.

    Args:
        run: a run folder, or one of its checkpoints.
        out: folder of the release; its name is the name of the release.
        metrics: files that `python -m zoo.evaluate` wrote; None for those of this checkpoint in the run folder.
        licence: licence of the training data; required if it is not in `DATA`.
        weights_licence: licence of the release, spelt as the hub spells it; apache-2.0 unless given.
        data: name of the training data.
        source: origin of the training data.
        summary: a sentence or two about the model.
        weaknesses: known weaknesses besides those that the numbers show.
        hours: duration of the training, if the run folder does not record it.
        machine: machine that trained the model, if there is more to say than the run folder records.
        dtype: `float32`, or `float16` or `bfloat16` for a file half as large with rounded weights.

    Raises:
        UserError: if the run cannot be read, the numbers belong to another model, or the licence of the data is not
            known.
    """
    path = checkpoint_of(run)
    target = with_home(out)
    refuse_other_folders(target.absolute())
    model = load_run(path)
    folder = run_of(path)
    recipe_text = folder.recipe.read_text(encoding="utf-8") if folder.recipe.is_file() else None
    recipe = _plain_recipe(folder.recipe, recipe_text or "")
    about_data = _about_data(recipe, read_checkpoint(path), {"name": data, "licence": licence, "source": source})
    numbers = _metrics(path, metrics, model)
    about = {
        "summary": summary,
        "licence": weights_licence,
        "data": about_data,
        "training": _about_training(folder, recipe, model, {"hours": hours, "machine": machine}),
        "weaknesses": weaknesses,
    }
    about = {key: value for key, value in about.items() if value is not None}
    paths = disk_paths([recipe, about, numbers])
    about, numbers = json.loads(without_disk_paths(json.dumps([about, numbers]), paths))
    recipe_text = recipe_text and without_disk_paths(recipe_text, paths)
    release = write_release(model, target, dtype=dtype, about=about, metrics=numbers, recipe=recipe_text)
    update_index(release)
    return release


def _plain_recipe(path: Path, text: str) -> dict[str, Any]:
    """Return the content of the recipe of a run; empty for an empty text.

    Raises:
        UserError: if it is damaged.
    """
    try:
        content = read_yaml(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}. Restore it, or resume the run") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no recipe, which is a mapping of sections. Restore it, or resume the run")
    return content


def _about_data(recipe: dict[str, Any], state: dict[str, Any], given: dict[str, str | None]) -> dict[str, Any]:
    """Collect the facts about the training data: name, licence, source, sizes, digest.

    Args:
        recipe: the recipe of the run as plain values.
        state: the checkpoint, which records the sizes and the digest of the data.
        given: facts that the user gave; None for those not given.

    Raises:
        UserError: if the licence is not known.
    """
    class_name = str((recipe.get("data") or {}).get("class", "unknown data"))
    recorded = state.get(class_name.rpartition(".")[2]) or {}
    given = {key: value for key, value in given.items() if value is not None}
    facts = {"name": class_name, **DATA.get(class_name, {}), **given}
    if "licence" not in facts:
        raise UserError(
            f"licence: the licence of the training data ({class_name}) is not known; give licence=TEXT, and "
            "data=NAME and source=TEXT where they help"
        )
    return {**facts, **{key: recorded[key] for key in ("train", "held_out", "digest") if key in recorded}}


def _about_training(folder: RunFolder, recipe: dict[str, Any], model: GAN, given: dict[str, Any]) -> dict[str, Any]:
    """Collect the facts about the training: images, precision, recipe, packages, machine, hours, choice of checkpoint.

    Args:
        folder: the run folder.
        recipe: the recipe of the run as plain values.
        model: the trained model.
        given: facts that the user gave, which replace recorded ones; None for those not given.
    """
    starts, ends = folder.starts(), folder.ends()
    facts: dict[str, Any] = {"images": model.images_seen, "precision": (recipe.get("trainer") or {}).get("precision")}
    if starts:
        last = starts[-1]
        facts |= {"recipe": starts[0]["recipe"], "commit": last.get("git_commit"), "packages": last.get("packages")}
        facts["pretrained"] = starts[0].get("pretrained")
        facts["machine"] = ", ".join(filter(None, (last.get("machine"), last.get("gpu"))))
    if ends and ends[-1]["images_seen"] == model.images_seen and len(ends) == len(starts):
        facts["hours"] = sum(end["seconds"] for end in ends) / 3600
    facts["checkpoint"] = _selection(folder, model.images_seen)
    facts |= {key: value for key, value in given.items() if value is not None}
    return {key: value for key, value in facts.items() if value is not None}


def _selection(folder: RunFolder, images_seen: int) -> str | None:
    """Describe which checkpoint the model is (best, last or other), with the held-out value of the selecting metric.

    Args:
        folder: the run folder.
        images_seen: clock of the model.

    Returns:
        A phrase for the card; None if no checkpoint was selected by a metric.
    """
    for report in folder.held_out_reports():
        reports: list[Any] = [report.get(name) for name in ("best", "last")]
        if not all(reports) or not reports[0]["selected_by"]:
            continue
        key = next(iter(reports[0]["selected_by"]))
        best, last = (next(number for number in each["numbers"] if number["key"] == key) for each in reports)
        images = [each["images_seen"] for each in reports]
        names = [name for name, n in zip(("best", "last"), images) if n == images_seen]
        values = [f"{best['value']:.3g} at the best ({images[0]:,} images)"]
        values += [f"{last['value']:.3g} at the last ({images[1]:,})"] if images[1] != images[0] else []
        protocol = best["protocol"]
        return (
            f"the {' and '.join(names) or 'one in between'}; {best['label']} chose on training images, and on "
            f"{protocol['n_real']:,} held-out ones, against {protocol['n_fake']:,} samples of seed {protocol['seed']}, "
            f"is {', '.join(values)}"
        )
    return None


def _metrics(path: Path, files: str | list[str] | None, model: GAN) -> dict[str, Any] | None:
    """Read the numbers that were measured for a checkpoint.

    Args:
        path: the checkpoint.
        files: files of `python -m zoo.evaluate`, a list or separated by commas; None for those in the run folder.
        model: the model of the checkpoint.

    Returns:
        The content of `metrics.json`; None if there are no numbers.

    Raises:
        UserError: if a file is not of `python -m zoo.evaluate`, or measured another model.
    """
    if files is None:
        paths = run_of(path).evaluations(path)
    else:
        paths = [with_home(name) for name in (files.split(",") if isinstance(files, str) else files)]
    evaluations = []
    for file in paths:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            measured = {number["protocol"].get("images_seen") for row in content["rows"] for number in row["numbers"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"metrics: {file} is no file of python -m zoo.evaluate ({first_line(error)})") from error
        if measured - {model.images_seen}:
            raise UserError(
                f"metrics: {file} measured a model after {measured.pop()} images, this one has seen {model.images_seen}"
            )
        evaluations.append(content)
    return {"evaluations": evaluations} if evaluations else None
