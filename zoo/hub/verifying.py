"""Verify a release: digests, tensors, the card, and the sample grid against a newly drawn one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.errors import ReleaseError, first_line, shell_word
from zoo.hub.loading import UserClasses, load
from zoo.io.files import with_home
from zoo.releases import release_format
from zoo.releases.audited import card_of
from zoo.releases.card_wording import WORDINGS
from zoo.releases.release_format import PICKLED, check_files
from zoo.releases.writing import redraw_grid, this_platform

ROUNDING = 2  # largest difference in grey levels between grids that were drawn on different platforms


def verify(folder: str | Path, cls: UserClasses | None = None) -> list[str]:
    """Check everything that a release claims.

    Args:
        folder: folder of the release.
        cls: class of the user's own that the release was made of, or its import path.

    Returns:
        One line for each check, all of which were passed.

    Raises:
        ReleaseError: naming the first check that failed.
    """
    release = with_home(folder)
    config = release_format.read_config(release / release_format.CONFIG)
    check_files(release, config)
    passed = [f"{len(config['files'])} files have the digests of {release_format.CONFIG}"]
    pickled = [path.name for path in release.iterdir() if path.suffix in PICKLED]
    if pickled:
        raise ReleaseError(f"{release} holds {pickled[0]}, a pickle. A release has none; remove it")
    unlisted = [name for name in release_format.OPTIONAL if name not in config["files"] and (release / name).exists()]
    if unlisted:
        raise ReleaseError(
            f"{release} holds {unlisted[0]}, of which its {release_format.CONFIG} has no digest, so that its content "
            "cannot be checked. Remove it, or pack the release again"
        )
    model = load(release / release_format.WEIGHTS, config, cls)
    passed.append(f"a {type(model).__name__} with {sum(p.numel() for p in model.parameters()):,} weights loads")
    try:
        _check_numbers(release, config)
        written = (release / release_format.CARD).read_text(encoding="utf-8")
        cards = [card_of(release, config, wording) for wording in WORDINGS]
        stored = np.asarray(Image.open(release / release_format.GRID).convert("RGB")).astype(int)
        grid, facts = redraw_grid(model, config["grid"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"{release} cannot be verified: {type(error).__name__}: {first_line(error)}") from error
    _check_card(release, written, cards)
    passed.append("the card agrees with the other files")
    passed.append(_compare_grids(release, config["grid"], stored, np.asarray(grid).astype(int), facts))
    return passed


def _check_numbers(release: Path, config: dict[str, Any]) -> None:
    """Check that the numbers were measured after as many images as the model of the release has seen.

    Raises:
        ReleaseError: when one was measured after another number of images.
    """
    if release_format.METRICS not in config["files"]:
        return
    metrics = json.loads((release / release_format.METRICS).read_text(encoding="utf-8"))
    for number in (n for evaluation in metrics["evaluations"] for row in evaluation["rows"] for n in row["numbers"]):
        seen = number["protocol"].get("images_seen")
        if seen != config["images_seen"]:
            raise ReleaseError(
                f"{release / release_format.METRICS} measured a model after {seen} images, this one has seen "
                f"{config['images_seen']}"
            )


def _check_card(release: Path, written: str, cards: list[str]) -> None:
    """Compare the card of a release with those that its other files give, in the wording of each version.

    Raises:
        ReleaseError: naming the first line that differs from the card in the current wording.
    """
    if written in cards:
        return
    pairs = zip(written.splitlines(), cards[0].splitlines())
    line = next((ours for ours, theirs in pairs if ours != theirs), "its length")
    raise ReleaseError(
        f"the card of {release} is not what its other files give; the first line that differs: {line}. "
        f"To write the card again: python -m zoo.hub card={shell_word(release)}"
    )


def _compare_grids(release: Path, claimed: dict[str, Any], stored: Any, drawn: Any, facts: dict[str, Any]) -> str:
    """Compare the grid of a release with a newly drawn one.

    Args:
        release: folder of the release.
        claimed: facts about the grid in the configuration.
        stored: pixels (H, W, 3) of `grid.png`.
        drawn: pixels (H, W, 3) of the new grid.
        facts: facts about the new grid.

    Returns:
        The result in a sentence.

    Raises:
        ReleaseError: when the pixels differ by more than the rounding of another platform explains.
    """
    same_platform = claimed.get("platform") == this_platform()
    if stored.shape != drawn.shape:
        raise ReleaseError(
            f"the grid of {release} is not of this model: {stored.shape} pixels, a fresh one {drawn.shape}"
        )
    largest = int(np.abs(stored - drawn).max())
    if largest > (0 if same_platform else ROUNDING):
        raise ReleaseError(
            f"the grid of {release} is not what its weights draw: pixels differ by up to {largest} of 255"
        )
    if same_platform and claimed.get("pixels_sha256") != facts["pixels_sha256"]:
        raise ReleaseError(f"the digest of the grid of {release} is not the one in its {release_format.CONFIG}")
    if largest:
        return f"a fresh grid differs by at most {largest} of 255; it was drawn on {claimed.get('platform')}"
    return "a fresh grid has the same pixels"
