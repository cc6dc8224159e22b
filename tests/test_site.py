"""The documentation site: built strictly, with every public name, a search index, and nothing from other servers."""

from __future__ import annotations

import http.server
import importlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

import zoo
from tests.helpers.browser import CHROMIUM, Folder, visit

pytest.importorskip("mkdocstrings", reason='pip install ".[docs]"')
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

pytestmark = pytest.mark.xdist_group("site")  # one worker builds the site
ROOT = Path(__file__).parent.parent
LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""Elements by which a page loads something, and the attribute that says what."""
PROBE = """<!doctype html><iframe id="page" width="390" height="900"></iframe><script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
(async () => {
  const frame = document.getElementById("page"), origins = new Set(), wide = [];
  const open = async (address) => {
    await new Promise((done) => { frame.onload = done; frame.src = address; });
    await wait(200);
    for (const entry of frame.contentWindow.performance.getEntriesByType("resource"))
      origins.add(new URL(entry.name).origin);
    if (frame.contentDocument.documentElement.scrollWidth > 390) wide.push(address);
  };
  for (const address of PAGES) await open(address);
  const inside = frame.contentDocument, query = inside.querySelector("input[name=query]");
  query.focus();
  query.value = "which FID is this";
  query.dispatchEvent(new Event("keyup", { bubbles: true }));
  query.dispatchEvent(new Event("input", { bubbles: true }));
  const links = () => [...inside.querySelectorAll("[data-md-component=search-result] a")].map((link) => link.href);
  for (let i = 0; i < 300 && !links().length; i++) await wait(100);
  const found = { origins: [...origins], wide, links: links(), here: location.origin };
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""
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
    # Material announces its end of life, which is no warning about this site.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "ZOO_PLAYABLE": "none"}  # see test_site_pages.py
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
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


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_searches_and_asks_no_other_server(built: tuple[Path, float, str], tmp_path: Path) -> None:
    """At 390 px, where no page may be wider than the screen."""
    opened = [
        "/",
        "/guides/photographs/",
        "/api/metrics/",
        "/gallery/",
        "/papers/dcgan/",
        "/benchmarks/",
        "/architecture/",
    ]
    probe = PROBE.replace("PAGES", json.dumps(opened)).encode()

    class Handler(Folder):
        arrived = threading.Event()

        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            if self.path != "/probe.html":
                return super().do_GET()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(probe)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(built[0]))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/probe.html"
        try:
            visit(address, tmp_path / "profile", Handler.arrived)
        finally:
            server.shutdown()
    found = Handler.found
    assert found
    assert found["origins"] == [found["here"]]
    assert found["wide"] == []
    assert any(link.split("?")[0].endswith("/evaluation/") or "#which-fid-is-this" in link for link in found["links"])
