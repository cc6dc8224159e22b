"""What is measured: a checkpoint against its data, or one folder of images against another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from zoo.data import Folder, Images
from zoo.data.points import Points
from zoo.errors import UserError
from zoo.evaluation.classification_accuracy import classification_accuracy_score
from zoo.evaluation.labels import class_counts, labels_like
from zoo.evaluation.numbers import FRECHET, Floor, Modes, Number, measure_numbers
from zoo.evaluation.reference import ReferenceSet, SplitName, default_extractor, reference_features
from zoo.features import Extractor, extractor, features_of
from zoo.gan import GAN
from zoo.hub.loading import UserClasses
from zoo.io.environment import versions_of
from zoo.io.run_folder import RunFolder
from zoo.models.mix.mixgan import MixGAN
from zoo.runs.opening import open_trained
from zoo.sampling.images import TruncationBy, in_batches

MOST = 50_000  # generated images where nobody says how many
PACKAGES = ("gan-zoo", "torch", "torchvision", "torchmetrics", "torch-fidelity", "timm", "numpy", "pillow")


@dataclass(frozen=True)
class Request:
    """What the command was asked for, checked.

    Args:
        metrics: names of `zoo.evaluation.METRICS`, and perhaps `cas`; empty for those that suit the data.
        extractor: its name; empty for the one that suits the data.
        options: of the extractor.
        n: generated images; None for as many as there are real ones, `MOST` at most.
        n_real: real images; 0 for as many as `n`.
        split: the part of the data that the real images are from.
        seed: of latents and of the choice of real images.
        repeats: random halves for the intervals.
        truncation: values to try; None is no truncation.
        truncation_by: how.
        device: to compute on.
        component: of a mixture, the generator to measure, or `all` for the mixture and each of them; None for the
            mixture.
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


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured.

    Args:
        subject: what, in words.
        path: where the numbers go unless told otherwise.
        rows: one for each truncation and component: `truncation`, `numbers` (a list of `Number`), perhaps `component`
            and `cas`.
        notes: what to know when reading them.
        versions: of the packages that computed.
    """

    subject: str
    path: Path
    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        rows = [{**row, "numbers": [number.as_dict() for number in row["numbers"]]} for row in self.rows]
        return {"subject": self.subject, "notes": self.notes, "versions": self.versions, "rows": rows}


def evaluate_checkpoint(
    where: str, best: bool, changes: dict[str, Any], request: Request, cls: UserClasses | None = None
) -> Evaluation:
    """Numbers of a model's samples against the real images of its data.

    Raises:
        UserError: for a checkpoint, data or metric that cannot be used.
    """
    opened = open_trained(where, changes, best=best, cls=cls)
    model, data = opened.model.to(request.device), opened.data
    assert data is not None
    network = extractor(request.extractor or default_extractor(data), **request.options).to(request.device)
    names = request.metrics or suitable(data, network)
    with_cas = "cas" in names
    names = [name for name in names if name != "cas"]
    part = data.held_out if request.split == "held_out" else data.train
    n = request.n or min(MOST, len(part))
    reals = reference_features(data, request.split, network, request.n_real or n, request.seed)
    modes: Modes | None = (torch.from_numpy(data.centres), data.deviation) if isinstance(data, Points) else None
    labels = None
    if model.num_classes:
        labels = labels_like(class_counts(reals.split, reals.indices, model.num_classes), n, request.seed)
    floors: dict[str, Floor] = {}
    rows: list[dict[str, Any]] = []
    for level, (component, drawn) in product(request.truncation, parts_of(model, request.component).items()):
        protocol = {
            "checkpoint": opened.name,
            "model": type(model).__name__,
            "generator": "averaged",
            "images_seen": model.images_seen,
            "seed": request.seed,
            "truncation": level,
            "truncation_by": request.truncation_by if level is not None else None,
            "component": component,
            "data": f"{type(data).__name__}, {data.resolution} px",
            "data_digest": data.digest,
        }
        latents: dict[str, Any] = {"truncation": level, "truncation_by": request.truncation_by}
        row: dict[str, Any] = {"truncation": level, "numbers": []}
        if component is not None:
            row["component"] = component
        if names:
            images = in_batches(drawn, n, seed=request.seed, labels=labels, **latents)
            fake = features_of(network, images, total=n, title="features of generated images")
            row["numbers"] = measure_numbers(
                names,
                network,
                reals,
                fake,
                protocol,
                modes=modes,
                repeats=request.repeats,
                seed=request.seed,
                floors=floors,
                device=request.device,
            )
        if with_cas:
            row["cas"] = _cas(drawn, data, request, latents)
        rows.append(row)
    notes = _notes(rows[0]["numbers"], network)
    if opened.other_data:
        notes.append("these are not the data, or not the split, that the model was trained on")
    if request.split == "train":
        notes.append("compared with images the model was trained on: a memoriser would do well")
    elif best:
        notes.append("the best checkpoint was chosen by training images, not by the held-out ones used here")
    if opened.path is None:
        target = Path(f"evaluation-{opened.name}-{request.split}-{network.name}.json")
    else:
        folder = RunFolder(opened.run or opened.path.parent)
        target = folder.evaluation(opened.path, request.split, network.name)
    return Evaluation(
        f"{type(model).__name__} after {model.images_seen:,} images", target, rows, notes, versions_of(PACKAGES)
    )


def evaluate_folders(real: str, fake: str, resolution: int, request: Request) -> Evaluation:
    """Numbers of one folder of images against another.

    Raises:
        UserError: for folders without images, or a metric that needs a model.
    """
    if request.truncation != [None] or "cas" in request.metrics or request.component is not None:
        raise UserError(
            "truncation, component and metrics=cas need a model: give checkpoint=RUN instead of fake=FOLDER"
        )
    size = resolution or _size_of_first(fake)
    sides = [Folder(place, resolution=size, held_out=0, batch_size=1) for place in (real, fake)]
    for side in sides:
        side.prepare_data()
        side.setup()
    network = extractor(request.extractor or "effnet-lite0", **request.options).to(request.device)
    names = request.metrics or ["fid", "kid", "prdc"]
    n = min(request.n or MOST, len(sides[1].train))
    fakes = reference_features(sides[1], "train", network, n, request.seed).reference
    chosen = reference_features(sides[0], "train", network, request.n_real or n, request.seed)
    reals = ReferenceSet("train", chosen.split, chosen.indices, chosen.reference, chosen.additional)
    protocol = {
        "data": f"{real} against {fake}, {size} px",
        "seed": request.seed,
        "real_digest": sides[0].digest,
        "fake_digest": sides[1].digest,
    }
    numbers = measure_numbers(
        names, network, reals, fakes, protocol, repeats=request.repeats, seed=request.seed, device=request.device
    )
    for number in numbers:
        number.protocol["split"] = "all of the folder"
    rows = [{"truncation": None, "numbers": numbers}]
    return Evaluation(
        f"{fake} against {real}", Path("evaluation.json"), rows, _notes(numbers, network), versions_of(PACKAGES)
    )


def suitable(data: Images, network: Extractor) -> list[str]:
    """Metrics for data that nobody named any for."""
    if isinstance(data, Points):
        return ["modes", "fid"]
    names = ["fid", "kid", "prdc"]
    if network.name in ("digits", "stacked-digits"):
        names.append("modes" if network.name == "stacked-digits" else "classes")
    return names


def parts_of(model: GAN, asked: int | str | None) -> dict[int | None, GAN]:
    """Return the models to measure by their component: generators of a mixture; None is the model itself.

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


