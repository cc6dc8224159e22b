"""Measure a model's samples, or a folder of images, against real images: the work of `python -m zoo.evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import wraps
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from zoo.data import Images
from zoo.data.given_folder import folder_settings
from zoo.data.points import Points
from zoo.errors import UserError, first_line
from zoo.evaluation.classification_accuracy import classification_accuracy_score
from zoo.evaluation.labels import class_counts, labels_like
from zoo.evaluation.metric_table import need_training_images
from zoo.evaluation.numbers import Floor, Modes, measure_numbers
from zoo.evaluation.reference import (
    SplitName,
    default_extractor,
    reference_features,
    with_training_features,
)
from zoo.features import DigitClassifier, Extractor, features_of
from zoo.features import extractor as named_extractor
from zoo.gan import GAN
from zoo.hub.loading import UserClasses
from zoo.io.run_folder import run_of
from zoo.releases.references import Reference
from zoo.runs.comparing.grouping import described_run
from zoo.runs.evaluation_request import (
    CAS,
    FEWEST,
    Request,
    check_output,
    check_sources,
    check_used,
    metric_names,
    truncation_levels,
)
from zoo.runs.evaluation_results import Evaluation, notes_on_rows, save_and_print
from zoo.runs.locating import locate, newest_checkpoint, report_name
from zoo.runs.measured_model import about_model, parts_of, results_of
from zoo.runs.measuring_on_file import evaluate_on_file, write_statistics_of_data
from zoo.runs.measuring_sets import MOST, evaluate_sets, write_statistics_of_set
from zoo.runs.opening import open_trained
from zoo.runs.published import beside, print_beside, published_of
from zoo.sampling.images import TruncationBy, in_batches
from zoo.training.hardware import select_device


def evaluate(
    checkpoint: str | None = None,
    real: str | None = None,
    fake: str | None = None,
    train: str | None = None,
    data: dict[str, Any] | None = None,
    best: bool = False,
    metrics: str | list[str] | None = None,
    n: int | None = None,
    n_real: int = 0,
    split: SplitName = "held_out",
    extractor: str = "",
    options: dict[str, Any] | None = None,
    truncation: float | list[float] | None = None,
    truncation_by: TruncationBy = "redrawing",
    component: int | Literal["all"] | None = None,
    resolution: int = 0,
    seed: int = 0,
    repeats: int = 10,
    device: str = "auto",
    out: str | None = None,
    stats: str | None = None,
    compare: Literal["published"] | None = None,
    cls: str | list[str] | None = None,
) -> Evaluation:
    """Measure a trained model's samples, or a folder of images, against real images.

    The numbers are printed as a table and written as JSON.

    Args:
        checkpoint: run folder (its last checkpoint), checkpoint file, or release (its name, its folder or file, or
            hf:ORG/NAME).
        real: folder of real images, or an array of them (.npz or .npy, uint8), beside `fake`; or a file of published
            statistics, beside `fake` or `checkpoint`: mu and sigma of clean-fid, pytorch-fid, ADM, EDM or of `stats`
            (.npz), or torch-fidelity's cache (.pt).
        fake: folder of generated images, or an array of them (.npz or .npy, uint8), beside `real`.
        train: folder of the generator's training images, or an array of them, beside `real` and `fake`, for the metrics
            that need them: fld and ct, and mifid and authenticity. `real` are then held-out images.
        data: settings in place of those of the run's data, such as data.class=Folder data.root=photos; for two folders
            those of reading files: data.on_corrupt, data.value_range, data.background and data.match.
        best: whether to take the run's best checkpoint instead of the last.
        metrics: names of metrics, a list or joined by commas, among them paths of your own classes, such as
            my_ideas.Mine; None for those that suit the data.
            - fid: Fréchet distance
            - fid_infinity: Fréchet distance extrapolated to infinitely many samples, 15 sizes from min(5000, n/10) to n
            - kid: kernel distance, 100 subsets of min(1000, n/2)
            - is: Inception Score, 10 splits (1 below 200 samples)
            - prdc: improved precision and recall (k=3), density and coverage (k=5)
            - prd: precision and recall for distributions: F8 and F1/8, 20 clusters, 10 clusterings
            - classes: total variation between class frequencies; classes that are missing
            - modes: modes reached, divergence from equal shares; points within 3 deviations count
            - mind: sliced 2-Wasserstein distance of features, 1000 directions (MIND)
            - clipped: clipped density and coverage (k=5)
            - vendi: Vendi score: effective number of different images, by cosine similarity
            - rke: Rényi kernel entropy as a number of modes; bandwidth half the RMS distance of real images
            - sfid: spatial Fréchet distance (extractor=inception-spatial)
            - mifid: Fréchet distance over the cosine distance to training images, if that is below 0.1
            - cmmd: 1000 x squared kernel distance, Gaussian kernel of bandwidth 10, features of length 1
            - fld: feature likelihood divergence and its generalisation gap, from training and held-out images
            - authenticity: share of generated images that are no near copies of a training image
            - ct: data-copying test C_T, 3 cells, 64 components: below 0 is copying
            - swd: sliced Wasserstein distance of image patches x 1000, at each size (extractor=pixels)
            - ms_ssim: multi-scale structural similarity of pairs of generated images (extractor=pixels)
            - cas: classification accuracy score, for conditional models
        n: number of generated images; None for as many as there are real ones, 50,000 at most.
        n_real: number of real images; 0 for as many as generated ones.
        split: part of the data that the real images are from; published FIDs are measured on `train`.
        extractor: network that computes the features, with the resizing of the package that it is named after:
            inception (for FIDs that compare with papers), inception-clean (clean-fid), inception-legacy-pytorch
            (pytorch-fid), inception-torchvision, inception-spatial (for sfid), dinov2-dgm (dgm-eval),
            dinov2-torch-fidelity, clip-vit-b32, clip-vit-b32-torch-fidelity, timm:NAME (any model of timm),
            effnet-lite0, sscd, sscd-distilled, digits, stacked-digits, mnist, stacked-mnist, pixels or points; or the
            path of your own class; empty for the one that suits the data without a download.
        options: settings of the extractor, such as options.weights=PATH, options.model=vits14 (dinov2),
            options.size=128 or options.features=320.
        truncation: bound of the latents: a number, or a list of numbers for a curve; None for none.
        truncation_by: method of the truncation: `redrawing` draws coordinates beyond the bound again; `scaling` draws
            again outside [-2, 2] and multiplies by the bound.
        component: index of the generator of a mixture to measure, or `all` for the mixture and each of its generators;
            None for the mixture.
        resolution: height and width in pixels at which two folders are compared; 0 for the most common size of the
            generated images.
        seed: seed of the latents and of the choice of real images.
        repeats: number of random halves for the 95 % intervals; 0 for no intervals.
        device: device to compute on: auto, cpu or cuda.
        out: the JSON file; None for one in the run's folder that holds no other measurement.
        stats: a .npz file to write mean and covariance of the real images' features to, those of `real` or of the data
            of `checkpoint`, for later use as `real`; nothing is measured then.
        compare: `published` prints the published numbers of the run's recipe beside ours, of this measurement or of
            earlier ones of the run; those that were never measured are marked `not run`.
        cls: import path of your own class that a release was made of.

    Returns:
        The numbers.

    Raises:
        UserError: for options that do not go together or do not fit the model and its data; raised before any long
            computation.

    Examples:
        python -m zoo.evaluate checkpoint=dcgan_digits
        python -m zoo.evaluate checkpoint=runs/dcgan_cifar10/TIME metrics=fid,kid extractor=inception split=train
        python -m zoo.evaluate checkpoint=runs/biggan_cifar10/TIME truncation=[0.5,0.7,1.0]
        python -m zoo.evaluate checkpoint=runs/dcgan_cifar10/TIME extractor=inception split=train compare=published
        python -m zoo.evaluate real=photos fake=samples metrics=fid,prdc
        python -m zoo.evaluate real=held_out train=photos fake=samples metrics=fld,ct
        python -m zoo.evaluate real=cifar10-32x32.npz fake=samples.npz extractor=inception
        python -m zoo.evaluate real=photos stats=photos.npz extractor=inception-clean
    """
    check_sources(checkpoint, real, fake, stats, train)
    check_output(out, stats)
    given: dict[str, Any] = {
        "best": best,
        "split": split != "held_out" and split,
        "cls": cls,
        "resolution": resolution,
        "out": out,
    }
    given |= {"metrics": metrics, "truncation": truncation, "compare": compare}
    given |= {} if component is None else {"component": str(component)}  # 0 is one of them
    check_used(checkpoint, real, stats, given)
    request = Request(
        metrics=metric_names(metrics),
        extractor=extractor,
        options=dict(options or {}),
        n=n,
        n_real=n_real,
        split=split,
        seed=seed,
        repeats=repeats,
        truncation=truncation_levels(truncation),
        truncation_by=truncation_by,
        device=select_device(device),
        component=component,
    )
    published = published_numbers_of(checkpoint, compare)
    if stats is not None:
        if checkpoint is None:
            assert real is not None
            write_statistics_of_set(stats, real, resolution, request, folder_settings(data))
        else:
            write_statistics_of_data(stats, checkpoint, dict(data or {}), request, cls)
        return Evaluation(f"statistics in {stats}", Path(stats), [])
    if checkpoint is None:
        assert real is not None
        assert fake is not None
        evaluation = evaluate_sets(real, fake, resolution, request, folder_settings(data), train)
    elif real is None:
        evaluation = evaluate_checkpoint(checkpoint, best, dict(data or {}), request, cls)
    else:
        evaluation = evaluate_on_file(checkpoint, real, best, dict(data or {}), request, cls)
    pairs = beside(published, evaluation, _run_of(checkpoint)) if published else []
    evaluation = replace(evaluation, published=[pair.as_dict() for pair in pairs])
    save_and_print(evaluation, out, curve=len(request.truncation) > 1)
    if pairs:
        print_beside(pairs)
    return evaluation


def published_numbers_of(checkpoint: str | None, compare: str | None) -> list[dict[str, Any]]:
    """Return the published numbers that are asked for.

    Args:
        checkpoint: run folder, checkpoint file or release; None for two sets of images.
        compare: `published`, or None for none.

    Raises:
        UserError: if the recipe has none, or no recipe is known.
    """
    if compare is None:
        return []
    if compare != "published":
        raise UserError(f"compare: only published is known; got {compare!r}")
    if checkpoint is None:
        raise UserError("compare=published: the published numbers are those of a recipe. Give checkpoint=RUN")
    run = _run_of(checkpoint)
    return published_of(run, report_name(checkpoint) if run is None else described_run(run)["recipe"])


def _run_of(checkpoint: str | None) -> Path | None:
    """Return the run folder of a checkpoint; None for a release, and for a file outside a run folder."""
    location = locate(str(checkpoint))
    if isinstance(location, Reference):
        return None
    run = run_of(newest_checkpoint(location))
    return run.path if run.recipe.is_file() else None


@wraps(evaluate)
def main(**options: Any) -> None:
    """Run `evaluate`; report an unsuitable extractor or metric as a fault of the user."""
    try:
        evaluate(**options)
    except ValueError as error:  # of an extractor or a metric
        if isinstance(error, UserError):
            raise
        raise UserError(first_line(error)) from error


def evaluate_checkpoint(
    where: str, best: bool, changes: dict[str, Any], request: Request, cls: UserClasses | None = None
) -> Evaluation:
    """Measure a model's samples against the real images of its data.

    Args:
        where: run folder, checkpoint file or release.
        best: whether to take the run's best checkpoint instead of the last.
        changes: settings in place of those of the run's data.
        request: the checked options.
        cls: your own class that a release was made of.

    Raises:
        UserError: for a checkpoint, data or metric that cannot be used.
    """
    opened = open_trained(where, changes, best=best, cls=cls)
    model, data = opened.model.to(request.device), opened.data
    assert data is not None
    network = named_extractor(request.extractor or default_extractor(data), **request.options).to(request.device)
    names = [name for name in request.metrics if name != CAS] if request.metrics else suitable_metrics(data, network)
    available = len(data.held_out if request.split == "held_out" else data.train)
    if 0 < available < FEWEST:
        other = "split=train, which tells nothing of new images," if len(data.train) >= FEWEST else "more images"
        raise UserError(
            f"split={request.split}: {len(data.train):,} training and {len(data.held_out):,} held-out images; a "
            f"measurement needs at least {FEWEST}. Use {other} or train with a larger data.held_out"
        )
    n = request.n or min(MOST, available)
    reals = reference_features(data, request.split, network, request.n_real or n, request.seed)
    if need_training_images(names):
        reals = with_training_features(reals, data, network, request.seed)
    modes: Modes | None = (torch.from_numpy(data.centres), data.deviation) if isinstance(data, Points) else None
    labels = None
    if model.num_classes and reals.split.pool.labels is not None:
        labels = labels_like(class_counts(reals.split, reals.indices, model.num_classes), n, request.seed)
    floors: dict[str, Floor] = {}
    rows: list[dict[str, Any]] = []
    for level, (component, part) in product(request.truncation, parts_of(model, request.component).items()):
        latents: dict[str, Any] = {"truncation": level, "truncation_by": request.truncation_by}
        row: dict[str, Any] = {"truncation": level, "numbers": []}
        if component is not None:
            row["component"] = component
        if names:
            images = in_batches(part, n, seed=request.seed, labels=labels, **latents)
            row["numbers"] = measure_numbers(
                names,
                network,
                reals,
                features_of(network, images, total=n, title="features of generated images"),
                _protocol(opened.name, model, data, request, level, component),
                modes=modes,
                repeats=request.repeats,
                seed=request.seed,
                floors=floors,
                device=request.device,
            )
        if request.with_cas:
            row["cas"] = _cas(part, data, request, latents)
        rows.append(row)
    notes = [*notes_on_rows(rows, network), *_notes_on_data(opened.other_data, request.split, best)]
    return results_of(opened, rows, notes, request.split, network)


def suitable_metrics(data: Images, network: Extractor) -> list[str]:
    """Return the names of the metrics that suit the data, for when none are named."""
    if isinstance(data, Points):
        return ["modes", "fid"]
    names = ["fid", "kid", "prdc"]
    if isinstance(network, DigitClassifier):
        names.append("modes" if network.stacked else "classes")
    return names


def _cas(model: GAN, data: Images, request: Request, latents: dict[str, Any]) -> dict[str, Any]:
    """Return the classification accuracy score of a conditional model, as plain values."""
    if not model.num_classes:
        raise UserError("metrics: cas (classification accuracy score) needs a conditional model. Leave it out")

    def draw(classes: Tensor) -> Iterator[Tensor]:
        return in_batches(model, len(classes), seed=request.seed, labels=classes, **latents)

    score = classification_accuracy_score(
        draw, data.train, data.held_out, model.num_classes, seed=request.seed, device=request.device
    )
    return score.as_dict()


def _protocol(
    name: str, model: GAN, data: Images, request: Request, level: float | None, component: int | None
) -> dict[str, Any]:
    """Return the entries of a number's protocol that describe the model, its samples and the data."""
    return {
        **about_model(name, model, request, level, component),
        "data": f"{type(data).__name__}, {data.resolution} px",
        "data_digest": data.digest,
    }


def _notes_on_data(other_data: bool, split: SplitName, best: bool) -> list[str]:
    """Return warnings about the real images that a checkpoint or a release is compared with.

    Args:
        other_data: whether they are known to differ from the training data, in the images or in the split.
        split: the split that they are from. The training images flatter a generator that has memorised them.
        best: whether the model is the run's best checkpoint. It was chosen by training images, which is only worth a
            warning if `split` is another one.
    """
    notes = []
    if other_data:
        notes.append("these are not the data, or not the split, that the model was trained on")
    if split == "train":
        notes.append("compared with images the model was trained on: a memoriser would do well")
    elif best:
        notes.append("the best checkpoint was chosen by training images, not by the held-out ones used here")
    return notes
