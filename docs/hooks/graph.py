"""Hook of the documentation site: Mermaid diagrams as pictures, so that a page loads no script to draw them."""

from __future__ import annotations

import re
from html import escape
from typing import Any

BLOCK = re.compile(r"^```mermaid\ngraph TD\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BOX, GAP, ROW = 104, 14, 76  # width of a box, space beside it, and height of a row, in pixels


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Replace the diagrams of a page, which may have arrows between names only."""
    return BLOCK.sub(lambda block: drawing(re.findall(r"(\w+) --> (\w+)", block[1])), markdown)


def drawing(arrows: list[tuple[str, str]]) -> str:
    """Return a graph without circles as SVG: each name in a row below everything that points to it."""
    rows = _rows(arrows)
    width = max(len(row) for row in rows) * (BOX + GAP)
    place = {
        name: (width * (2 * i + 1) / (2 * len(row)), 30 + ROW * depth)
        for depth, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    lines = [
        f'<line x1="{place[a][0]:.0f}" y1="{place[a][1] + 15:.0f}" x2="{place[b][0]:.0f}" y2="{place[b][1] - 15:.0f}"/>'
        for a, b in arrows
    ]
    boxes = [
        f'<rect x="{x - BOX / 2:.0f}" y="{y - 15:.0f}" width="{BOX}" height="30" rx="4"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}">{escape(name)}</text>'
        for name, (x, y) in place.items()
    ]
    size = f'viewBox="0 0 {width} {ROW * len(rows)}" role="img" aria-label="Packages, each above what it imports"'
    return f'<svg class="graph" style="max-width: {width}px" {size}>{"".join(lines + boxes)}</svg>'


def _rows(arrows: list[tuple[str, str]]) -> list[list[str]]:
    """Return the names by their depth: the length of the longest way to them; in a row, near what points to them."""
    names = list(dict.fromkeys(name for arrow in arrows for name in arrow))
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for a, b in arrows:
            depth[b] = max(depth[b], depth[a] + 1)
    rows = [[name for name in names if depth[name] == row] for row in range(max(depth.values()) + 1)]
    position: dict[str, float] = {}
    for row in rows:
        above = {name: [position[a] for a, b in arrows if b == name and a in position] for name in row}
        row.sort(key=lambda name: sum(above[name]) / len(above[name]) if above[name] else 0.5)
        position |= {name: (i + 0.5) / len(row) for i, name in enumerate(row)}
    return rows
