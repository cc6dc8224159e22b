"""Matplotlib figures as inline SVG, in colours that follow the reader's choice of light or dark."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, PAPER = "#0b0c0d", "#70757d", "#fafbfc"
"""Colours to draw with. `inline_svg` replaces them by the colours of the page, which differ between light and dark."""
LINES = ("#3d7ecc", "#d5762a", "#2f9a6a", "#b4529a", "#a3851f", "#7a68cf")
"""Colours of lines, in this order; each is readable on white and on black."""


def can_plot() -> bool:
    """Check whether matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401 - only imported to see whether it is there
    except ImportError:
        return False
    return True


def inline_svg(figure: Figure, label: str) -> Markup:
    """Draw a figure as an SVG element without a background, in the colours of the page.

    Args:
        figure: drawn in `INK`, `FAINT` and `PAPER`.
        label: description of the figure for screen readers.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(id(figure))}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg ") :], flags=re.DOTALL)
    for colour, name in ((INK, "ink"), (FAINT, "faint"), (PAPER, "paper")):
        text = text.replace(colour, f"var(--{name})")
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))


def style_axes(axes: Axes) -> None:
    """Give axes the colours of the page, and hide the two sides of the frame that have no scale."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelsize=8)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
