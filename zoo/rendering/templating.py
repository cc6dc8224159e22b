"""HTML pages and Markdown texts, written by jinja2 from template files.

A template lies in a folder `templates` beside the module that fills it in. A page extends `page.html` and imports the
macros of `parts.html`; both are in `zoo/rendering/templates`, with `page.css`, the style sheet of every page. A page is
one file for light and dark screens that fetches nothing, so it opens from disk and can be sent by mail. Only the page
of a run has a script, which is part of it.

In a template whose name ends in `.html`, every value is escaped unless it is a `markupsafe.Markup`.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from zoo.io.files import printable

SHARED_TEMPLATES = Path(__file__).with_name("templates")
STYLE_SHEET = SHARED_TEMPLATES / "page.css"
MEDIA_TYPES = {b"\x89P": "image/png", b"GI": "image/gif", b"\xff\xd8": "image/jpeg"}  # by the first two bytes


def render(template: Path, **values: Any) -> str:
    """Fill in a template.

    Args:
        template: path of the template file.
        values: the variables of the template; one that is missing raises `jinja2.UndefinedError`.

    Returns:
        The text of the page.
    """
    return printable(_environment(template.parent).get_template(template.name).render(**values))


def data_uri(picture: bytes) -> str:
    """Encode the bytes of a PNG, GIF or JPEG file as a `data:` address, which puts the picture into the page itself."""
    return f"data:{MEDIA_TYPES[picture[:2]]};base64,{base64.b64encode(picture).decode()}"


@cache
def _environment(folder: Path) -> Environment:
    """Create the jinja2 environment of a folder of templates, which also finds the shared ones."""
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED_TEMPLATES]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment
