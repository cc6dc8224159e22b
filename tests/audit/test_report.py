"""Truths of a report: nothing from outside becomes markup, every figure is there, numbers stand where they belong."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.audit import Figure, Finding, Report, Statistic
from zoo.audit.findings import figures, formatting
from zoo.audit.reporting import number_line
from zoo.audit.reporting.markdown import markdown, plain
from zoo.audit.reporting.page import report_page
from zoo.rendering.templating import STYLE_SHEET

EVIL = "<script>alert('x')</script> & \"quoted\" | `code` *bold* [link](http://x)\n# heading"
VOID = {"meta", "link", "input", "img", "path", "rect", "circle", "br"}


class Elements(HTMLParser):
    """All elements of a page; fails where they are not properly nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def report() -> Report:
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plots = [figures.plot(lambda axes: axes.plot([0, 1], [1, 0]), "curve", "A line. " + EVIL)]
    findings = (
        Finding(
            "copying",
            "Does it copy training images?",
            "alarm",
            f"It copies. {EVIL}",
            (
                Statistic("copying rate", 3.1, 2.6, 3.7, 0.1, 0.02, 0.35, 5_000, "%", True, EVIL),
                Statistic("plain", -1.5),
            ),
            {"memorising": f"31 times as many {EVIL}"},
            (figures.pictures(images, 3, "cells/../x", f"Cells. {EVIL}"), *(p for p in plots if p)),
            {"threshold": 0.5, "sizes": {"train": 100, "layers": [1, 2.5]}, "text": EVIL},
        ),
        Finding(
            "support",
            "How many distinct images?",
            "passed",
            "Many.",
            (
                Statistic("support", math.inf, 4e6, math.inf, math.inf, unit="images"),
                Statistic("pairs", 0, 0, 3.7, 0, 0, 3, unit="pairs"),
            ),
        ),
        Finding("usefulness", "Is it useful?", "skipped", "It draws no classes."),
        Finding("weights", "Are the weights healthy?", "note", "One layer is not."),
    )
    return Report(f"subject {EVIL}", findings, {"budget": "quick", "train": {"images": 5}, "where": EVIL})


def test_a_verdict_on_classes_is_doubted_where_all_images_are_spoilt() -> None:
    drops = Finding("coverage", "?", "alarm", "", flags={"dropping classes": "class 3 is missing"})
    noise = Finding("sharpness", "?", "alarm", "", flags={"noisy": "noise of 26 grey levels"})
    assert Report("it", (drops,), {}).summary == "Dropping classes (class 3 is missing)."
    assert Report("it", (drops, noise), {}).summary == (
        "Dropping classes (class 3 is missing), and noisy (noise of 26 grey levels). The dropped classes may "
        "be a consequence of the images being noisy: the classifier was fitted to clean images."
    )


def test_a_saved_report_is_complete(report: Report, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "copying-old.png").write_bytes(b"old")
    (tmp_path / "figures" / "mine.png").write_bytes(b"mine")
    assert report.save(tmp_path) == tmp_path
    pngs = {path.name for path in (tmp_path / "figures").iterdir()}
    assert "copying-cells-x.png" in pngs  # a name leads nowhere else
    assert "copying-old.png" not in pngs
    assert "mine.png" in pngs
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["verdict"] == ["memorising"]
    assert found["findings"][1]["statistics"][0]["value"] is None  # infinity is no JSON
    text = (tmp_path / "report.md").read_text()
    linked = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(linked) == len(report["copying"].figures)
    assert all((tmp_path / name).is_file() for name in linked)
    assert not list(tmp_path.glob(".*"))


def test_the_page_is_one_file_without_script(report: Report) -> None:
    text = report_page(report)
    elements = Elements(text)
    assert not elements.all("script")
    sources = [e["src"] for e in elements.all("img")]
    assert len(sources) == len(report["copying"].figures)
    assert all((source or "").startswith("data:image/png;base64,") for source in sources)
    assert all(link["href"] == "data:," for link in elements.all("link"))
    assert "url(" not in text
    assert "@import" not in text


