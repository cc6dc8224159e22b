"""Measure one set of images against another: folders, arrays in files, or published statistics of real images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.data.given_folder import faults_of, image_source
from zoo.data.pool import Pool, Split, content_digest
from zoo.data.sizes import Sizes, mixed_sizes_note
from zoo.errors import UserError
from zoo.evaluation.against_statistics import POSSIBLE, check_possible, distance_to, statistics_of
from zoo.evaluation.numbers import Floor, Modes, Number, measure_numbers
from zoo.evaluation.reference import MOST_TRAINING, ReferenceSet, reference_of_splits
from zoo.evaluation.reference_files import (
    ReferenceFile,
    extractor_of,
    is_reference_file,
    read_reference,
    write_statistics,
)
from zoo.features import Extractor, Features
from zoo.features import extractor as named_extractor
from zoo.io.environment import versions_of
from zoo.io.files import with_home
from zoo.runs.evaluation_request import FEWEST, Request
from zoo.runs.evaluation_results import PACKAGES, Evaluation, notes_on_rows
from zoo.runs.training_data import set_up_data

MOST = 50_000  # images, if `n` is not given
NAMED = {"real": "real images", "fake": "generated images", "train": "training images"}


@dataclass(frozen=True)
class Side:
    """One of the two sides of a measurement, before its features are computed.

    Args:
        name: the option that names it, `real`, `fake` or `train`.
        where: folder or file, as the user gave it.
        file: content of a file; None for a folder.
        sizes: sizes of the files of a folder; None for a file.
    """

    name: str
    where: str
    file: ReferenceFile | None
    sizes: Sizes | None

    @property
    def common_side(self) -> int:
        """The most common shorter side of its images, in pixels; 0 if it has no images."""
        if self.sizes is not None:
            return self.sizes.common_side
        assert self.file is not None
        return 0 if self.file.images is None else min(self.file.images.shape[1:3])

    @property
    def described(self) -> str:
        """Sizes of its images, or what its file holds, in words."""
        if self.sizes is not None:
            return str(self.sizes)
        assert self.file is not None
        if self.file.images is None:
            return f"{self.file.width} features"
        n, height, width = self.file.images.shape[:3]
        return f"{n:,} images of {width} x {height} px"

    @property
    def channels(self) -> int:
        """The channels of its images: 3 of a folder, those of the images in a file, 1 if it has none."""
        if self.file is None:
            return 3
        return 1 if self.file.images is None else self.file.images.shape[3]

    def images(self, size: int, channels: int, reading: Mapping[str, Any]) -> Split:
        """Return its images at a resolution; those of a folder are resized to it.

        Args:
            size: height and width in pixels.
            channels: 3 gives grey images of a file three equal channels, as grey ones of a folder have; 1 leaves them.
            reading: settings of `Folder` for reading files.

        Raises:
            UserError: if a file has no images, or has them at another resolution.
        """
        if self.file is None:
            with faults_of(self.name):
                data = set_up_data(image_source(self.name, self.where, size, 3, reading))
            print(data.describe(), file=sys.stderr)
            return data.train
        images = self.file.images
        if images is None:
            raise UserError(
                f"{self.name}: {self.where} holds {self.described}, no images. Give a folder, or an array (N, H, W, C) "
                "of uint8"
            )
        if images.shape[1:3] != (size, size):
            raise UserError(
                f"{self.name}: {self.where} holds {self.described}, which are not resized here; the comparison is at "
                f"{size} x {size} px. Give resolution={images.shape[1]}, or its images as a folder of files"
            )
        if images.shape[3] < channels:
            images = np.repeat(images, channels, axis=3)
        return Split(Pool(images, None, content_digest(images)), np.arange(len(images)))


def open_side(name: str, where: str, reading: Mapping[str, Any]) -> Side:
    """Open a folder of images, or a file of images, features or statistics, without decoding a folder's images.

    Raises:
        UserError: if there is no such folder or file, or it is refused.
    """
    path = with_home(where)
    if is_reference_file(path):
        return Side(name, where, read_reference(name, path), None)
    with faults_of(name):
        return Side(name, where, None, image_source(name, where, 1, 3, reading).sizes())


def evaluate_sets(
    real: str,
    fake: str,
    resolution: int,
    request: Request,
    reading: Mapping[str, Any] | None = None,
    train: str | None = None,
) -> Evaluation:
    """Measure one set of images against another.

    Args:
        real: folder of real images, or file of real images, features or statistics.
        fake: folder or file of generated images.
        resolution: resolution to compare at, in pixels; 0 for the most common size of the generated images.
        request: the checked options.
        reading: settings of `Folder` for reading files, see `folder_settings`.
        train: folder or file of training images, beside which `real` are held-out ones; None if there are none.

    Raises:
        UserError: for sides without images, or a metric that needs a model.
    """
    if request.truncation != [None] or request.with_cas or request.component is not None:
        raise UserError(
            "truncation, component and metrics=cas need a model: give checkpoint=RUN instead of fake=FOLDER"
        )
    if resolution < 0:
        raise UserError(f"resolution: pixels, or 0 for the most common size of the generated images; got {resolution}")
    named = {"real": real, "fake": fake} | ({} if train is None else {"train": train})
    sides = {name: open_side(name, where, reading or {}) for name, where in named.items()}
    given = sides["real"].file
    network = extractor_for(request, given)
    given = given and given.seen_by(network)
    names = metrics_for(request, given)
    from_file = [] if given is None else names_from_file(given, names, network)
    notes = [] if given is None or not from_file else given.check(network)
    size = resolution or sides["fake"].common_side
    channels = max(side.channels for side in sides.values())
    fakes = sides["fake"].images(size, channels, reading or {})
    _check_enough("fake", sides["fake"], fakes)
    n = min(request.n or MOST, len(fakes))
    fake_features = _chosen(fakes, network, n, request.seed).reference
    protocol = {
        "data": f"{real} against {fake}, {size} px",
        "resolution": size,
        "resolution_by": "asked for" if resolution else "most common size of the generated images",
        "real_files": sides["real"].described,
        "fake_files": sides["fake"].described,
        "seed": request.seed,
        "fake_digest": fakes.pool.digest,
    }
    numbers: list[Number] = []
    if given is not None and from_file:
        numbers = numbers_against(given, from_file, network, fake_features, protocol, request)
    others = [name for name in names if name not in from_file]
    if others:
        wanted = replace(request, n_real=request.n_real or n)
        chosen = _real_side(sides, network, wanted, lambda side: side.images(size, channels, reading or {}), protocol)
        measured = measure_numbers(
            others,
            network,
            chosen,
            fake_features,
            protocol,
            repeats=request.repeats,
            seed=request.seed,
            device=request.device,
        )
        for number in measured:
            number.protocol["split"] = "all of the folder" if given is None else "all of the file"
        numbers += measured
    rows = [{"truncation": None, "numbers": numbers}]
    mixed = [mixed_sizes_note(NAMED[name], side.sizes, size) for name, side in sides.items() if side.sizes]
    notes = [*notes_on_rows(rows, network), *notes, *(note for note in mixed if note)]
    return Evaluation(f"{fake} against {real}", Path("evaluation.json"), rows, notes, versions_of(PACKAGES))


def _check_enough(name: str, side: Side, images: Split) -> None:
    """Check that a side has enough images for a measurement.

    Raises:
        UserError: if it has not.
    """
    if len(images) < FEWEST:
        raise UserError(f"{name}: {side.where} has {len(images)} images; a measurement needs at least {FEWEST}")


def _real_side(
    sides: Mapping[str, Side],
    network: Extractor,
    request: Request,
    read: Callable[[Side], Split],
    protocol: dict[str, Any],
) -> ReferenceSet:
    """Return the features of real images, with those of training images if they are given; note digests."""
    reals = read(sides["real"])
    _check_enough("real", sides["real"], reals)
    protocol["real_digest"] = reals.pool.digest
    chosen = _chosen(reals, network, request.n_real, request.seed)
    if "train" not in sides:
        return chosen
    known = read(sides["train"])
    _check_enough("train", sides["train"], known)
    protocol |= {"train": sides["train"].where, "train_digest": known.pool.digest}
    features = _chosen(known, network, MOST_TRAINING, request.seed, further=False).reference
    return replace(chosen, split_name="held_out", train=features)


def extractor_for(request: Request, given: ReferenceFile | None) -> Extractor:
    """Build the extractor that is asked for; without a name, the one that a file was made by, or effnet-lite0.

    Raises:
        UserError: if it cannot be built, or nothing tells which it should be.
    """
    name = request.extractor
    if not name:
        name = "effnet-lite0" if given is None or not given.width else extractor_of(given)
    return named_extractor(name, **request.options).to(request.device)


def metrics_for(request: Request, given: ReferenceFile | None, with_images: bool = True) -> list[str]:
    """Return the names of the metrics to measure.

    Args:
        request: the checked options.
        given: file of the real side; None for a folder.
        with_images: whether images in the file can be used.

    Raises:
        UserError: for a metric for which the real side's file has too little.
    """
    if given is None or given.features is not None or (with_images and given.images is not None):
        return request.metrics or ["fid", "kid", "prdc"]
    names = request.metrics or ["fid"]
    check_possible(names, given)
    return names


def names_from_file(given: ReferenceFile, names: list[str], network: Extractor) -> list[str]:
    """Return the metrics that are measured against the statistics or features in a file, and not against its images.

    ADM's files have both: the statistics of the whole data set, and some of its images. As in ADM's own evaluation the
    Fréchet distance is to the statistics, if they are those of the extractor, and everything else to the images.
    """
    if given.images is None:
        return names
    return [name for name in names if given.statistics and name in POSSIBLE and given.extractor == network.name]


def numbers_against(
    given: ReferenceFile,
    names: list[str],
    network: Extractor,
    fake: Features,
    protocol: dict[str, Any],
    request: Request,
    modes: Modes | None = None,
    floors: dict[str, Floor] | None = None,
) -> list[Number]:
    """Measure features of generated images against the statistics or the features in a file.

    Args:
        given: the file.
        names: names of the metrics, checked.
        network: extractor of the generated images' features.
        fake: features of generated images.
        protocol: what else the numbers depend on.
        request: the checked options.
        modes: centres and standard deviation of points with known modes.
        floors: floors measured before on the same real images, by metric.
    """
    given.check_width(network.name, fake.values.shape[1])
    about = {**protocol, "reference": f"{given.path.name}, sha256 {given.digest()}", "made_by": given.made_by}
    if given.features is None:
        assert given.statistics is not None
        settings: dict[str, Any] = {"repeats": request.repeats, "seed": request.seed, "device": request.device}
        return [distance_to(name, given.statistics, given, network, fake, about, **settings) for name in names]
    count = min(request.n_real or len(given.features), len(given.features))
    order = torch.randperm(len(given.features), generator=torch.Generator().manual_seed(request.seed))
    first, others = given.features[order[:count]], given.features[order[count:]]
    empty = Split(Pool(np.zeros((0, 1, 1, 1), np.uint8), None, given.digest()), np.arange(0))
    reals = ReferenceSet("train", empty, np.arange(0), Features(first), Features(others) if len(others) else None)
    numbers = measure_numbers(
        names,
        network,
        reals,
        fake,
        about,
        modes=modes,
        repeats=request.repeats,
        seed=request.seed,
        floors=floors,
        device=request.device,
    )
    for number in numbers:
        number.protocol["split"] = "of the file"
    return numbers


def write_statistics_of_set(
    out: str, real: str, resolution: int, request: Request, reading: Mapping[str, Any] | None = None
) -> None:
    """Write mean and covariance of the features of real images in a folder or file.

    Args:
        out: the file to write, ending in .npz.
        real: folder or file of real images.
        resolution: resolution of the images of a folder, in pixels; 0 for their most common size.
        request: the checked options.
        reading: settings of `Folder` for reading files, see `folder_settings`.

    Raises:
        UserError: for a side without images, or a file that cannot be written.
    """
    side = open_side("real", real, reading or {})
    size = resolution or side.common_side
    images = side.images(size, side.channels, reading or {})
    network = named_extractor(request.extractor or "effnet-lite0", **request.options).to(request.device)
    about = {"data": f"{real}, {size} px", "digest": images.pool.digest, "files": side.described}
    write_statistics_of(out, images, network, request, about)


def write_statistics_of(out: str, images: Split, network: Extractor, request: Request, about: dict[str, Any]) -> None:
    """Write mean and covariance of the features of real images, and say so.

    Args:
        out: the file to write, ending in .npz.
        images: the images; `n_real` or `n` of the request takes a part of them.
        network: extractor of the features.
        request: the checked options.
        about: what is recorded about the images.
    """
    n = min(request.n_real or request.n or len(images), len(images))
    features = _chosen(images, network, n, request.seed, further=False).reference
    about = {**about, "seed": request.seed, "versions": versions_of(PACKAGES)}
    path = with_home(out)
    write_statistics(path, statistics_of(network, features, about))
    print(f"statistics of {len(features):,} images in features of {network.name}: {path}")


def _chosen(images: Split, network: Extractor, n: int, seed: int, further: bool = True) -> ReferenceSet:
    """Return the features of n images, and with `further` those of as many others, if there are any."""
    none = Split(images.pool, images.indices[:0])
    return reference_of_splits("train", images, none, network, n, seed, further=further)
