"""The checked options of `python -m zoo.evaluate`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from zoo.errors import UserError
from zoo.evaluation.metric_table import check_metrics
from zoo.evaluation.reference import SplitName
from zoo.evaluation.reference_files import is_reference_file
from zoo.io.files import with_home
from zoo.sampling.images import TruncationBy

CAS = "cas"
"""Name of the classification accuracy score, which is not computed from features as the other metrics are."""


FEWEST = 10
"""Images of each side of a measurement, at least."""


@dataclass(frozen=True)
class Request:
    """Options of `zoo.evaluate.evaluate`, which describes them, after their checks.

    `truncation` is a list of levels, in which None stands for no truncation.

    Raises:
        UserError: for numbers of images or repetitions that are too small.
    """

    metrics: list[str]
    extractor: str
    options: dict[str, Any]
    n: int | None
    n_real: int
    split: SplitName
    seed: int
    repeats: int
    truncation: list[float | None]
    truncation_by: TruncationBy
    device: torch.device
    component: int | Literal["all"] | None = None

    def __post_init__(self) -> None:
        if self.n is not None and self.n < FEWEST:
            raise UserError(f"n: at least {FEWEST} images; got {self.n}")
        if self.n_real < 0 or self.n_real in range(1, FEWEST):
            raise UserError(f"n_real: at least {FEWEST} images, or 0 for as many as generated ones; got {self.n_real}")
        if self.repeats < 0 or self.repeats == 1:
            raise UserError(f"repeats: 0 for no intervals, or at least 2; got {self.repeats}")

    @property
    def with_cas(self) -> bool:
        """Whether the classification accuracy score is asked for."""
        return CAS in self.metrics


def check_sources(
    checkpoint: str | None, real: str | None, fake: str | None, stats: str | None = None, train: str | None = None
) -> None:
    """Check that either a checkpoint or two sets of images are given, or one set to write statistics of.

    Raises:
        UserError: when both or neither are given, or only one set.
    """
    if train is not None and (real is None or fake is None):
        raise UserError(
            f"train: {train} goes beside real=FOLDER of held-out images and fake=FOLDER; a checkpoint has its training "
            "images from its run's data"
        )
    if stats is not None:
        if (checkpoint is None) == (real is None) or fake is not None:
            raise UserError("stats: give real=FOLDER or checkpoint=RUN, whose real images are measured, and no fake=")
        return
    if checkpoint is None and (real is None or fake is None):
        raise UserError("give either checkpoint=RUN, or two folders of images: real=FOLDER fake=FOLDER")
    if checkpoint is None or (real is None and fake is None):
        return
    if fake is None and real is not None and is_reference_file(with_home(real)):
        return
    raise UserError(
        "give either checkpoint=RUN, or two folders of images: real=FOLDER fake=FOLDER. To measure a checkpoint on a "
        "folder: data.class=Folder data.root=FOLDER; on published statistics: real=FILE.npz"
    )


def check_used(checkpoint: str | None, real: str | None, stats: str | None, given: Mapping[str, Any]) -> None:
    """Check that no option is given that has no effect on what is measured, or on the statistics that are written.

    Args:
        checkpoint: the checkpoint; None for two sets of images.
        real: real images or a file; None for those of the checkpoint's data.
        stats: file for the statistics of real images; None for a measurement.
        given: options by their names; what counts as false is their default.

    Raises:
        UserError: naming the first such option, and why it has no effect.
    """
    reasons: dict[str, str] = {}
    if checkpoint is None:
        reasons |= dict.fromkeys(("best", "split", "cls"), "goes beside checkpoint=RUN; two folders have no run")
    else:
        reasons["resolution"] = "is for two folders; a checkpoint is measured at the size of its own images"
        if real is not None:
            reasons["split"] = f"chooses among the images of a run's data, in place of which real={real} is given"
    if stats is not None:
        unused = ("metrics", "truncation", "component", "compare", "out", "best")
        reasons |= dict.fromkeys(unused, f"is for a measurement; stats={stats} only writes statistics of real images")
    for name, reason in reasons.items():
        if value := given.get(name):
            shown = "true" if value is True else value
            raise UserError(f"{name}={shown} has no effect here: it {reason}. Leave it out")


def check_output(out: str | None, stats: str | None = None) -> None:
    """Check the names of the files for the results and the statistics.

    Raises:
        UserError: for another ending than .json, or .npz of statistics.
    """
    if out is not None and not out.endswith(".json"):
        raise UserError(f"out: a file ending in .json; got {out!r}")
    if stats is not None and not stats.endswith(".npz"):
        raise UserError(f"stats: a file ending in .npz; got {stats!r}")


def metric_names(metrics: str | list[str] | None) -> list[str]:
    """Return the names of metrics as a list, each once, which is empty for None.

    Args:
        metrics: names in a list or joined by commas.

    Raises:
        FeatureError: for an unknown name.
    """
    names = metrics.replace(" ", "").split(",") if isinstance(metrics, str) else list(metrics or [])
    computed = [name for name in names if name != CAS]
    if computed:
        check_metrics(computed)
    return list(dict.fromkeys(names))


def truncation_levels(truncation: Any) -> list[float | None]:
    """Return levels of truncation as a list.

    Args:
        truncation: a positive number, a list of them, or None for no truncation.

    Raises:
        UserError: for anything else.
    """
    if truncation is None:
        return [None]
    given = truncation if isinstance(truncation, list) else [truncation]
    numbers = [value for value in given if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers or len(numbers) < len(given) or not all(0 < value < math.inf for value in numbers):
        raise UserError(f"truncation: a positive number, or a list of them; got {truncation!r}")
    return [float(value) for value in numbers]
