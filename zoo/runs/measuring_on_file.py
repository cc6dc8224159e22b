"""Measure a trained model against published statistics of real images, and write such statistics of its own data."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from zoo.errors import UserError, shell_word
from zoo.evaluation.labels import labels_like
from zoo.evaluation.numbers import Floor
from zoo.evaluation.reference import default_extractor
from zoo.evaluation.reference_files import read_reference
from zoo.features import extractor as named_extractor
from zoo.features import features_of
from zoo.hub.loading import UserClasses
from zoo.io.files import with_home
from zoo.runs.evaluation_request import Request
from zoo.runs.evaluation_results import Evaluation, notes_on_rows
from zoo.runs.measured_model import about_model, parts_of, results_of
from zoo.runs.measuring_sets import MOST, extractor_for, metrics_for, numbers_against, write_statistics_of
from zoo.runs.opening import open_trained
from zoo.sampling.images import in_batches


def evaluate_on_file(
    where: str, real: str, best: bool, changes: dict[str, Any], request: Request, cls: UserClasses | None = None
) -> Evaluation:
    """Measure a model's samples against statistics or features of real images in a file; its data are not read.

    Samples of a conditional model have its classes in equal shares.

    Args:
        where: run folder, checkpoint file or release.
        real: the file.
        best: whether to take the run's best checkpoint instead of the last.
        changes: must be empty.
        request: the checked options.
        cls: your own class that a release was made of.

    Raises:
        UserError: for a checkpoint or a file that cannot be used, or a metric that needs images.
    """
    if changes or request.with_cas:
        raise UserError("data.KEY and metrics=cas are about a run's own data, which real=FILE replaces. Leave them out")
    given = read_reference("real", with_home(real))
    if given.width == 0:
        raise UserError(
            f"real: {real} holds images; beside checkpoint=RUN it must hold statistics or features. Write them first: "
            f"python -m zoo.evaluate real={shell_word(real)} stats=stats.npz extractor=NAME"
        )
    opened = open_trained(where, {}, best=best, with_data=False, cls=cls)
    model = opened.model.to(request.device)
    network = extractor_for(request, given)
    given = given.seen_by(network)
    notes, names = given.check(network), metrics_for(request, given, with_images=False)
    known = given.statistics.n if given.statistics is not None else None
    n = request.n or min(MOST, known or (MOST if given.features is None else len(given.features)))
    labels = labels_like(np.ones(model.num_classes, np.int64), n, request.seed) if model.num_classes else None
    floors: dict[str, Floor] = {}
    rows: list[dict[str, Any]] = []
    for level, (component, part) in product(request.truncation, parts_of(model, request.component).items()):
        images = in_batches(
            part, n, seed=request.seed, labels=labels, truncation=level, truncation_by=request.truncation_by
        )
        features = features_of(network, images, total=n, title="features of generated images")
        about = {**about_model(opened.name, model, request, level, component), "data": given.path.name}
        row: dict[str, Any] = {"truncation": level}
        if component is not None:
            row["component"] = component
        row["numbers"] = numbers_against(given, names, network, features, about, request, floors=floors)
        rows.append(row)
    if model.num_classes:
        notes.append("the samples have the classes in equal shares, since the file does not say those of its images")
    return results_of(opened, rows, [*notes_on_rows(rows, network), *notes], given.path.stem, network)


def write_statistics_of_data(
    out: str, where: str, changes: dict[str, Any], request: Request, cls: UserClasses | None
) -> None:
    """Write mean and covariance of the features of a run's real images."""
    data = open_trained(where, changes, cls=cls).data
    assert data is not None
    network = named_extractor(request.extractor or default_extractor(data), **request.options).to(request.device)
    images = data.held_out if request.split == "held_out" else data.train
    about = {"data": f"{type(data).__name__}, {data.resolution} px", "split": request.split, "digest": data.digest}
    write_statistics_of(out, images, network, request, about)
