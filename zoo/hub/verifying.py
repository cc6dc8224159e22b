"""Holding a release against itself: digests, tensors, card, and the grid against a fresh sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.errors import ReleaseError, first_line
from zoo.hub.loading import UserClasses, load
from zoo.releases import release_format
from zoo.releases.audited import card_of
from zoo.releases.release_format import PICKLED, check_files
from zoo.releases.writing import redraw_grid, this_platform

ROUNDING = 2  # grey levels by which another platform's grid may differ


def verify(folder: str | Path, cls: UserClasses | None = None) -> list[str]:
    """Check everything that a release claims; returns a line for each check that it passed.

    Raises:
        ReleaseError: naming the first that it fails.
    """
    place = Path(folder)
    config = release_format.read_config(place / release_format.CONFIG)
    check_files(place, config)
    passed = [f"{len(config['files'])} files have the digests of {release_format.CONFIG}"]
    pickled = [path.name for path in place.iterdir() if path.suffix in PICKLED]
    if pickled:
        raise ReleaseError(f"{place} holds {pickled[0]}, a pickle. A release has none; remove it")
    unlisted = [name for name in release_format.OPTIONAL if name not in config["files"] and (place / name).exists()]
    if unlisted:
        raise ReleaseError(
            f"{place} holds {unlisted[0]}, of which its {release_format.CONFIG} has no digest: nobody vouches "
            "for what it says. Remove it, or pack the release again"
        )
    model = load(place / release_format.WEIGHTS, config, cls)
    passed.append(f"a {type(model).__name__} with {sum(p.numel() for p in model.parameters()):,} weights loads")
    try:
        _check_numbers(place, config)
        written, made = (place / release_format.CARD).read_text(encoding="utf-8"), card_of(place, config)
        picture = np.asarray(Image.open(place / release_format.GRID).convert("RGB")).astype(int)
        again, facts = redraw_grid(model, config["grid"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"{place} cannot be verified: {type(error).__name__}: {first_line(error)}") from error
    if written != made:
        line = next((a for a, b in zip(written.splitlines(), made.splitlines()) if a != b), "its length")
        raise ReleaseError(f"the card of {place} is not what its files say; the first line that differs: {line}")
    passed.append("the card says what the other files say")
    passed.append(_compare_grids(place, config["grid"], picture, np.asarray(again).astype(int), facts))
    return passed


def _check_numbers(place: Path, config: dict[str, Any]) -> None:
    """Numbers must be those of this model at this moment of its training.

    Raises:
        ReleaseError: when they are another's.
    """
    if release_format.METRICS not in config["files"]:
        return
    found = json.loads((place / release_format.METRICS).read_text(encoding="utf-8"))
    for number in (n for each in found["evaluations"] for row in each["rows"] for n in row["numbers"]):
        seen = number["protocol"].get("images_seen")
        if seen != config["images_seen"]:
            raise ReleaseError(
                f"{place / release_format.METRICS} measured a model after {seen} images, this one has seen "
                f"{config['images_seen']}"
            )


def _compare_grids(place: Path, claimed: dict[str, Any], picture: Any, again: Any, facts: dict[str, Any]) -> str:
    same_platform = claimed["platform"] == this_platform()
    if picture.shape != again.shape:
        raise ReleaseError(
            f"the grid of {place} is not of this model: {picture.shape} pixels, a fresh one {again.shape}"
        )
    largest = int(np.abs(picture - again).max())
    if largest > (0 if same_platform else ROUNDING):
        raise ReleaseError(f"the grid of {place} is not what its weights draw: pixels differ by up to {largest} of 255")
    if same_platform and claimed["pixels_sha256"] != facts["pixels_sha256"]:
        raise ReleaseError(f"the grid of {place} has another digest than its {release_format.CONFIG} says")
    if largest:
        return f"a fresh grid differs by at most {largest} of 255; it was drawn on {claimed['platform']}"
    return "a fresh grid has the same pixels"
