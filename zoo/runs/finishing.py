"""Decide whether a run is finished in every respect, so that resuming it has nothing left to do."""

from __future__ import annotations

from pathlib import Path

from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import RunFolder
from zoo.training.clock import progress_of


def finished_line(folder: Path, start: Path | None, images: int) -> str | None:
    """Return a line that says that a run is finished, or None if resuming it has something to do.

    A run that was killed after its last checkpoint has all its images, but not the work of its end: the last samples
    and metrics, the report on held-out images, the animation.

    Args:
        folder: the run folder.
        start: the checkpoint to resume from; None for a new run.
        images: length of the run, in images.
    """
    seen = 0 if start is None else progress_of(read_checkpoint(start)["zoo"])
    if start is None or seen < images:
        return None
    run = RunFolder(folder)
    starts, ends = run.starts(), run.ends()
    # Ends recorded by version 0.1.0 have no `complete`; a run that was killed has no end for its last start.
    complete = bool(ends) and ends[-1].get("start", len(ends)) >= len(starts) and ends[-1].get("complete", True)
    if not complete:
        return None
    if seen > images:
        return f"{folder} has seen {seen:,} images, and images={images} asks for no more. Give a larger one to train on"
    return f"{folder} is finished, with all of its {images:,} images. Give a larger images=NUMBER to train on"
