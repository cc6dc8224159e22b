"""The gallery of the site: pages that draw in the browser are made by the command of the readers, kept, and linked."""

from __future__ import annotations

import http.server
import re
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.export.test_page import NPM, PROBE
from tests.helpers.browser import CHROMIUM, Folder, visit

pytest.importorskip("mkdocstrings", reason='pip install ".[docs]"')
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parent.parent
HOOKS = ROOT / "docs" / "hooks"


@pytest.fixture
def playable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the hook, which mkdocs loads once; it keeps pages in a folder of the test."""
    monkeypatch.syspath_prepend(str(HOOKS))
    import playable

    monkeypatch.setattr(playable, "KEPT", tmp_path / "kept")
    return playable


@pytest.fixture
def calls(playable: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run; each writes a gallery of empty files."""
    found: list[list[str]] = []

    def run(command: list[str], **options: Any) -> SimpleNamespace:
        found.append(command[2:])
        words = dict(word.split("=", 1) for word in command[3:])
        folders = [name.removeprefix("zoo:") for name in words["checkpoint"].split(",")]
        for name, file in [(name, "index.html") for name in folders] + [("runtime", "ort.js")]:
            Path(words["out"], name).mkdir(parents=True)
            Path(words["out"], name, file).write_text("<p>a page</p>")
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(playable, "subprocess", SimpleNamespace(run=run))
    return found


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "config.json").write_text(name)
    return tmp_path / "releases"


def build_gallery(folder: Path) -> Path:
    """Build a site of the gallery and stand-ins for the pages that it links to, strictly; return its folder."""
    (folder / "docs").mkdir()
    for name in ("index", "audit", "pretrained"):
        (folder / "docs" / f"{name}.md").write_text(f"# {name}\n")
    config = load_config(
        str(ROOT / "mkdocs.yml"),
        strict=True,
        hooks=[str(HOOKS / "gallery.py")],
        plugins=[],
        extra_css=[],
        nav=["index.md", "audit.md", "pretrained.md", "gallery.md"],
        docs_dir=str(folder / "docs"),
        site_dir=str(folder / "site"),
    )
    build(config)
    return folder / "site"


def test_pages_are_made_once_and_again_when_weights_change(
    playable: Any, calls: list[list[str]], releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLAYABLE", "all")
    names = ["one", "two"]
    first = playable.pages_of(names, releases)
    assert [call[:3] for call in calls] == [["zoo.export", "checkpoint=zoo:one,zoo:two", "format=gallery"]]
    assert sorted(first) == ["one", "runtime", "two"]
    assert all(path.is_dir() for path in first.values())
    monkeypatch.delenv("ZOO_PLAYABLE")
    assert playable.pages_of(names, releases) == first  # without being asked, those that are kept
    (releases / "two" / "config.json").write_text("other weights")
    assert sorted(playable.pages_of(names, releases)) == ["one", "runtime"]
    assert len(calls) == 1
    monkeypatch.setenv("ZOO_PLAYABLE", "two")
    assert sorted(playable.pages_of(names, releases)) == ["runtime", "two"]
    assert [call[1] for call in calls] == ["checkpoint=zoo:one,zoo:two", "checkpoint=zoo:two"]
    monkeypatch.setattr(playable, "PACKAGES", ("torch", "no-such-package"))  # other versions: all are made anew
    monkeypatch.setenv("ZOO_PLAYABLE", "all")
    again = playable.pages_of(names, releases)
    assert again["one"] != first["one"]
    assert not first["one"].exists()
    monkeypatch.setenv("ZOO_PLAYABLE", "none")
    assert playable.pages_of(names, releases) == {}


def test_a_release_that_there_is_not_is_a_warning(
    playable: Any, calls: list[list[str]], releases: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A strict build stops at it."""
    monkeypatch.setenv("ZOO_PLAYABLE", "one, tow")
    assert sorted(playable.pages_of(["one", "two"], releases)) == ["one", "runtime"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "ZOO_PLAYABLE: all, none, or names of releases joined by commas; got tow"
    ]


def test_the_gallery_links_to_the_pages_that_there_are(
    playable: Any, calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLAYABLE", "dcgan_digits")
    site = build_gallery(tmp_path)
    text = (site / "gallery/index.html").read_text()
    assert re.findall(r'<a class="md-button" href="([^"]+)">', text) == ["dcgan_digits/"]
    assert (site / "gallery/dcgan_digits/index.html").read_text() == "<p>a page</p>"
    assert (site / "gallery/runtime/ort.js").is_file()
    assert "The button below a picture" in text
    plain = re.sub(r"<[^>]+>", "", text)
    assert "zoo.export checkpoint=dcgan_fashion format=html" in plain
    assert "zoo.export checkpoint=dcgan_digits format=html" not in plain


def test_a_build_without_pages_says_so_and_gives_the_commands(
    playable: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(command: list[str], **options: Any) -> SimpleNamespace:
        return SimpleNamespace(returncode=2, stderr="zoo.export: npm is not installed\n")

    monkeypatch.setattr(playable, "subprocess", SimpleNamespace(run=fail))
    monkeypatch.setenv("ZOO_PLAYABLE", "dcgan_digits")
    caplog.set_level("INFO")
    text = (build_gallery(tmp_path) / "gallery/index.html").read_text()
    count = len(list((ROOT / "checkpoints").glob("*/config.json")))
    assert [record.getMessage() for record in caplog.records if record.name.endswith("playable")] == [
        "gallery: pages that draw in the browser cannot be made: zoo.export: npm is not installed",
        f"gallery: 0 of {count} releases have a page that draws in the browser; ZOO_PLAYABLE=all makes all of them",
    ]
    assert not [
        record for record in caplog.records if record.levelname == "WARNING" and "gallery" in record.getMessage()
    ]
    assert "md-button" not in text
    assert "The button below a picture" not in text
    assert re.sub(r"<[^>]+>", "", text).count("format=html") == count
    assert not list((tmp_path / "kept").rglob("*.*"))


@pytest.mark.network
@pytest.mark.skipif(CHROMIUM is None or NPM is None, reason="chromium or npm is not installed")
def test_a_page_of_the_site_draws(playable: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/export/test_page.py` compares the pixels; here the page lies in the site, with the shared runtime."""
    monkeypatch.setenv("ZOO_PLAYABLE", "dcgan_digits")
    site = build_gallery(tmp_path)
    (site / "gallery/dcgan_digits/probe.html").write_text(PROBE)
    Folder.arrived = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Folder, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        said = visit(f"{here}/gallery/dcgan_digits/probe.html", tmp_path / "profile", Folder.arrived)
        server.shutdown()
    assert [text for text in said if "getImageData" not in text] == []  # a hint about the probe itself
    found = Folder.found
    assert found["errors"] == []
    assert not found["wide"]
    assert len({tuple(pixels) for pixels in found["first"] + found["second"]}) == 32
    assert {f"{here}/gallery/runtime/{name}" for name in ("ort.js", "runtime.js", "runtime.wasm")} <= set(
        found["resources"]
    )
    assert all(name.startswith(here) for name in found["resources"])