def _cas(model: GAN, data: Images, request: Request, latents: dict[str, Any]) -> dict[str, Any]:
    if not model.num_classes:
        raise UserError("metrics: cas (classification accuracy score) needs a conditional model. Leave it out")

    def draw(classes: Tensor) -> Iterator[Tensor]:
        return in_batches(model, len(classes), seed=request.seed, labels=classes, **latents)

    found = classification_accuracy_score(
        draw, data.train, data.held_out, model.num_classes, seed=request.seed, device=request.device
    )
    return found.as_dict()


def _notes(numbers: list[Number], network: Extractor) -> list[str]:
    """What a reader of these numbers must know."""
    notes = []
    frechet = [number for number in numbers if number.key in FRECHET]
    if frechet:
        first = frechet[0]
        n = min(first.protocol["n_real"], first.protocol["n_fake"])
        notes.append(
            "a Fréchet distance falls with the number of images: compare it at the same n, and with 'real against "
            "real', two disjoint sets of real images, which is what a perfect generator would get"
        )
        if n <= network.width:
            notes.append(
                f"n={n:,} is not more than the {network.width:,} dimensions of {network.name}: the distance is mostly "
                "bias. Prefer KID, an extractor with fewer dimensions, or more images"
            )
        if first.floor_n is not None and first.floor_n != (first.protocol["n_real"], first.protocol["n_fake"]):
            notes.append(
                f"there are too few real images for two sets of this size; 'real against real' is at "
                f"{first.floor_n[0]:,}, and therefore too high for Fréchet distances"
            )
    if numbers and network.name != "inception":
        notes.append(
            f"numbers from {network.name} compare with each other only; extractor=inception gives published FIDs"
        )
    return notes


def _size_of_first(folder: str) -> int:
    """Shorter side of a folder's first image, in pixels."""
    first = Folder(folder, resolution=1, held_out=0, batch_size=1).files()[0]
    try:
        with Image.open(first) as image:
            return int(min(image.size))
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"{first} cannot be read as an image: {error}. Remove it, or give resolution=PIXELS") from error
