"""The documentation site: built strictly, with every public name, a search index, and nothing from other servers."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

import zoo

pytest.importorskip("mkdocstrings", reason='pip install ".[docs]"')
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parent.parent
LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""Elements by which a page loads something, and the attribute that says what."""
NOT_LOADED = {"canonical", "next", "prev", "alternate"}
"""Relations of `link` that a browser does not follow by itself."""


class Loaded(HTMLParser):
    """What a page loads when it is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag in LOADING and values.get("rel") not in NOT_LOADED:
            self.addresses.append(values.get(LOADING[tag]) or "")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, str]:
    """The site, how long building it took, and what mkdocs wrote."""
    folder = tmp_path_factory.mktemp("site")
    begin = time.perf_counter()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, time.perf_counter() - begin, done.stderr


@pytest.fixture(scope="module")
def pages(built: tuple[Path, float, str]) -> dict[str, str]:
    return {str(path.relative_to(built[0])): path.read_text() for path in sorted(built[0].rglob("*.html"))}


def test_it_is_built_without_a_warning(built: tuple[Path, float, str], pages: dict[str, str]) -> None:
    folder, _, written = built
    assert "WARNING" not in written
    assert len(pages) > 30
    assert not [path for path in folder.rglob("*.py") if path.is_file()]


def test_a_broken_link_stops_the_build(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Start\n\n[nothing](nowhere.md) [none](#none)\n")
    places = {"docs_dir": str(tmp_path / "docs"), "site_dir": str(tmp_path / "site")}
    config = load_config(
        str(ROOT / "mkdocs.yml"), strict=True, hooks=[], plugins=[], extra_css=[], nav=["index.md"], **places
    )
    with pytest.raises(Abort):
        build(config)
    assert "nowhere.md" in caplog.text
    assert "#none" in caplog.text


def test_no_page_loads_anything_from_another_server(built: tuple[Path, float, str], pages: dict[str, str]) -> None:
    folder = built[0]
    addresses = {(name, address) for name, text in pages.items() for address in Loaded(text).addresses}
    assert len(addresses) > 100
    assert [found for found in sorted(addresses) if re.match(r"\w+:|//", found[1]) and "data:" not in found[1]] == []
    for name, address in addresses:
        path = re.split(r"[?#]", address)[0]
        target = folder / path.lstrip("/") if path.startswith("/") else (folder / name).parent / path
        assert not path or target.exists(), (name, address)
    sheets = "".join(path.read_text() for path in folder.rglob("*.css"))
    assert sheets
    assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheets)
    assert "mermaid" not in pages["architecture/index.html"]  # the theme would fetch it to draw a diagram
    assert '<svg class="graph"' in pages["architecture/index.html"]


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("models", "zoo"),
        ("data", "zoo.data"),
        ("metrics", "zoo.metrics"),
        ("features", "zoo.features"),
        ("callbacks", "zoo.callbacks"),
        ("callbacks", "zoo.alarms"),
        ("audit", "zoo.audit"),
        ("hub", "zoo.hub"),
    ],
)
def test_every_public_name_is_in_the_reference(pages: dict[str, str], page: str, module: str) -> None:
    text = pages[f"api/{page}/index.html"]
    names = set(importlib.import_module(module).__all__) - {"metrics"}  # a page of its own
    ids = set(re.findall(r'id="([\w.]+)"', text))
    found = {name for name in names if f"{module}.{name}" in ids or (name == "fit" and "zoo.runs.run.fit" in ids)}
    assert found == names


def test_examples_of_docstrings_are_code(pages: dict[str, str]) -> None:
    assert '<span class="gp">&gt;&gt;&gt; </span>' in pages["api/metrics/index.html"]


def test_the_gallery_shows_every_release(built: tuple[Path, float, str], pages: dict[str, str]) -> None:
    text = pages["gallery/index.html"]
    for name in zoo.pretrained():
        assert f'id="{name}"' in text
        picture = built[0] / "gallery" / f"{name}.png"
        assert picture.read_bytes() == (ROOT / "checkpoints" / name / "grid.png").read_bytes()
        summary = json.loads((ROOT / "checkpoints" / name / "audit.json").read_text())["summary"]
        assert summary.split(" (")[0] in text


def test_links_out_of_the_documentation_lead_to_pages_of_the_site(pages: dict[str, str]) -> None:
    for name in ("benchmarks", "studies", "examples", "changelog", "contributing", "releases"):
        assert f"{name}/index.html" in pages
    models = pages["models/index.html"]
    assert 'href="../source/zoo/models/dcgan.py/"' in models
    assert "class DCGAN" in re.sub(r"<[^>]+>", "", pages["source/zoo/models/dcgan.py/index.html"])
    assert 'href="../benchmarks/#streaming"' in pages["data/index.html"]


def test_the_search_finds_pages_and_names(built: tuple[Path, float, str]) -> None:
    index = json.loads((built[0] / "search" / "search_index.json").read_text())
    places = {entry["location"] for entry in index["docs"]}
    assert {"faq/", "api/metrics/#zoo.metrics.FID", "evaluation/#which-fid-is-this"} <= places
    assert not any(place.startswith("source/") for place in places)
