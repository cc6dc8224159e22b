"""Measure which test finds which copies in given images: the work of `python -m zoo.audit.benchmark`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from zoo.audit.benchmark import density, membership
from zoo.audit.benchmark.bank import Half
from zoo.audit.benchmark.building import Bank, build, read_images
from zoo.audit.benchmark.detectors import SSCD_NAMES, detectors
from zoo.audit.benchmark.missing import descriptions, power_of_missing
from zoo.audit.benchmark.plants import CHANGES, DESCRIPTIONS
from zoo.audit.benchmark.power import FALSE_ALARMS, Design, Test, power
from zoo.audit.benchmark.table import markdown
from zoo.audit.benchmark.white_box import open_discriminator, white_box
from zoo.data.given_folder import folder_settings
from zoo.errors import UserError, did_you_mean
from zoo.features import extractor as named_extractor
from zoo.io.environment import versions_of
from zoo.io.files import atomic_write, with_home
from zoo.training.hardware import select_device

FEWEST_HELD_OUT = 400
"""Half of them are the reference, and sets of half of the others are drawn again and again."""
SHARES = (0.002, 0.01, 0.05, 0.2)
PACKAGES = ("torch", "scikit-learn", "scipy")
PARTS = {
    "copying": "tests for copies",
    "fld": "FLD gap (Jiralerspong et al. 2023)",
    "membership": "membership inference, black box",
    "missing": "tests for a small support and a class that is missing",
}
"""What `tests=` chooses from."""
WHITE_BOX = "membership inference, white box"
SSCD_FIXED = "SSCD at its fixed threshold 0.5 (Somepalli et al. 2023)"
NOT_RUN = {
    WHITE_BOX: "needs the scores of a discriminator: discriminator=RUN",
    SSCD_FIXED: "needs extractor=sscd, whose weights are in a package with a licence of its own",
    "MI and ONI (Deo et al. 2026)": "their features are those of a network for MRI, not installed with this library",
    "DeepSSIM (Scardace et al. 2025)": "a network has to be trained for it on each set of images",
}
"""Published tests that are not in the table, and why."""
FIXED = (
    "Tests called *fixed* have the threshold of their paper, and find a set in which one image is below it; the first "
    "column is the false alarms that this makes."
)


def benchmark(
    train: str,
    held_out: str,
    extractor: str = "effnet-lite0",
    options: dict[str, Any] | None = None,
    resolution: int = 0,
    kinds: str | list[str] = "all",
    shares: float | Sequence[float] = SHARES,
    tests: str | list[str] = "all",
    labels: str | None = None,
    n: int = 1000,
    seeds: int = 10,
    honest: int = 500,
    planted: int = 20,
    copies: int = 500,
    discriminator: str | None = None,
    data: dict[str, Any] | None = None,
    device: str = "auto",
    out: str = "power.json",
) -> dict[str, Any]:
    """Measure the power of tests for memorisation on given images, with planted copies of a known kind and share.

    Sets of n images stand for what a generator draws: honest ones are held-out images, and in planted ones a share of
    them are changed training images. The threshold of each test is the value that 1 % of the honest sets exceed, so
    that all tests raise equally many false alarms, which is checked on further honest sets. No generator is needed, so
    this says what the tests can find in images like these, by whatever model they will be made.

    Further tables measure tests for faults without copies (few distinct images, a class that is missing), and what an
    attacker who sees a set learns about which images were trained on.

    Args:
        train: folder of training images, or a .zip, .npz or .npy file of them.
        held_out: folder or file of images of the same origin, at least 400, none of which is in `train`.
        extractor: network that computes the features; see `python -m zoo.evaluate --help`.
        options: settings of the extractor, such as options.weights=PATH.
        resolution: height and width in pixels; 0 for the most common size of the training images.
        kinds: kinds of copies, a list or joined by commas: exact, noisy, shifted, mirrored, cropped, re-encoded,
            brightened, blended, patched; or all.
        shares: shares of copies in a set, each above 0 and at most 1.
        tests: what is measured, a list or joined by commas: copying, fld, membership, missing; or all. Half of the time
            goes to fld.
        labels: classes, of which one is left out: subfolders, none, or a CSV file of rows path,class. Without it, the
            subfolders of both folders are the classes if their names agree, and otherwise clusters take their place.
        n: images in a set; at most a quarter of the held-out ones.
        seeds: number of seeds, each with another half of the held-out images as the reference.
        honest: honest sets of each seed for the threshold; as many again check the false alarms.
        planted: planted sets of each seed, kind and share.
        copies: training images of which copies are made; at least as many as a set has.
        discriminator: run folder, checkpoint or release that was trained on `train`, whose discriminator's scores are a
            further attack on membership; a model without classes.
        data: settings of reading the files: data.on_corrupt, data.value_range, data.background, data.match, data.cache.
        device: device of the extractor: auto, cpu or cuda.
        out: the JSON file; a table is written beside it, ending in .md.

    Returns:
        What is written.

    Raises:
        UserError: for images that cannot be read or are too few, or unknown kinds.

    Examples:
        python -m zoo.audit.benchmark train=photos held_out=other_photos
        python -m zoo.audit.benchmark train=photos held_out=other_photos tests=membership discriminator=runs/photos
        python -m zoo.audit.benchmark train=photos held_out=other_photos kinds=exact,shifted shares=[0.05] tests=copying
    """
    chosen, parts = _names(kinds, "kinds", "kind", CHANGES), _names(tests, "tests", "test", PARTS)
    levels = [shares] if isinstance(shares, int | float) else list(shares)
    _check(levels, {"n": n, "seeds": seeds, "planted": planted, "copies": copies}, honest)
    place = with_home(out)
    if place.suffix != ".json":
        raise UserError(f"out: a file ending in .json; got {out!r}")
    network = named_extractor(extractor, **(options or {})).to(select_device(device))
    known, unseen = read_images(train, held_out, resolution, labels, folder_settings(data))
    if len(unseen) < FEWEST_HELD_OUT:
        raise UserError(f"held_out: at least {FEWEST_HELD_OUT} images; {held_out} has {len(unseen):,}")
    size = min(n, len(unseen) // 4)
    copied = max(copies, math.ceil(max(levels) * size))  # each copy in a set is of another training image
    if copied > len(known):
        raise UserError(f"train: {copied:,} images to copy are needed, which {train} has not: {len(known):,}")
    scored = None
    if discriminator is not None:  # first, since it is quick and may be refused
        opened = open_discriminator(discriminator, train, held_out, select_device(device))
        scored = white_box(opened, known, unseen, seeds)
    bank = build(network, known, unseen, chosen, copied, "copying" in parts)
    design = Design(size, levels, seeds, honest, planted)
    not_run = {text: "not in tests=" for part, text in PARTS.items() if part not in parts} | NOT_RUN
    if scored is not None:
        del not_run[WHITE_BOX]
    if network.name in SSCD_NAMES and "copying" in parts:
        del not_run[SSCD_FIXED]
    protocol = {
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
        "not run": not_run,
        "versions": versions_of(PACKAGES),
    }
    result = {"protocol": protocol, **_measured(bank, design, parts, protocol)}
    if scored is not None:
        result["discriminator"] = scored
    _write(place, result)
    return result


def _measured(bank: Bank, design: Design, parts: list[str], protocol: dict[str, Any]) -> dict[str, Any]:
    """Run the wanted parts; what is to be known about each goes into the protocol."""
    (name, points), *_ = bank.points.items()
    notes: dict[str, str] = {}
    protocol["notes"] = notes

    def tests(half: Half) -> dict[str, Test]:
        found = detectors(bank.views, half, bank.equal) if "copying" in parts else {}
        if "fld" in parts:
            gap = density.gap_of_sets(points.train, points.images, half.rows, seed=0)
            found[f"{density.NAME}, {name}"] = Test(gap, sets=density.SETS)
        return found

    found: dict[str, Any] = {"rows": power(tests, bank.copies, bank.held_out, design)}
    if found["rows"]:
        notes["fixed"] = FIXED
    if "fld" in parts:
        notes["fld"] = density.note(design)
    if "missing" in parts:
        gallery = bank.gallery(design.n)
        protocol["faults without copies"] = descriptions(gallery.sorting)
        found["missing"] = power_of_missing(gallery, design)
    if "membership" in parts:
        protocol["members"] = min(len(points.train), membership.MOST)
        found["membership"] = {
            space: membership.black_box(each.train, each.images, bank.copies, bank.held_out, design)
            for space, each in bank.points.items()
        }
    return found


@wraps(benchmark)
def main(**options: Any) -> None:
    """Run `benchmark` and print the table."""
    result = benchmark(**options)
    print(markdown(result))


def _names(given: str | list[str], option: str, noun: str, known: Mapping[str, Any]) -> list[str]:
    """Return the names that an option gives, of some that are known.

    Raises:
        UserError: for an unknown one.
    """
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    if names == ["all"]:
        return list(known)
    for name in names:
        if name not in known:
            close = did_you_mean(name, known, lists=False)
            raise UserError(f"{option}: there is no {noun} {name!r}.{close} Known: {', '.join(known)}")
    return names


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
