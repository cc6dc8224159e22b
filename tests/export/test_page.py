"""The page of a generator: it draws in a real browser what Python draws, and checks its runtime."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.browser import CHROMIUM, Folder, visit
from zoo.errors import UserError
from zoo.export import page
from zoo.export.facts import facts_of, latent_distribution
from zoo.export.gallery import write_gallery
from zoo.export.page import RUNTIME, TEMPLATES, runtime_files, write_page
from zoo.sampling.images import truncated

NODE, NPM = shutil.which("node"), shutil.which("npm")
PROBE = """<!doctype html><iframe id="page" src="index.html" width="390" height="900"></iframe><script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const errors = [];
(async () => {
  const frame = document.getElementById("page"), found = {};
  const until = async (test) => { for (let i = 0; i < 1200 && !test(); i++) await wait(100); };
  await until(() => frame.contentDocument?.body?.dataset.drawn === "0");
  const page = frame.contentWindow, inside = frame.contentDocument;
  page.addEventListener("error", (event) => errors.push(event.message));
  page.console.error = (...texts) => errors.push(texts.join(" "));
  const pixels = () => [...inside.querySelectorAll("#grid canvas")].map((canvas) =>
    [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 0));
  found.first = pixels();
  const began = page.performance.now();
  inside.getElementById("later").click();
  await until(() => inside.body.dataset.drawn === "16");
  found.seconds = (page.performance.now() - began) / 1000;
  found.second = pixels();
  found.wide = inside.documentElement.scrollWidth > 390;
  const cells = inside.querySelectorAll("#grid button");
  cells[0].click();
  cells[5].click();
  await until(() => !inside.getElementById("way").hidden);
  found.way = [...inside.querySelectorAll("#way canvas")].length;
  found.note = inside.getElementById("way-note").textContent;
  found.resources = page.performance.getEntriesByType("resource").map((entry) => entry.name);
  found.errors = errors;
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize(("length", "latent"), [(64, "normal"), (100, "normal"), (7, "normal"), (20, "uniform")])
def test_the_page_draws_the_latents_of_torch(length: int, latent: str) -> None:
    """Of both generators of torch on a CPU: blocks of 16 normal numbers, and single ones for fewer than 16."""
    cases = [(seed, bound) for seed in (0, 12345, 2**32 - 1) for bound in (None, 0.5)]
    calls = ",".join(
        f"[...latentOf({seed}, {{latent: '{latent}', latent_dim: {length}}}, {bound or 'Infinity'})]"
        for seed, bound in cases
    )
    code = (TEMPLATES / "latents.js").read_text() + f"\nconsole.log(JSON.stringify([{calls}]))"
    found = json.loads(subprocess.run([str(NODE), "-e", code], capture_output=True, text=True, check=True).stdout)
    for (seed, bound), values in zip(cases, found):
        torch.manual_seed(seed)
        draw = (lambda n: torch.randn(n, length)) if latent == "normal" else (lambda n: torch.rand(n, length) * 2 - 1)
        expected = truncated(draw, 1, bound)[0]
        assert torch.allclose(torch.tensor(values), expected, atol=2e-6)


def test_the_distribution_of_latents_is_recognised() -> None:
    class Laplace(zoo.DCGAN):
        def sample_latent(self, n: int) -> torch.Tensor:
            return torch.distributions.Laplace(0.0, 1.0).sample((n, self.latent_dim))

    settings: dict[str, Any] = {"resolution": 16, "channels": 1, "width": 4}
    assert latent_distribution(zoo.DCGAN(**settings), 100) == "normal"
    assert latent_distribution(zoo.DCGAN(latent="uniform", **settings), 100) == "uniform"
    assert latent_distribution(Laplace(**settings), 100) == "other"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    Folder.arrived = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Folder, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.network
@pytest.mark.skipif(CHROMIUM is None or NPM is None, reason="chromium or npm is not installed")
@pytest.mark.parametrize("place", ["", "dcgan_digits/"])
def test_a_browser_draws_what_python_draws(place: str, tmp_path: Path, address: str) -> None:
    """Within two grey levels, without an error or a request to another server, at 390 px; alone and in a gallery."""
    model = zoo.from_pretrained("dcgan_digits")
    if place:
        write_gallery(tmp_path / "site", ["dcgan_digits"], lambda where: model)
    else:
        write_page(tmp_path / "site", "dcgan_digits", model)
    size = sum(path.stat().st_size for path in (tmp_path / "site").rglob("*.*"))
    assert size < 15e6
    (tmp_path / "site" / place / "probe.html").write_text(PROBE)
    said = visit(f"{address}/{place}probe.html", tmp_path / "profile", Folder.arrived)
    assert [text for text in said if "getImageData" not in text] == []  # a hint about the probe itself
    found = Folder.found
    for first, images in ((0, found["first"]), (16, found["second"])):
        for cell, pixels in enumerate(images):
            drawn = model.sample(1, seed=first + cell, labels=cell % 10)
            expected = ((drawn + 1) * 127.5).round().flatten()
            assert (torch.tensor(pixels, dtype=torch.float32) - expected).abs().max() <= 2
    assert found["errors"] == []
    assert all(name.startswith(address) for name in found["resources"])
    assert not found["wide"]
    assert found["way"] == 9
    assert found["note"] == "From seed 16, 0 to seed 21, 5."


def test_a_name_of_a_class_cannot_end_the_script() -> None:
    model = zoo.DCGAN(resolution=16, channels=1, width=4, num_classes=2)
    model.class_names = ("</script><b>", "two")
    text = page.page(facts_of("dcgan_digits", model, model.exportable("uint8")))
    assert "</script><b>" not in text
    assert '"\\u003c/script>\\u003cb>"' in text


def test_a_runtime_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "package"
    package.mkdir()
    for name in RUNTIME:
        (package / name).write_bytes(b"something else")
    with pytest.raises(UserError) as raised:
        runtime_files(str(package))
    assert str(raised.value) == (
        f"runtime: {package} does not hold the ort.wasm.min.mjs of onnxruntime-web@1.22.0. Fetch the package with "
        "`npm pack onnxruntime-web@1.22.0`, and give the file: runtime=FILE.tgz"
    )
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_without_npm_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(page.shutil, "which", lambda name: None)
    with pytest.raises(
        UserError, match=r"and npm is not installed. Fetch it elsewhere with `npm pack onnxruntime-web@"
    ):
        runtime_files()
    with pytest.raises(UserError, match=r"runtime: there is no file or folder nowhere\.tgz"):
        runtime_files("nowhere.tgz")
    damaged = tmp_path / "damaged.tgz"
    damaged.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"damaged.tgz is no package of npm \(file could not be opened successfully"):
        runtime_files(str(damaged))


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    model = zoo.DCGAN(resolution=16, channels=1, width=4)
    with pytest.raises(UserError, match=r"exists and is not an empty folder\. Choose a new one"):
        write_page(tmp_path, "dcgan_digits", model)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
