"""What the command audits: a run, a checkpoint or a release with its data, or folders of images.

The only file of the audit, beside the command, that knows models of this zoo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zoo.data import Folder
from zoo.data.points import Points
from zoo.errors import UserError
from zoo.evaluation.reference import default_extractor
from zoo.hub.loading import UserClasses
from zoo.io.files import read_jsonl
from zoo.io.run_folder import RunFolder
from zoo.runs.locating import report_name
from zoo.runs.opening import open_trained
from zoo.runs.training_data import set_up_data

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
    where: str,
    changes: dict[str, Any],
    device: torch.device,
    folders: tuple[str, str] | None = None,
    cls: UserClasses | None = None,
) -> Opened:
    """A model with the data of its own recipe.

    Args:
        where: a run folder, a checkpoint file, or a release, as `zoo.sample` takes them.
        changes: settings in place of those of the recipe's data.
        device: of the model.
        folders: of training and of held-out images, in place of the recipe's data.
        cls: class of a user's own that a release was made of, or its import path.

    Raises:
        UserError: for what cannot be opened, or data that are not here or do not fit.
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
        parts = [
            set_up_data(Folder(place, resolution=model.resolution, channels=model.channels, held_out=0, batch_size=1))
            for place in folders
        ]
        about |= {"train_folder": folders[0], "held_out_folder": folders[1]}
        return Opened(model, name, parts[0].train, parts[1].train, default_extractor(parts[0]), out, history, about)
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
    """A folder of generated images between folders of real ones, which are read at the size of the generated ones.

    Raises:
        UserError: for a folder without images.
    """
    name = report_name(fake)
    return Opened(
        fake,
        name,
        train,
        held_out,
        "effnet-lite0",
        Path(f"audit-{name}"),
        [],
        {"generated": fake, "train_folder": train, "held_out_folder": held_out},
    )


def history_of(run: Path) -> list[dict[str, Any]]:
    """The largest singular values of each layer over a run, where the Alarms callback wrote them down.

    Returns:
        One entry for each full reading: `images`, and for each layer `[first, second, third]`.
    """
    found = []
    for row in read_jsonl(RunFolder(run).signals):
        layers: dict[str, dict[int, float]] = {}
        for name, value in row["values"].items():
            match = SIGMA.fullmatch(name)
            if match:
                layers.setdefault(match[2], {})[int(match[1])] = float(value)
        if layers:
            found.append(
                {"images": row["images_seen"], **{name: [v[i] for i in sorted(v)] for name, v in layers.items()}}
            )
    return found
