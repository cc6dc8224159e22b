"""The sample grids of a run over time, for the slider of its page: as addresses, or as pictures in the page itself."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.io.run_folder import RunFolder, spread
from zoo.rendering.templating import data_uri

SAMPLES = "samples"
"""Address of the grids below that of a page that is served."""
EMBEDDED = 16_000_000
"""Bytes of PNG files up to which a page contains all grids as they are."""
MOST_EMBEDDED = 120
"""Number of grids up to which a page contains all of them."""
QUALITY = 90
"""Quality of the WebP pictures that take the place of the PNG files where those would be too large together."""


@dataclass(frozen=True)
class Frames:
    """The grids of a run.

    Args:
        frames: images seen and address of each grid, oldest first, as plain values.
        real: address of the picture of training images; None without it.
        total: number of grids that are saved.
        is_lossy: whether the pictures, except the newest, are compressed with a loss.
    """

    frames: list[dict[str, Any]]
    real: str | None
    total: int
    is_lossy: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"frames": self.frames, "real": self.real, "total": self.total, "lossy": self.is_lossy}


def pictures_of(run: Path) -> dict[str, Path]:
    """Return the pictures of a run that its page may show, by their file names."""
    files = RunFolder(run)
    paths = [*files.sample_grids(), *([files.real_grid] if files.real_grid.is_file() else [])]
    return {path.name: path for path in paths}


def linked_frames(run: Path) -> Frames:
    """Return all grids of a run by their addresses below the page."""
    files = RunFolder(run)
    grids = [path for path in files.sample_grids() if path.stem.isdecimal()]
    frames = [{"images": int(path.stem), "source": f"{SAMPLES}/{path.name}"} for path in grids]
    real = f"{SAMPLES}/{files.real_grid.name}" if files.real_grid.is_file() else None
    return Frames(frames, real, len(grids))


def embedded_frames(run: Path) -> Frames:
    """Return the grids of a run as `data:` addresses, for a page that is one file.

    Of more grids than `MOST_EMBEDDED` a selection is taken, evenly spread, with the first and the last. Files that are
    larger than `EMBEDDED` together are compressed, except the newest.
    """
    files = RunFolder(run)
    grids = [path for path in files.sample_grids() if path.stem.isdecimal()]
    chosen = spread(grids, MOST_EMBEDDED)
    is_lossy = sum(path.stat().st_size for path in chosen) > EMBEDDED
    frames = [
        {"images": int(path.stem), "source": _compressed(path) if is_lossy and path != grids[-1] else _exact(path)}
        for path in chosen
    ]
    real = _exact(files.real_grid) if files.real_grid.is_file() else None
    return Frames([frame for frame in frames if frame["source"]], real, len(grids), is_lossy)


def _exact(path: Path) -> str:
    """Return a picture as it is; empty if it cannot be read or is none, such as half of one."""
    try:
        return data_uri(path.read_bytes())
    except (OSError, KeyError):
        return ""


def _compressed(path: Path) -> str:
    """Return a picture compressed as WebP; empty if it cannot be read."""
    from PIL import Image  # here: a fault of the command line is said without it

    buffer = io.BytesIO()
    try:
        with Image.open(path) as picture:
            picture.convert("RGB").save(buffer, format="webp", quality=QUALITY, method=2)
    except (OSError, SyntaxError):
        return ""
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
