"""A gallery: a page for each of several models, one copy of the runtime, and a page that leads to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import zoo
from tests.export.test_export import VARIANTS
from zoo.errors import CheckpointError, UserError
from zoo.export import gallery, page
from zoo.export.command import export
from zoo.export.gallery import write_gallery
from zoo.runs.locating import check_each_named, split_named

NAMES = ["dcgan_digits", "dcgan_fashion"]
RUNTIME = {"ort.js": b"one", "runtime.js": b"two", "runtime.wasm": b"three"}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in place of the runtime and the models, which are not run here; `test_page.py` draws in a browser."""

    def write_onnx(path: Path, model: Any, generator: Any, facts: Any) -> Any:
        path.write_bytes(facts.model.encode())
        return lambda inputs: generator(*inputs)

    monkeypatch.setattr(gallery, "runtime_files", lambda runtime: RUNTIME)
    monkeypatch.setattr(page, "write_onnx", write_onnx)


def small(where: str) -> zoo.GAN:
    """A small model in place of a release; one of them has classes."""
    model: zoo.GAN = VARIANTS["DCGAN" if where == "dcgan_digits" else "WGANGP"]()
    return model.eval()


def test_pages_share_the_runtime_and_lead_back(tmp_path: Path, stand_in: None) -> None:
    folder = tmp_path / "gallery"
    assert write_gallery(folder, NAMES, small) == 0
    assert sorted(path.name for path in folder.iterdir()) == [*NAMES, "index.html", "runtime"]
    assert {path.name: path.read_bytes() for path in (folder / "runtime").iterdir()} == RUNTIME
    assert [(folder / name / "model.onnx").read_text() for name in NAMES] == ["DCGAN", "WGANGP"]
    first = (folder / "index.html").read_text()
    for name in NAMES:
        assert sorted(path.name for path in (folder / name).iterdir()) == ["index.html", "model.onnx", "samples.png"]
        text = (folder / name / "index.html").read_text()
        assert 'import * as ort from "../runtime/ort.js";' in text
        assert 'const runtime = "../runtime/";' in text
        assert f'<a href="../#{name}">' in text
        assert f'<article id="{name}">' in first
        assert f'<a href="{name}/">{name}</a>' in first
        assert Image.open(folder / name / "samples.png").size == (8 * (48 + 2) + 2, 2 * (48 + 2) + 2)
    for text in (first, *((folder / name / "index.html").read_text() for name in NAMES)):
        assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)


def test_what_cannot_be_one_gallery_is_refused(tmp_path: Path, stand_in: None) -> None:
    for places, taken in ((["runs/a/last.ckpt", "runs/b/last.ckpt"], "another one"), (["./runtime"], "the runtime")):
        with pytest.raises(UserError, match=rf"is taken by {taken}\. Rename one of the folders or files"):
            write_gallery(tmp_path / "gallery", places, small)
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UserError, match="exists and is not an empty folder"):
        write_gallery(tmp_path, NAMES, small)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(UserError) as raised:
        export("dcgan_digits,dcgan_fashion", format="html", out=str(tmp_path / "out"))
    assert str(raised.value) == (
        "checkpoint: one model for format=html, several for format=gallery; got 'dcgan_digits,dcgan_fashion'"
    )


def test_a_fault_in_one_page_leaves_no_gallery(tmp_path: Path, stand_in: None) -> None:
    def load(where: str) -> Any:
        if where == "dcgan_fashion":
            raise CheckpointError("it is damaged")
        return small(where)

    with pytest.raises(CheckpointError, match="it is damaged"):
        write_gallery(tmp_path / "gallery", NAMES, load)
    assert list(tmp_path.iterdir()) == []


def test_names_are_joined_by_commas_unless_a_path_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed=0,width=8").mkdir()
    assert split_named("dcgan_digits") == ["dcgan_digits"]
    assert split_named("dcgan_digits, dcgan_fashion,") == ["dcgan_digits", "dcgan_fashion"]
    assert split_named("seed=0,width=8") == ["seed=0,width=8"]
    assert split_named("a, seed=0,width=8 ,b") == ["a", "seed=0,width=8", "b"]
    assert split_named("seed=0,width=8,seed=0,width=8") == 2 * ["seed=0,width=8"]
    check_each_named("dcgan_digits,dcgan_fashion", format="gallery")
    with pytest.raises(CheckpointError, match="there is no run folder or checkpoint dcgan_fashon"):
        check_each_named("dcgan_digits,dcgan_fashon")
