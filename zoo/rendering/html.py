"""One self-contained HTML page: a style sheet for light and dark, figures inlined, every text escaped.

A page is a list of blocks; each function below makes one, and `page` puts them together. Nothing is fetched, no script
runs, so a page opens from disk anywhere and can be sent by mail. What is known of layout is here, once: text columns of
at most 60 rem, tables and figures that scroll by themselves on a narrow screen.

Pictures drawn by matplotlib go in as SVG (`drawn`), in colours that follow the reader's choice of light or dark.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Html = NewType("Html", str)
"""Markup that is already safe to put into a page."""

INK, FAINT, PAPER = "#0b0c0d", "#70757d", "#fafbfc"
"""Colours to draw with: `drawn` turns them into those of the page, which differ between light and dark."""
LINES = ("#3d7ecc", "#d5762a", "#2f9a6a", "#b4529a", "#a3851f", "#7a68cf")
"""Colours of lines, in this order; each is readable on white and on black."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1d20; --faint: #5f656d; --paper: #ffffff; --panel: #f4f5f7;
  --rule: #d9dce0; --good: #1e7a4c; --bad: #b3261e; --link: #1d5fae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --faint: #9aa1a9; --paper: #16181b; --panel: #1f2226;
  --rule: #3a3f45; --good: #58c08d; --bad: #ff8a80; --link: #82b4f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p, ul { max-width: 60rem; margin: .5rem 0; }
a { color: var(--link); }
.lead, figcaption, .note { color: var(--faint); }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
figure { margin: 1rem 0; }
figcaption { font-size: .9rem; max-width: 60rem; }
.wide { overflow-x: auto; }
.wide:focus-visible { outline: 2px solid var(--link); }
figure svg, figure img { display: block; max-width: 100%; height: auto; }
figure .wide svg { min-width: 40rem; }
figure img.pixels { image-rendering: pixelated; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 0 1.5rem; }
.grid figure .wide svg { min-width: 0; width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: normal; }
th { font-weight: 600; }
td.number { text-align: right; white-space: nowrap; }
code { background: var(--panel); padding: .1em .3em; border-radius: 3px; font-size: .9em; }
"""


def page(title: str, blocks: Iterable[Html], lead: str = "", refresh: int = 0, style: str = "") -> str:
    """A whole HTML document.

    Args:
        title: of the document and of its first heading.
        blocks: what the functions below return.
        lead: a sentence below the heading.
        refresh: seconds after which a browser loads the page again; 0 for never.
        style: rules of this page alone, after the shared ones.
    """
    again = f'<meta http-equiv="refresh" content="{refresh}">\n' if refresh else ""
    below = f'<p class="lead">{escape(lead)}</p>\n' if lead else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'{again}<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{below}" + "\n".join(blocks) + "\n</body>\n</html>\n"
    )


def heading(text: str, level: int = 2) -> Html:
    """A heading; level 1 is the page's title."""
    return Html(f"<h{level}>{escape(text)}</h{level}>")


def paragraph(text: str, kind: str = "") -> Html:
    """A paragraph; `kind` is `note`, `good`, `bad` or nothing."""
    return Html(f"<p{_class(kind)}>{escape(text)}</p>")


def bullets(texts: Iterable[str]) -> Html:
    """A list."""
    return Html("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], kinds: Sequence[str] = ()) -> Html:
    """A table. Numbers stand at the right, with four significant digits; None is a dash.

    Args:
        head: names of the columns.
        rows: values, as many as there are columns.
        kinds: `good`, `bad` or nothing for each row.
    """
    body = [
        f"<tr{_class(kinds[i] if i < len(kinds) else '')}>{''.join(_cell(value) for value in row)}</tr>"
        for i, row in enumerate(rows)
    ]
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return _scrolling(f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody></table>")


def figure(picture: Html | bytes, caption: str, pixels: bool = False) -> Html:
    """A picture with its caption, which is also what a screen reader says.

    Args:
        picture: from `drawn`, or the bytes of a PNG, GIF or JPEG.
        caption: what is to be seen.
        pixels: enlarge without smoothing.
    """
    if isinstance(picture, bytes):
        kind = {b"\x89P": "png", b"GI": "gif", b"\xff\xd8": "jpeg"}[picture[:2]]
        data = base64.b64encode(picture).decode()
        shown = (
            f'<img alt="{escape(caption)}"{_class("pixels" if pixels else "")} src="data:image/{kind};base64,{data}">'
        )
    else:
        shown = picture.replace("<svg ", f'<svg role="img" aria-label="{escape(caption)}" ', 1)
    return Html(f"<figure>{_scrolling(shown)}<figcaption>{escape(caption)}</figcaption></figure>")


def side_by_side(blocks: Iterable[Html]) -> Html:
    """Blocks in as many columns as the screen has room for; on a telephone in one."""
    return Html('<div class="grid">' + "\n".join(blocks) + "</div>")


def drawn(picture: Figure) -> Html:
    """A matplotlib figure as inline SVG on the page's own background, its `INK` and `FAINT` the page's."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(id(picture))}):
        picture.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg ") :], flags=re.DOTALL)
    for colour, name in ((INK, "ink"), (FAINT, "faint"), (PAPER, "paper")):
        text = text.replace(colour, f"var(--{name})")
    return Html(text)


def style_axes(axes: object) -> None:
    """Give matplotlib axes the page's colours and none of the frame that carries nothing."""
    for side, spine in axes.spines.items():  # type: ignore[attr-defined]
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelsize=8)  # type: ignore[attr-defined]
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):  # type: ignore[attr-defined]
        text.set_color(INK)


def _cell(value: object) -> str:
    if value is None:
        return "<td>&ndash;</td>"
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _scrolling(markup: str) -> Html:
    """What is wider than the screen scrolls by itself, also by keyboard."""
    return Html(f'<div class="wide" tabindex="0">{markup}</div>')
