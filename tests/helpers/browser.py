"""A headless browser, and a server that keeps what a page of a test posts to it."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
CONSOLE = re.compile(r'CONSOLE[^"]*"(.*)", source: ')


class Posted:
    """What a page posts to `/found`, as a part of a request handler.

    Attributes:
        found: the posted values.
        arrived: set when they have arrived.
    """

    found: dict[str, Any]
    arrived: threading.Event

    def do_POST(self: Any) -> None:  # noqa: N802 - the name that http.server calls
        """Keep the posted values."""
        type(self).found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        type(self).arrived.set()


class Folder(Posted, http.server.SimpleHTTPRequestHandler):
    """A server of one folder that keeps what is posted to it."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def command(profile: Path) -> list[str]:
    """Return the command line of the browser, with a profile of its own."""
    return [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]


def visit(address: str, profile: Path, arrived: threading.Event, seconds: float = 120) -> list[str]:
    """Open a page until it has posted what it found; return what the browser's console said.

    Args:
        address: address of the page.
        profile: folder for the browser's profile.
        arrived: set when the page has posted.
        seconds: longest time to wait.
    """
    log = profile.with_suffix(".log")
    with open(log, "wb") as errors:
        browser = subprocess.Popen(
            [*command(profile), "--enable-logging=stderr", address], stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            assert arrived.wait(seconds), f"nothing was posted: {messages(log)}"
        finally:
            browser.terminate()
            browser.wait(30)
    return messages(log)


def messages(log: Path) -> list[str]:
    """Return the messages of the console in a log of the browser."""
    return CONSOLE.findall(log.read_text(encoding="utf-8", errors="replace"))