def test_nothing_from_outside_becomes_markup(report: Report) -> None:
    text = report_page(report)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert {tag for tag, _ in Elements(text).found} <= {
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "div",
        "span",
        "small",
        "b",
        "ul",
        "li",
        "nav",
        "a",
        "section",
        "figure",
        "figcaption",
        "img",
        "svg",
        "path",
        "rect",
        "circle",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "fieldset",
        "legend",
        "label",
        "input",
    }
    lines = markdown(report).splitlines()
    assert sum(line.startswith("# ") for line in lines) == 1
    assert not any("<script" in line.replace("\\<", "") for line in lines)
    rows = [line for line in lines if line.startswith("| ") and "copying rate" in line]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [6]


def test_the_page_can_be_read_by_everyone(report: Report) -> None:
    elements = Elements(report_page(report))
    assert all(image["alt"] for image in elements.all("img"))
    assert len(elements.all("h1")) == 1
    ids = [e["id"] for e in elements.all("section") if "id" in e]
    targets = [(e["href"] or "").removeprefix("#") for e in elements.all("a")]
    assert targets == ids == [finding.name for finding in report.findings]
    assert elements.found[0] == ("html", {"lang": "en"})
    assert all(e.get("aria-hidden") == "true" for e in elements.all("svg"))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("mode", [0, 1])
def test_text_stands_out_in_light_and_dark(mode: int) -> None:
    """Contrast of at least 4.5, as WCAG 2.1 asks for text."""
    sheet = STYLE_SHEET.read_text()
    colours = {name: pair[mode] for name, *pair in re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\)", sheet)}
    for ground in ("paper", "panel"):
        for text in ("ink", "faint", "good", "bad", "warn", "link"):
            a, b = sorted((luminance(colours[ground]), luminance(colours[text])))
            assert (b + 0.05) / (a + 0.05) >= 4.5, (ground, text)


def picture_beside(statistic: Statistic) -> str:
    """The drawing beside a statistic on the page."""
    text = report_page(Report("x", (Finding("copying", "?", "passed", "!", (statistic,)),), {}))
    (picture,) = re.findall(r'<div class="against">(.*?)(?:<small>.*?)?</div>', text, re.DOTALL)
    return picture


def shapes(statistic: Statistic) -> dict[str, Any]:
    text = picture_beside(statistic)
    number = r"([\d.]+)"
    dot, band = re.search(rf'cx="{number}"', text), re.search(rf'class="band" x="{number}".*?width="{number}"', text)
    whisker = re.search(rf'class="whisker" d="M{number} [\d.]+H{number}"', text)
    return {
        "dot": float(dot[1]) if dot else None,
        "band": (float(band[1]), float(band[1]) + float(band[2])) if band else None,
        "whisker": (float(whisker[1]), float(whisker[2])) if whisker else None,
    }


def test_a_number_is_drawn_where_it_stands() -> None:
    found = shapes(Statistic("x", 5, 4, 6, 2, 0, 10))
    left, right = found["band"]
    assert found["dot"] == pytest.approx((left + right) / 2)
    assert found["whisker"] == pytest.approx((left + 0.4 * (right - left), left + 0.6 * (right - left)))
    outside = shapes(Statistic("x", 20, 19, 21, 2, 0, 10))
    assert outside["dot"] > outside["band"][1]
    wide = shapes(Statistic("x", 10, None, None, 1, 1, 100))  # on a logarithmic scale the middle of 1 and 100
    assert wide["dot"] == pytest.approx(sum(wide["band"]) / 2)
    open_ended = shapes(Statistic("x", 2, 1, math.inf, 1.5))
    assert open_ended["whisker"][1] == number_line.WIDTH


