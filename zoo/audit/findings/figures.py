"""Figures of findings as PNG: plots of numbers, and grids of images. Both are legible on light and on dark pages."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from zoo.audit.findings.finding import Figure
from zoo.rendering.pictures import SMALLEST_CELL, single
from zoo.rendering.svg import can_plot as can_plot  # re-exported: tests and studies patch it here

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"train": "#b4529a", "held_out": "#3d7ecc", "generated": "#d5762a", "null": "#8a9099"}
"""Colour of each origin of images, the same in every figure; `null` is for what held-out data give."""

LARGEST_CELL = 96  # pixels; larger images are shrunk, which keeps reports small
GAP = 3  # pixels between cells
TITLE_BACKGROUND, TITLE_TEXT = (62, 68, 77, 255), (255, 255, 255, 255)  # legible on any page
PLOT_BACKGROUND, INK, FAINT = "#fbfbfc", "#1b1d20", "#5f656d"  # plots are light; a dark page may invert them


def plot(
    draw: Callable[[Axes], None], name: str, caption: str, size: tuple[float, float] = (6.0, 3.0)
) -> Figure | None:
    """Plot a single panel. The same drawing gives the same bytes, whatever the user's matplotlib settings.

    It is drawn when its content is asked for, see `Figure`.

    Args:
        draw: function that draws lines, labels and a legend on the axes; `COLOURS` has the colour of each origin. What
            it refers to stays in memory as long as the figure.
        name: name of the figure: letters, digits and dashes.
        caption: description of the plot; also the alternative text.
        size: width and height in inches.

    Returns:
        The figure, or None if matplotlib is not installed.
    """
    return Figure(name, caption, partial(_plotted, draw, size), plot=True) if can_plot() else None


def _plotted(draw: Callable[[Axes], None], size: tuple[float, float]) -> bytes:
    """Return a plot as the content of a PNG file."""
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure as Canvas  # not pyplot: no global state, no display

    settings = {key: value for key, value in rcParamsDefault.items() if not key.startswith(("backend", "toolbar"))}
    settings |= {
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.facecolor": PLOT_BACKGROUND,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "lines.linewidth": 1.6,
        "figure.facecolor": PLOT_BACKGROUND,
        "savefig.facecolor": PLOT_BACKGROUND,
    }
    with rc_context(settings):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas.add_subplot())
        buffer = io.BytesIO()
        canvas.savefig(buffer, dpi=130, format="png", metadata={"Software": None})
    with Image.open(buffer) as picture:  # few colours: with a palette the file is a third as large
        flat = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    return _png(flat)


def pictures(images: Tensor, columns: int, name: str, caption: str, titles: Sequence[str] | None = None) -> Figure:
    """Draw images in rows of `columns`, on a transparent background.

    Args:
        images: images (N, C, H, W) in [-1, 1]; small ones are enlarged by an integer factor, large ones shrunk.
        columns: number of images in a row.
        name: name of the figure: letters, digits and dashes.
        caption: description of the picture; also the alternative text.
        titles: one title for each column, shown once at the top, or one for each image, shown below it.

    Returns:
        The figure.

    Raises:
        ValueError: if there are no images, or the number of titles fits neither columns nor images.
    """
    n, columns = len(images), min(columns, len(images))
    if not n:
        raise ValueError("a picture needs at least one image")
    if titles is not None and len(titles) not in (columns, n):
        raise ValueError(f"titles: one for each of {columns} columns or {n} images; got {len(titles)}")
    cells = _cells(images)
    width, height = cells[0].size
    font = ImageFont.load_default(11)
    band = 0 if titles is None else 17
    on_top = titles is not None and len(titles) == columns
    if titles is not None:
        width = max(width, *(int(font.getlength(title)) + 8 for title in titles))
    rows = -(-n // columns)
    step = height + GAP + (0 if on_top else band)
    top = band + GAP if on_top else 0
    canvas = Image.new("RGBA", (columns * (width + GAP) - GAP, top + rows * step - GAP), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for i, cell in enumerate(cells):
        left, upper = (i % columns) * (width + GAP), top + (i // columns) * step
        canvas.paste(cell, (left + (width - cell.width) // 2, upper))
        if titles is not None and (i < columns or not on_top):
            edge = 0 if on_top else upper + height
            pen.rectangle((left, edge, left + width - 1, edge + band - 1), TITLE_BACKGROUND)
            pen.text((left + width / 2, edge + band / 2), titles[i], TITLE_TEXT, font, anchor="mm")
    return Figure(name, caption, _png(canvas))


def pairs(first: Tensor, second: Tensor, name: str, caption: str, titles: tuple[str, str], across: int = 8) -> Figure:
    """Draw pairs of images, one above the other, with a title in front of each row.

    Args:
        first: upper images (N, C, H, W) in [-1, 1].
        second: lower images (N, C, H, W), one for each upper image.
        name: name of the figure: letters, digits and dashes.
        caption: description of the picture; also the alternative text.
        titles: title of the rows of upper images, and of the rows of lower ones.
        across: number of pairs in a row.

    Returns:
        The figure.

    Raises:
        ValueError: if the numbers of images differ.
    """
    if len(first) != len(second):
        raise ValueError(f"first and second must have the same number of images; got {len(first)} and {len(second)}")
    return stacks((first, second), name, caption, titles, across)


def stacks(lines: Sequence[Tensor], name: str, caption: str, titles: Sequence[str], across: int = 8) -> Figure:
    """Draw stacks of images, one above the other, with a title in front of each line.

    Args:
        lines: images (N, C, H, W) in [-1, 1] of each line, the uppermost first; as many in every line.
        name: name of the figure: letters, digits and dashes.
        caption: description of the picture; also the alternative text.
        titles: title of each line.
        across: number of stacks in a row.

    Returns:
        The figure.
    """
    font = ImageFont.load_default(11)
    edge = max(int(font.getlength(title)) for title in titles) + 8
    drawn = [_cells(images) for images in lines]
    width, height = drawn[0][0].size
    across = min(across, len(drawn[0]))
    blocks = -(-len(drawn[0]) // across)
    block_height = len(drawn) * (height + GAP) + GAP  # the lines and a wider gap after them
    canvas = Image.new("RGBA", (edge + across * (width + GAP), blocks * block_height - 2 * GAP), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for block in range(blocks):
        for line, (cells, title) in enumerate(zip(drawn, titles)):
            y = block * block_height + line * (height + GAP)
            pen.rectangle((0, y, edge - 1, y + height - 1), TITLE_BACKGROUND)
            pen.text((edge / 2, y + height / 2), title, TITLE_TEXT, font, anchor="mm")
            for i, cell in enumerate(cells[block * across : (block + 1) * across]):
                canvas.paste(cell, (edge + GAP + i * (width + GAP), y))
    return Figure(name, caption, _png(canvas))


def _cells(images: Tensor) -> list[Image.Image]:
    """Return images (N, C, H, W) in [-1, 1] as pictures of a size that can be viewed."""
    size = max(images.shape[-2:])
    shown = images.detach().float().cpu()
    if shown.shape[1] not in (1, 3):  # a picture has one or three channels: show the first
        shown = shown[:, :1]
    if size > LARGEST_CELL:
        scale = LARGEST_CELL / size
        shown = interpolate(shown, scale_factor=scale, mode="bilinear", antialias=True, align_corners=False)
    else:
        factor = max(1, SMALLEST_CELL // size)
        shown = shown.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    return [single(image) for image in torch.unbind(shown)]


def _png(picture: Image.Image) -> bytes:
    """Return a picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
