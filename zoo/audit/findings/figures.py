"""Pictures of findings as PNG: plots of numbers, and images side by side. Both read on light and on dark pages."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from zoo.audit.findings.finding import Figure
from zoo.rendering.pictures import SMALLEST_CELL, single
from zoo.rendering.pictures import can_plot as can_plot  # questions ask it of this module

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"train": "#b4529a", "held_out": "#3d7ecc", "generated": "#d5762a", "null": "#8a9099"}
"""One colour for each origin of images, in every figure; `null` is what held-out data would give."""

LARGEST_CELL = 96  # pixels; larger images are shrunk, so that a report stays small
GAP = 3  # pixels between cells
BAND, TEXT = (62, 68, 77, 255), (255, 255, 255, 255)  # of titles: they bring their own ground, and so read on any page
CARD, INK, FAINT = "#fbfbfc", "#1b1d20", "#5f656d"  # plots stand on a light card; a dark page may invert it


def plot(
    draw: Callable[[Axes], None], name: str, caption: str, size: tuple[float, float] = (6.0, 3.0)
) -> Figure | None:
    """One panel; the same drawing gives the same bytes, whatever the user's matplotlib settings.

    Args:
        draw: puts lines, labels and a legend on the axes. Use `COLOURS` for images of the three origins.
        name: of the figure: letters, digits and dashes.
        caption: what is to be seen; also for those who cannot see it.
        size: in inches.

    Returns:
        The figure, or None where matplotlib is not installed.
    """
    if not can_plot():
        return None
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure as Canvas  # not pyplot: no global state, no display

    settings = {key: value for key, value in rcParamsDefault.items() if not key.startswith(("backend", "toolbar"))}
    settings |= {
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.facecolor": CARD,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "lines.linewidth": 1.6,
        "figure.facecolor": CARD,
        "savefig.facecolor": CARD,
    }
    with rc_context(settings):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas.add_subplot())
        buffer = io.BytesIO()
        canvas.savefig(buffer, dpi=130, format="png", metadata={"Software": None})
    with Image.open(buffer) as picture:  # few colours: a palette makes the file a third as large
        flat = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    return Figure(name, caption, _png(flat), plot=True)


def pictures(images: Tensor, columns: int, name: str, caption: str, titles: Sequence[str] | None = None) -> Figure:
    """Images in rows of `columns`, on no ground of their own.

    Args:
        images: (N, C, H, W) in [-1, 1]. Small ones are enlarged by a whole factor, large ones shrunk.
        columns: images in a row.
        name: of the figure: letters, digits and dashes.
        caption: what is to be seen; also for those who cannot see it.
        titles: one for each column, shown once on top; or one for each image, shown below it.

    Raises:
        ValueError: for no images, or another number of titles.
    """
    n, columns = len(images), min(columns, len(images))
    if not n:
        raise ValueError("a picture needs at least one image")
    if titles is not None and len(titles) not in (columns, n):
        raise ValueError(f"titles: one for each of {columns} columns or {n} images; got {len(titles)}")
    cells = _cells(images)
    wide, high = cells[0].size
    font = ImageFont.load_default(11)
    band = 0 if titles is None else 17
    on_top = titles is not None and len(titles) == columns
    if titles is not None:
        wide = max(wide, *(int(font.getlength(title)) + 8 for title in titles))
    rows = -(-n // columns)
    step = high + GAP + (0 if on_top else band)
    top = band + GAP if on_top else 0
    canvas = Image.new("RGBA", (columns * (wide + GAP) - GAP, top + rows * step - GAP), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for i, cell in enumerate(cells):
        left, upper = (i % columns) * (wide + GAP), top + (i // columns) * step
        canvas.paste(cell, (left + (wide - cell.width) // 2, upper))
        if titles is not None and (i < columns or not on_top):
            edge = 0 if on_top else upper + high
            pen.rectangle((left, edge, left + wide - 1, edge + band - 1), BAND)
            pen.text((left + wide / 2, edge + band / 2), titles[i], TEXT, font, anchor="mm")
    return Figure(name, caption, _png(canvas))


def pairs(first: Tensor, second: Tensor, name: str, caption: str, titles: tuple[str, str], across: int = 8) -> Figure:
    """Images (N, C, H, W) above those (N, C, H, W) they belong to, `across` pairs in a row; a word for each in front.

    The rows alternate: some of the first, below them their partners, and again.
    """
    if len(first) != len(second):
        raise ValueError(f"as many first images as second ones; got {len(first)} and {len(second)}")
    font = ImageFont.load_default(11)
    edge = max(int(font.getlength(title)) for title in titles) + 8
    upper, lower = _cells(first), _cells(second)
    wide, high = upper[0].size
    across = min(across, len(upper))
    blocks = -(-len(upper) // across)
    deep = 2 * high + 3 * GAP  # of a block: two rows, and more room after them
    canvas = Image.new("RGBA", (edge + across * (wide + GAP), blocks * deep - 2 * GAP), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for block in range(blocks):
        for line, (cells, title) in enumerate(zip((upper, lower), titles)):
            y = block * deep + line * (high + GAP)
            pen.rectangle((0, y, edge - 1, y + high - 1), BAND)
            pen.text((edge / 2, y + high / 2), title, TEXT, font, anchor="mm")
            for i, cell in enumerate(cells[block * across : (block + 1) * across]):
                canvas.paste(cell, (edge + GAP + i * (wide + GAP), y))
    return Figure(name, caption, _png(canvas))


def _cells(images: Tensor) -> list[Image.Image]:
    """Images at a size for looking at."""
    size = max(images.shape[-2:])
    shown = images.detach().float().cpu()
    if shown.shape[1] not in (1, 3):  # more channels than a picture has: the first is shown
        shown = shown[:, :1]
    if size > LARGEST_CELL:
        scale = LARGEST_CELL / size
        shown = interpolate(shown, scale_factor=scale, mode="bilinear", antialias=True, align_corners=False)
    else:
        factor = max(1, SMALLEST_CELL // size)
        shown = shown.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return [single(image) for image in torch.unbind(shown)]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
