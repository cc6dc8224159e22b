"""The page of a run in a real browser: the slider, values under the pointer, refreshes, narrow screens."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.browser import CHROMIUM, Posted, command, visit
from tests.runs.test_watching import planted_run
from zoo.io.run_folder import RunFolder
from zoo.runs.watching.command import watch
from zoo.runs.watching.server import Handler, Server, Site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
PROBE = """<!doctype html><iframe id="wide" width="1200" height="900"></iframe>
<iframe id="narrow" src="/" width="390" height="800"></iframe><script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (test) => { for (let i = 0; i < 600 && !test(); i++) await wait(50); };
(async () => {
  const found = {}, frame = document.getElementById("wide");
  frame.src = "/";
  await until(() => frame.contentDocument?.body?.dataset.version);
  const page = frame.contentDocument, view = frame.contentWindow, id = (name) => page.getElementById(name);
  const source = () => id("sample").getAttribute("src").slice(-16);
  const shown = () => [id("caption").textContent, Number(id("time").value), source()];
  const key = (target, name) => target.dispatchEvent(new view.KeyboardEvent("keydown", { key: name, bubbles: true }));
  await until(() => page.querySelector(".chart .curve"));
  found.first = shown();
  found.marked = page.querySelector("[data-key=loss-d] .shown").getAttribute("visibility");
  id("time").value = "1";
  id("time").dispatchEvent(new view.Event("input", { bubbles: true }));
  found.slid = shown();
  found.markedThen = page.querySelector("[data-key=loss-d] .shown").getAttribute("visibility");
  key(page.body, "ArrowLeft");
  found.left = shown();
  id("play").click();
  found.playing = id("play").getAttribute("aria-label");
  await until(() => id("play").getAttribute("aria-label") === "play");
  found.played = shown();
  const chart = page.querySelector("[data-key=loss-d]"), svg = chart.querySelector("svg");
  svg.scrollIntoView();
  const values = () => [...chart.querySelectorAll("li b")].map((each) => [each.textContent, each.dataset.value]);
  const where = chart.querySelector(".at");
  const reading = () => [Number(where.dataset.images), values(), where.textContent];
  found.pointed = [];
  for (const part of [0, 0.26, 0.5, 0.99, 1]) {
    const box = svg.getBoundingClientRect(), place = box.left + 58 + (box.width - 68) * part;
    svg.dispatchEvent(new view.PointerEvent("pointermove", { clientX: place, clientY: box.top + 90, bubbles: true }));
    found.pointed.push(reading());
  }
  key(svg, "ArrowLeft");
  found.stepped = reading()[0];
  svg.dispatchEvent(new view.PointerEvent("pointerleave", {}));
  found.left_alone = reading();
  const metric = page.querySelector("[data-key='metric-FD-pixels']");
  found.log = metric.querySelector(".axis-choice").getAttribute("aria-pressed");
  metric.querySelector(".axis-choice").click();
  found.linear = metric.querySelector(".axis-choice").getAttribute("aria-pressed");
  found.alarms = metric.querySelectorAll(".alarm").length;
  found.gap = metric.querySelector(".curve").getAttribute("d").includes("NaN");
  id("fold-signals").open = true;
  await until(() => id("signals").querySelector(".curve"));
  found.folded = id("signals").querySelectorAll(".curve").length;
  id("time").value = "1";
  id("time").dispatchEvent(new view.Event("input", { bubbles: true }));
  view.scrollTo({ top: 700, behavior: "instant" });
  const before = page.body.dataset.version, height = view.scrollY;
  await fetch("/grow", { method: "POST", body: "" });
  await until(() => page.body.dataset.version !== before);
  found.grown = [...shown(), Number(id("time").max), view.scrollY - height, id("fold-signals").open];
  id("newest").click();
  found.newest = shown();
  found.status = id("status").textContent.trim();
  const small = document.getElementById("narrow").contentDocument;
  found.narrow = small.documentElement.scrollWidth;
  found.resources = view.performance.getEntriesByType("resource").map((entry) => entry.name);
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return planted_run(tmp_path / "run")


class Probed(Posted, Handler):
    """The server of the page, which also has the probe, and lets the run grow."""

    run: Path

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        if self.path == "/probe.html":
            self._send(200, "text/html", PROBE.encode())
        else:
            super().do_GET()

    def do_POST(self) -> None:  # noqa: N802
        if self.path == "/grow":
            grow(self.run)
            self._send(204, "text/plain", b"")
        else:
            super().do_POST()


def grow(run: Path) -> None:
    """Add a grid and a row of losses, as a run that goes on does."""
    files = RunFolder(run)
    Image.new("RGB", (102, 52), "red").save(files.sample_grid(4800))
    with open(files.metrics_table, newline="") as file:
        columns = next(csv.reader(file))
    row = {"images_seen": "4800", "d/adversarial": "0.125", "d/r1": "0.5"}
    with open(files.metrics_table, "a", newline="") as file:
        csv.DictWriter(file, columns, restval="").writerow(row)


@pytest.fixture
def server(run: Path) -> Iterator[Server]:
    Probed.arrived, Probed.run = threading.Event(), run
    served = Server([run], poll=1)
    served.RequestHandlerClass = type("Own", (Probed,), {"site": Site([run], 1)})
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


def test_the_served_page_in_a_browser(run: Path, server: Server, tmp_path: Path) -> None:
    own: Any = server.RequestHandlerClass
    console = visit(f"{server.address}probe.html", tmp_path / "profile", own.arrived)
    found = own.found
    assert console == []
    assert all(name.startswith(server.address) for name in found["resources"])
    assert found["narrow"] <= 390
    # The slider, the keys and the play button.
    assert found["first"] == ["Generated after 4,000 images seen, grid 6 of 6", 5, "000000004000.png"]
    assert found["slid"] == ["Generated after 800 images seen, grid 2 of 6", 1, "000000000800.png"]
    assert found["left"] == ["Generated after 0 images seen, grid 1 of 6", 0, "000000000000.png"]
    assert (found["marked"], found["markedThen"]) == ("hidden", "visible")
    assert (found["playing"], found["played"]) == ("pause", found["first"])
    # The values under the pointer are those of the table.
    with open(RunFolder(run).metrics_table, newline="") as file:
        table = {int(row["images_seen"]): row for row in csv.DictReader(file)}
    seen = [reading[0] for reading in found["pointed"]]
    assert seen == [100, 1000, 2000, 4000, 4000]
    for images, values, text in found["pointed"]:
        recorded = [float(table[images][name]) for name in ("d/adversarial", "d/r1")]
        assert [float(value) for _, value in values] == recorded
        assert [float(shown) for shown, _ in values] == [pytest.approx(value, rel=1e-4) for value in recorded]
        assert text.startswith(f"{images:,} images seen")
    assert found["pointed"][2][2] == "2,000 images seen · alarm: loss of diversity"
    assert found["stepped"] == 3900
    assert found["left_alone"][0] == 0
    assert float(found["left_alone"][1][0][1]) == float(table[4000]["d/adversarial"])
    assert (found["log"], found["linear"], found["alarms"], found["gap"]) == ("true", "false", 1, False)
    assert found["folded"] == 1
    # A refresh brings the new grid, and leaves the slider, the scroll and the folded parts where they are.
    assert found["grown"] == ["Generated after 800 images seen, grid 2 of 7", 1, "000000000800.png", 6, 0, True]
    assert found["newest"] == ["Generated after 4,800 images seen, grid 7 of 7", 6, "000000004800.png"]
    assert "4,800 of 8,000 images (60%)" in found["status"]


def test_the_written_page_opens_from_disk(run: Path, tmp_path: Path) -> None:
    page = watch(str(run), out=str(tmp_path / "page.html"))
    shutil.rmtree(run)  # the page needs no other file
    options = ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"]
    result = subprocess.run(
        [*command(tmp_path / "profile"), *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in result.stderr
    assert "Generated after 4,000 images seen, grid 6 of 6" in result.stdout
    assert result.stdout.count('class="curve') >= 4
    assert json.loads(result.stdout.split('id="state">')[1].split("</script>")[0])["poll"] == 0
