"""Measure which test finds which copies in given images: the work of `python -m zoo.audit.benchmark`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.audit.benchmark.bank import RegisteredView, View, registered_view, view_of
from zoo.audit.benchmark.plants import CHANGES, DESCRIPTIONS, planted_copies
from zoo.audit.benchmark.power import FALSE_ALARMS, Design, power
from zoo.audit.benchmark.table import markdown
from zoo.audit.evidence.evidence import PIXEL_SIZE
from zoo.audit.evidence.images import MIRRORED, ImageSet, digests, mirror_invariant
from zoo.audit.evidence.stored import split_images
from zoo.audit.statistics.registration import SMALLEST
from zoo.data.given_folder import faults_of, folder_settings, image_source
from zoo.data.pool import to_float
from zoo.errors import UserError, did_you_mean
from zoo.features import Extractor, features_of
from zoo.features import extractor as named_extractor
from zoo.io.environment import versions_of
from zoo.io.files import atomic_write, with_home
from zoo.training.hardware import select_device

FEWEST_HELD_OUT = 400
"""Half of them are the reference, and sets of half of the others are drawn again and again."""
SHARES = (0.002, 0.01, 0.05, 0.2)
PACKAGES = ("torch", "scikit-learn", "scipy")
NOT_RUN = {
    "FLD gap (Jiralerspong et al. 2023)": "a density is fitted to each set, which takes seconds; `zoo.audit` and "
    "`zoo.evaluate metrics=fld` compute it for a single set",
    "membership inference": "needs the discriminator, or the sampling of one image many times; `zoo.audit "
    "only=discriminator` asks the discriminator",
    "SSCD at its fixed threshold 0.5": "its weights are not under an open licence; not installed with this library",
}
"""Published tests that are not in the table, and why."""


def benchmark(
    train: str,
    held_out: str,
    extractor: str = "effnet-lite0",
    options: dict[str, Any] | None = None,
    resolution: int = 0,
    kinds: str | list[str] = "all",
    shares: float | Sequence[float] = SHARES,
    n: int = 1000,
    seeds: int = 10,
    honest: int = 500,
    planted: int = 20,
    copies: int = 500,
    data: dict[str, Any] | None = None,
    device: str = "auto",
    out: str = "power.json",
) -> dict[str, Any]:
    """Measure the power of tests for memorisation on given images, with planted copies of a known kind and share.

    Sets of n images stand for what a generator draws: honest ones are held-out images, and in planted ones a share of
    them are changed training images. The threshold of each test is the value that 1 % of the honest sets exceed, so
    that all tests raise equally many false alarms, which is checked on further honest sets. No generator is needed, so
    this says what the tests can find in images like these, by whatever model they will be made.

    Args:
        train: folder of training images, or a .zip, .npz or .npy file of them.
        held_out: folder or file of images of the same origin, at least 400, none of which is in `train`.
        extractor: network that computes the features; see `python -m zoo.evaluate --help`.
        options: settings of the extractor, such as options.weights=PATH.
        resolution: height and width in pixels; 0 for the most common size of the training images.
        kinds: kinds of copies, a list or joined by commas: exact, noisy, shifted, mirrored, cropped, re-encoded,
            brightened, blended, patched; or all.
        shares: shares of copies in a set, each above 0 and at most 1.
        n: images in a set; at most a quarter of the held-out ones.
        seeds: number of seeds, each with another half of the held-out images as the reference.
        honest: honest sets of each seed for the threshold; as many again check the false alarms.
        planted: planted sets of each seed, kind and share.
        copies: training images of which copies are made; at least as many as a set has.
        data: settings of reading the files: data.on_corrupt, data.value_range, data.background, data.match, data.cache.
        device: device of the extractor: auto, cpu or cuda.
        out: the JSON file; a table is written beside it, ending in .md.

    Returns:
        What is written.

    Raises:
        UserError: for images that cannot be read or are too few, or unknown kinds.

    Examples:
        python -m zoo.audit.benchmark train=photos held_out=other_photos
        python -m zoo.audit.benchmark train=photos held_out=other_photos kinds=exact,shifted shares=[0.05] seeds=3
    """
    chosen, levels = _kinds(kinds), [shares] if isinstance(shares, int | float) else list(shares)
    _check(levels, {"n": n, "seeds": seeds, "planted": planted, "copies": copies}, honest)
    place = with_home(out)
    if place.suffix != ".json":
        raise UserError(f"out: a file ending in .json; got {out!r}")
    network = named_extractor(extractor, **(options or {})).to(select_device(device))
    known, unseen = _images(train, held_out, resolution, folder_settings(data))
    if len(unseen) < FEWEST_HELD_OUT:
        raise UserError(f"held_out: at least {FEWEST_HELD_OUT} images; {held_out} has {len(unseen):,}")
    size = min(n, len(unseen) // 4)
    copied = max(copies, math.ceil(max(levels) * size))  # each copy in a set is of another training image
    if copied > len(known):
        raise UserError(f"train: {copied:,} images to copy are needed, which {train} has not: {len(known):,}")
    views, equal, rows = _views(network, known, unseen, chosen, copied)
    design = Design(size, levels, seeds, honest, planted)
    result = {
        "protocol": {
            "train": len(known),
            "held_out": len(unseen),
            "resolution": known.shape[-1],
            "extractor": {"name": network.name, **network.protocol},
            "n": size,
            "shares": levels,
            "seeds": seeds,
            "honest sets for each threshold": honest,
            "planted sets of each seed": planted,
            "training images that copies are made of": copied,
            "false alarms": FALSE_ALARMS,
            "kinds": {kind: DESCRIPTIONS[kind] for kind in chosen},
            "not run": NOT_RUN,
            "versions": versions_of(PACKAGES),
        },
        "rows": power(views, equal, rows, len(unseen), design),
    }
    _write(place, result)
    return result


@wraps(benchmark)
def main(**options: Any) -> None:
    """Run `benchmark` and print the table."""
    result = benchmark(**options)
    print(markdown(result))


def _kinds(given: str | list[str]) -> list[str]:
    """Return the kinds of copies.

    Raises:
        UserError: for an unknown one.
    """
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
    if names == ["all"]:
        return list(CHANGES)
    for name in names:
        if name not in CHANGES:
            raise UserError(
                f"kinds: there is no kind {name!r}.{did_you_mean(name, CHANGES)} Known: {', '.join(CHANGES)}"
            )
    return list(names)


def _check(shares: list[float], counts: Mapping[str, int], honest: int) -> None:
    """Check the shares and the numbers.

    Raises:
        UserError: for those out of range.
    """
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong or not shares:
        raise UserError(f"shares: numbers above 0 and at most 1; got {wrong[0] if wrong else shares}")
    for name, value in counts.items():
        if value < 1:
            raise UserError(f"{name}: at least 1; got {value}")
    if honest < round(1 / FALSE_ALARMS):
        raise UserError(
            f"honest: at least {round(1 / FALSE_ALARMS)} sets, since the threshold is what {FALSE_ALARMS:.0%} of them "
            f"exceed; got {honest}"
        )


def _images(train: str, held_out: str, resolution: int, reading: Mapping[str, Any]) -> tuple[ImageSet, ImageSet]:
    """Read the training and the held-out images at one resolution."""
    with faults_of("train"):
        size = resolution or image_source("train", train, 1, 3, reading).sizes().common_side
    read = []
    for name, path in (("train", train), ("held_out", held_out)):
        source = image_source(name, path, size, 3, reading)
        with faults_of(name):
            source.setup()
        read.append(ImageSet(name, split_images(source.train)))
    return read[0], read[1]


def _views(
    network: Extractor, train: ImageSet, held_out: ImageSet, kinds: list[str], copies: int
) -> tuple[dict[str, View | RegisteredView], Tensor, dict[str, Tensor]]:
    """Compute the views of held-out images and copies, which of them equal training images, and the rows by kind."""
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:copies]
    sources = train.images(chosen)
    planted = [planted_copies(kind, sources, torch.Generator().manual_seed(i)) for i, kind in enumerate(kinds)]
    made = ImageSet("copies", torch.cat(planted))
    pixels = named_extractor("pixels", size=min(PIXEL_SIZE, train.shape[-1]))
    views: dict[str, View | RegisteredView] = {}
    for name, extractor in ((network.name, network), ("pixels", pixels)):
        known = _features(extractor, train)
        views[name] = view_of(name, known, _features(extractor, held_out), _features(extractor, made), seed=0)
    views[f"{MIRRORED}pixels"] = view_of(
        f"{MIRRORED}pixels", known, _features(pixels, held_out.mirrored()), _features(pixels, made.mirrored()), seed=0
    )
    if train.shape[-1] >= SMALLEST:
        views["registered pixels"] = registered_view(train, held_out, made, seed=0)
    originals = set(mirror_invariant(digests(train), train))
    equal = [d in originals for part in (held_out, made) for d in mirror_invariant(digests(part), part)]
    first = len(held_out)
    return views, torch.tensor(equal), {kind: torch.arange(copies) + first + i * copies for i, kind in enumerate(kinds)}


def _features(network: Extractor, images: ImageSet) -> Tensor:
    """Compute the features (N, D) of images."""
    title = f"{network.name} of {images.name.replace('_', '-')} images"
    return features_of(network, (to_float(part) for part in images.parts()), total=len(images), title=title).values


def _write(path: Path, result: dict[str, Any]) -> None:
    """Write the result as JSON, and as a table beside it.

    Raises:
        UserError: if a file cannot be written.
    """
    try:
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(result, indent=1) + "\n")
        with atomic_write(path.with_suffix(".md")) as scratch:
            scratch.write_text(markdown(result) + "\n")
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error