@pytest.mark.parametrize(
    "statistic",
    [Statistic("x", 3), Statistic("x", 3, 3, 3, 3), Statistic("x", math.inf, 4, math.inf, 5), Statistic("x", math.nan)],
)
def test_nothing_is_drawn_where_there_is_nothing_to_compare(statistic: Statistic) -> None:
    assert picture_beside(statistic) == ""


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.14159, "", "3.14"),
        (12345.6, "images", "12,346 images"),
        (math.inf, "images", "no limit"),
        (2.0, "%", "2 %"),
        (None, "", "unknown"),
        (math.nan, "", "unknown"),
        (0.00012, "", "0.00012"),
        (-4.0, "", "-4"),
        (-2e-17, "", "0"),
    ],
)
def test_numbers_in_words(value: float | None, unit: str, text: str) -> None:
    assert formatting.number(value, unit) == text


def test_ranges_in_words() -> None:
    assert formatting.measured(Statistic("x", 3, 2, 4, unit="%")) == "3 % (2 to 4)"
    assert formatting.expected(Statistic("x", 3, null=1, null_low=0, null_high=math.inf)) == "1 (0 or more)"
    assert formatting.expected(Statistic("x", 3)) == ""
    assert formatting.interval(math.nan, 1) == ""


def test_markdown_text_is_one_line_without_markup() -> None:
    assert plain("a\nb|c") == "a b\\|c"
    assert "`" not in plain("`x`").replace("\\`", "")


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    folders = [report.save(tmp_path / name) for name in "ab"]
    for path in sorted(folders[0].rglob("*.*")):
        if path.is_file():
            assert path.read_bytes() == (folders[1] / path.relative_to(folders[0])).read_bytes()


def test_healthy_says_what_it_is_not() -> None:
    silent = tuple(Finding(name, name, "passed", "Fine.") for name in ("copying", "support", "coverage"))
    text = report_page(Report("x", silent, {}))
    assert "Healthy" in text
    assert "That is no proof" in text
    assert "That is no proof" not in report_page(Report("x", silent[:1], {}))


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_are_small_and_the_same_each_time() -> None:
    pytest.importorskip("matplotlib")

    def draw(axes: Any) -> None:
        axes.plot(range(50), range(50), color=figures.COLOURS["train"])

    a, b = (figures.plot(draw, "x", "y") for _ in range(2))
    assert isinstance(a, Figure)
    assert isinstance(b, Figure)
    assert a.png == b.png
    assert a.plot
    assert len(a.png) < 60_000


def test_a_plot_takes_nothing_from_the_users_matplotlib() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    plain_one = figures.plot(lambda axes: axes.plot([1, 2]), "x", "y")
    with matplotlib.rc_context({"axes.facecolor": "red", "lines.linewidth": 9}):
        assert figures.plot(lambda axes: axes.plot([1, 2]), "x", "y") == plain_one
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def test_pictures_refuse_what_cannot_be_shown() -> None:
    images = torch.zeros(4, 1, 8, 8)
    with pytest.raises(ValueError, match="at least one image"):
        figures.pictures(images[:0], 2, "x", "y")
    with pytest.raises(ValueError, match="one for each of 2 columns or 4 images; got 3"):
        figures.pictures(images, 2, "x", "y", ["a", "b", "c"])
    with pytest.raises(ValueError, match="got 4 and 3"):
        figures.pairs(images, images[:3], "x", "y", ("a", "b"))


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 3, 200, 200), (5, 7, 16, 16), (1, 3, 32, 32)])
def test_pictures_of_any_size(shape: tuple[int, ...]) -> None:
    from io import BytesIO

    from PIL import Image

    n = shape[0]
    found = figures.pictures(torch.zeros(shape), 3, "x", "y", [str(i) for i in range(n)])
    with Image.open(BytesIO(found.png)) as picture:
        assert picture.width < 3 * (figures.LARGEST_CELL + 30)
        assert picture.mode == "RGBA"
