"""How soon the page of an exported generator draws in a browser, and the size of its folder.

    python benchmarks/browser.py [releases=[dcgan_digits,dcgan_fashion] turns=5 draws=9]

Protocol: each release is exported as `python -m zoo.export format=html` does it, and its folder is served on 127.0.0.1
by Python's `http.server`. In each turn headless Chromium opens the page with a new profile, so nothing is cached, and
without a GPU. By the browser's clock are measured: from the beginning of the navigation, and from the end of the page's
load event, to the moment when the first 16 images are on their canvases, which includes the runtime (11 MB) and the
model; and then, `draws` times, from a click on "16 seeds later" to the moment when the 16 new images are there. The
medians and ranges are over turns and, for the clicks, over all clicks of all turns, in milliseconds. The size is that
of all files in the folder.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from turns import leave, machine

from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.export.command import export

CHROMIUM = shutil.which("chromium")
PATIENCE = 120
"""Seconds that a page is given."""
PROBE = """<!doctype html><iframe id="page" width="390" height="900"></iframe><script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
(async () => {
  const frame = document.getElementById("page");
  frame.src = "index.html";
  while (frame.contentDocument?.body?.dataset.drawn !== "0") await pause(2);
  const page = frame.contentWindow, body = frame.contentDocument.body, first = page.performance.now(), clicks = [];
  const loaded = page.performance.getEntriesByType("navigation")[0].loadEventEnd;
  for (let i = 1; i <= DRAWS; i++) {
    const done = new Promise((resolve) => {
      const observer = new page.MutationObserver(() => { if (body.dataset.drawn === `${16 * i}`) resolve(); });
      observer.observe(body, { attributes: true });
    });
    const began = page.performance.now();
    frame.contentDocument.getElementById("later").click();
    await done;
    clicks.push(page.performance.now() - began);
    await pause(50);
  }
  await fetch("/found", { method: "POST", body: JSON.stringify({ first, loaded, clicks }) });
})();
</script>"""


class Server(http.server.SimpleHTTPRequestHandler):
    """A server of one folder that keeps what its page posts.

    Attributes:
        found: the posted values.
        arrived: set when they have arrived.
    """

    found: dict[str, Any]
    arrived: threading.Event

    def do_POST(self) -> None:
        """Keep the posted values."""
        type(self).found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        type(self).arrived.set()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def visit(folder: Path) -> dict[str, Any]:
    """Open the probe in a folder with a new browser, and return what it measured.

    Raises:
        UserError: if the page did not draw in time.
    """
    Server.arrived = threading.Event()
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder))) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/probe.html"
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        browser = subprocess.Popen(
            [str(CHROMIUM), *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if not Server.arrived.wait(PATIENCE):
                raise UserError(f"the page in {folder} did not draw within {PATIENCE} s")
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
    return Server.found


def summary(milliseconds: Sequence[float]) -> dict[str, Any]:
    """Return the median and the range of times."""
    return {
        "median": round(statistics.median(milliseconds), 1),
        "range": [round(min(milliseconds), 1), round(max(milliseconds), 1)],
    }


def measured(release: str, turns: int, draws: int) -> dict[str, Any]:
    """Export a release and return the times and the size of its page.

    Args:
        release: name of a release.
        turns: number of browsers that open the page, one after another.
        draws: number of clicks in each.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / release
        export(release, format="html", out=str(folder))
        size = sum(path.stat().st_size for path in folder.iterdir())
        (folder / "probe.html").write_text(PROBE.replace("DRAWS", str(draws)), encoding="utf-8")
        found = [visit(folder) for _ in range(turns)]
    return {
        "megabytes": round(size / 1e6, 2),
        "milliseconds": {
            "from navigation to the first 16 images": summary([turn["first"] for turn in found]),
            "from the load event to the first 16 images": summary([turn["first"] - turn["loaded"] for turn in found]),
            "from a click to 16 further images": summary([click for turn in found for click in turn["clicks"]]),
        },
    }


def benchmark(
    releases: list[str] = ["dcgan_digits", "dcgan_fashion", "biggan_fashion", "progan_earth"],
    turns: int = 5,
    draws: int = 9,
) -> dict[str, Any]:
    """Measure the pages of releases.

    Args:
        releases: names of releases.
        turns: number of browsers that open each page.
        draws: number of clicks in each.
    """
    if CHROMIUM is None:
        raise UserError("chromium is not installed")
    before = [round(load, 2) for load in os.getloadavg()]
    pages = {release: measured(release, turns, draws) for release in releases}
    version = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True).stdout.strip()
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"turns": turns, "draws": draws},
        **machine("cpu"),
        "load_average_before": before,
        "browser": version,
        "pages": pages,
    }


def main(**arguments: Any) -> None:
    """Measure the pages of exported generators in a browser: releases=[dcgan_digits] turns=5 draws=9."""
    leave(benchmark(**checked_arguments(benchmark, arguments)), "browser_cpu")


if __name__ == "__main__":
    run_command("benchmarks.browser", main)
