"""Open the subject of an audit: a run, a checkpoint or a release with its data, image folders, or a saved report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zoo.audit.reporting.page import report_page
from zoo.audit.reporting.reading import read_report
from zoo.data.given_folder import existing_path
from zoo.data.points import Points
from zoo.errors import ReleaseError, UserError, shell_word
from zoo.evaluation.reference import default_extractor
from zoo.hub.loading import UserClasses
from zoo.io.files import read_jsonl, with_home
from zoo.io.run_folder import RunFolder
from zoo.releases import references, release_format
from zoo.runs.locating import report_name
from zoo.runs.opening import open_trained

FOLDER_EXTRACTOR = "effnet-lite0"
"""Name of the extractor for images from folders, which are photographs more often than anything else."""
OTHER_DATA = "these are not the images, or not the split, that the model is known to have been trained on"
SINGULAR_VALUE = re.compile(r"sigma([123])/(.+)")  # name of a signal: rank of the singular value, and the layer


@dataclass(frozen=True)
class Opened:
    """A subject with the images that it is compared with.

    Args:
        subject: a model, or a folder of generated images.
        name: name of the subject in the report.
        train: training images, as `zoo.audit.audit` takes them.
        held_out: held-out images, as `zoo.audit.audit` takes them.
        extractor: name of the extractor that suits the images.
        out: default folder of the report.
        history: singular values over the run, see `history_of`.
        about: facts about subject and data for the report.
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
    where: str,
    changes: dict[str, Any],
    device: torch.device,
    folders: tuple[str, str] | None = None,
    cls: UserClasses | None = None,
) -> Opened:
    """Open a model with the data of its own recipe.

    Args:
        where: a run folder, a checkpoint file, or a release, as `zoo.sample` takes them.
        changes: settings that replace those of the recipe's data.
        device: device of the model.
        folders: folders of training and of held-out images, in place of the recipe's data.
        cls: class of the user's own that a release was made of, or its import path.

    Raises:
        UserError: for a model that cannot be opened, or data that are missing or do not fit.
    """
    opened = open_trained(where, changes, with_data=folders is None, cls=cls)
    model = opened.model.to(device)
    about: dict[str, Any] = {
        "checkpoint": where,
        "model": f"{type(model).__name__} after {model.images_seen:,} images",
        "generator": "averaged",
    }
    name = report_name(where) if opened.run is None else opened.run.resolve().name
    out = Path(f"audit-{name}") if opened.run is None else RunFolder(opened.run).audit
    history = [] if opened.run is None else history_of(opened.run)
    if opened.data is None:
        assert folders is not None
        about |= {"train_folder": folders[0], "held_out_folder": folders[1]}
        return Opened(model, name, *folders, FOLDER_EXTRACTOR, out, history, about)
    data = opened.data
    if isinstance(data, Points):
        raise UserError(
            "audits look at images; these data are points. python -m zoo.evaluate metrics=modes counts modes"
        )
    about["data"] = f"{type(data).__name__}, {data.resolution} px"
    if opened.other_data:
        about["note"] = OTHER_DATA
    return Opened(model, name, data.train, data.held_out, default_extractor(data), out, history, about)


def open_folders(fake: str, train: str, held_out: str) -> Opened:
    """Open a folder of generated images with folders of real ones, which are read at the size of the generated ones.

    Args:
        fake: folder of generated images.
        train: folder of training images.
        held_out: folder of held-out images.

    Raises:
        UserError: if there is nothing at one of the paths.
    """
    for option, path in {"fake": fake, "train": train, "held_out": held_out}.items():
        existing_path(option, path)
    name = report_name(fake)
    return Opened(
        fake,
        name,
        train,
        held_out,
        FOLDER_EXTRACTOR,
        Path(f"audit-{name}"),
        [],
        {"generated": fake, "train_folder": train, "held_out_folder": held_out},
    )


def history_of(run: Path) -> list[dict[str, Any]]:
    """Read the largest singular values of each layer over a run, which the `Alarms` callback records.

    Args:
        run: the run folder.

    Returns:
        One entry for each full reading: `images`, and for each layer its singular values, largest first.
    """
    readings = []
    for row in read_jsonl(RunFolder(run).signals):
        layers: dict[str, dict[int, float]] = {}
        for name, value in row["values"].items():
            match = SINGULAR_VALUE.fullmatch(name)
            if match:
                layers.setdefault(match[2], {})[int(match[1])] = float(value)
        if layers:
            values = {name: [ranked[rank] for rank in sorted(ranked)] for name, ranked in layers.items()}
            readings.append({"images": row["images_seen"], **values})
    return readings


def write_release_report(page: str, out: str = "") -> None:
    """Write the audit report of a release as an HTML page, and print the path of the page.

    Args:
        page: name of a release of this library, or the folder of a release.
        out: path of the HTML file; empty for `audit-NAME.html`.

    Raises:
        UserError: for a release without a report, or a path that cannot be written.
    """
    folder = references.releases_folder() / page if page in references.release_names() else with_home(page)
    config = release_format.read_config(folder / release_format.CONFIG)
    if release_format.AUDIT not in config["files"]:
        raise ReleaseError(
            f"{page} has no audit report. Audit it, python -m zoo.audit checkpoint={shell_word(page)}, and add the "
            f"report: python -m zoo.hub audit={shell_word(page)} report=FOLDER"
        )
    release_format.check_files(folder, config, only=release_format.AUDIT)
    report = read_report(folder / release_format.AUDIT)
    note = "A release keeps no figures of its report; python -m zoo.audit draws them."
    path = with_home(out or f"audit-{folder.resolve().name}.html")
    release_format.write_text(path, report_page(report, note))
    print(f"report: {path}")
