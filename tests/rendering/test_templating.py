"""Pages made of templates: what comes from outside is text, and a missing value is an error."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from zoo.rendering.templating import STYLE_SHEET, data_uri, render

PAGE = """
{% extends "page.html" %}
{% import "parts.html" as parts %}
{% block kind %}{{ text }}{% endblock %}
{% block content %}
<p>{{ text }}</p>
{{ parts.table([text], [[text], [none], [1.0]]) }}
{{ parts.image(picture, text) }}
{% endblock %}
"""


def filled(tmp_path: Path, template: str, **values: object) -> str:
    path = tmp_path / "templates" / "mine.html"
    path.parent.mkdir()
    path.write_text(template)
    return render(path, **values)


def test_everything_on_a_page_is_escaped(tmp_path: Path) -> None:
    html = filled(tmp_path, PAGE, title="<i>", text="<i>", picture=b"\x89PNG")
    assert "<i>" not in html
    assert html.count("&lt;i&gt;") == 8  # twice the title; class, paragraph, head, cell; text and caption of the image


def test_a_picture_is_part_of_the_page_and_keeps_its_pixels(tmp_path: Path) -> None:
    template = '{% import "parts.html" as parts %}{{ parts.image(picture, caption, "pixels") }}'
    html = filled(tmp_path, template, picture=b"\x89PNG", caption='a "b"')
    assert 'alt="a &#34;b&#34;"' in html
    assert 'class="pixels"' in html
    assert "data:image/png;base64,iVBORw==" in html
    assert data_uri(b"GIF89a").startswith("data:image/gif;base64,")
    assert data_uri(b"\xff\xd8\xff").startswith("data:image/jpeg;base64,")


def test_numbers_in_a_table_are_aligned_and_rounded(tmp_path: Path) -> None:
    template = '{% import "parts.html" as parts %}{{ parts.table(["a"], rows) }}'
    html = filled(tmp_path, template, rows=[[3.14159], [12345], [None], [True], ["x"]])
    for cell in (
        '<td class="number">3.142</td>',
        '<td class="number">12,345</td>',
        "<td>&ndash;</td>",
        "<td>True</td>",
        "<td>x</td>",
    ):
        assert cell in html


def test_a_missing_value_is_an_error_not_an_empty_text(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'text' is undefined"):
        filled(tmp_path, "{{ text }}")


def test_the_style_sheet_fetches_nothing() -> None:
    sheet = STYLE_SHEET.read_text()
    assert "url(" not in sheet
    assert "@import" not in sheet
