"""A trained model that is measured: its parts, what is recorded about it, and the usual file of its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.features import Extractor
from zoo.gan import GAN
from zoo.io.environment import versions_of
from zoo.io.run_folder import RunFolder
from zoo.models.mix.mixgan import MixGAN
from zoo.runs.comparing.grouping import described_run
from zoo.runs.evaluation_request import Request
from zoo.runs.evaluation_results import PACKAGES, Evaluation
from zoo.runs.opening import Trained


def parts_of(model: GAN, asked: int | str | None) -> dict[int | None, GAN]:
    """Return the models to measure by their component: generators of a mixture; None is the model itself.

    Args:
        model: the model.
        asked: index of a generator, `all`, or None.

    Raises:
        UserError: for a model that is no mixture, or a component that it does not have.
    """
    if asked is None:
        return {None: model}
    if not isinstance(model, MixGAN):
        raise UserError(f"component: for a MixGAN; this is a {type(model).__name__}. Leave it out")
    k = len(model.generator)
    if asked == "all":
        return {None: model, **{i: model.member(i) for i in range(k)}}
    if not isinstance(asked, int) or isinstance(asked, bool) or not 0 <= asked < k:
        raise UserError(f"component: 0 to {k - 1}, the generators of this mixture, or all; got {asked!r}")
    return {asked: model.member(asked)}


def about_model(name: str, model: GAN, request: Request, level: float | None, component: int | None) -> dict[str, Any]:
    """Return the entries of a number's protocol that describe the model and its samples."""
    return {
        "checkpoint": name,
        "model": type(model).__name__,
        "generator": "averaged",
        "images_seen": model.images_seen,
        "seed": request.seed,
        "truncation": level,
        "truncation_by": request.truncation_by if level is not None else None,
        "component": component,
    }


def results_of(
    opened: Trained, rows: list[dict[str, Any]], notes: list[str], split: str, network: Extractor
) -> Evaluation:
    """Return the results about a trained model, with the usual file for them."""
    if opened.path is None:
        path = Path(f"evaluation-{opened.name}-{split}-{network.name}.json")
    else:
        path = RunFolder(opened.run or opened.path.parent).evaluation(opened.path, split, network.name)
    subject = f"{type(opened.model).__name__} after {opened.model.images_seen:,} images"
    run = {} if opened.run is None else described_run(opened.run)
    return Evaluation(subject, path, rows, notes, versions_of(PACKAGES), run)
