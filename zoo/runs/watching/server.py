"""A server of the pages of runs on 127.0.0.1, which refresh themselves while the runs train.

It answers GET for four kinds of addresses, each checked against a list: the pages, `state.json` of a run, and the grids
that the run has. Nothing in an address is used as a path.
"""

from __future__ import annotations

import errno
import json
import re
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from zoo.errors import UserError
from zoo.runs.history import read_run
from zoo.runs.watching.frames import SAMPLES, pictures_of
from zoo.runs.watching.page import live_state, page_text
from zoo.runs.watching.several import several_text
from zoo.runs.watching.state import version_of

HOST = "127.0.0.1"
NAMES = (HOST, "localhost", "[::1]")
"""Names by which a browser on this machine, or at the end of a tunnel, calls the server. A page elsewhere whose name
was made to point here cannot read the answers."""
PICTURE = re.compile(r"[0-9]{1,20}\.png|real\.png")
REST = 10.0
"""The records of a run are read again after so many times as long as reading them took, so that the page of a long run
does not take a core from its training."""
TIMEOUT = 30
"""Seconds after which a connection that says nothing is closed."""
PLAIN = "text/plain; charset=utf-8"


class Site:
    """The runs that are served, with the last state of each as bytes.

    Args:
        runs: run folders.
        poll: seconds between two questions of a page for changes.
    """

    def __init__(self, runs: Sequence[Path], poll: int) -> None:
        self.runs, self.poll = list(runs), poll
        self._locks = [threading.Lock() for _ in self.runs]
        self._states: list[dict[str, Any] | None] = [None for _ in self.runs]
        self._not_before = [0.0 for _ in self.runs]

    def state(self, number: int) -> dict[str, Any]:
        """Return the state of a run, read again if it changed and enough time has gone by."""
        with self._locks[number]:
            known, run = self._states[number], self.runs[number]
            began = time.monotonic()
            if known is not None and (began < self._not_before[number] or known["version"] == version_of(run)):
                return known
            state = self._states[number] = live_state(read_run(run))
            ended = time.monotonic()
            self._not_before[number] = ended + REST * (ended - began)
            return state

    def answer(self, path: str, query: str) -> tuple[int, str, bytes]:
        """Return status, media type and content for an address.

        Args:
            path: the path of the address.
            query: what stands behind its question mark.
        """
        if len(self.runs) == 1:
            return self._of_run(0, path.removeprefix("/"), query, "")
        if path == "/":
            addresses = [f"{number}/" for number in range(len(self.runs))]
            return 200, "text/html; charset=utf-8", several_text(self.runs, addresses, 12 * self.poll).encode()
        number, slash, rest = path.removeprefix("/").partition("/")
        if slash and re.fullmatch(r"[0-9]{1,6}", number) and int(number) < len(self.runs):
            return self._of_run(int(number), rest, query, "../")
        return _missing()

    def _of_run(self, number: int, rest: str, query: str, home: str) -> tuple[int, str, bytes]:
        if rest == "":
            return 200, "text/html; charset=utf-8", page_text(self.state(number), 0, self.poll, home).encode()
        if rest == "state.json":
            state = self.state(number)
            if parse_qs(query).get("version") == [state["version"]]:
                return 204, "application/json", b""
            return 200, "application/json", json.dumps(state, allow_nan=False).encode()
        folder, _, name = rest.partition("/")
        if folder == SAMPLES and PICTURE.fullmatch(name):
            picture = pictures_of(self.runs[number]).get(name)
            if picture is not None:
                return 200, "image/png", picture.read_bytes()
        return _missing()


def _missing() -> tuple[int, str, bytes]:
    return 404, PLAIN, b"there is nothing at this address\n"


class Handler(BaseHTTPRequestHandler):
    """Answers one request from the site of its server."""

    server_version, sys_version = "zoo.watch", ""
    timeout = TIMEOUT
    site: Site

    def do_GET(self) -> None:
        """Answer a request for a page, a state or a grid."""
        name = (self.headers.get("Host") or "").rsplit(":", 1)[0] if self.headers.get("Host") != "[::1]" else "[::1]"
        if name not in NAMES:
            return self._send(403, PLAIN, b"this server answers only at 127.0.0.1\n")
        address = urlsplit(self.path)
        try:
            self._send(*self.site.answer(address.path, address.query))
        except (UserError, OSError) as error:
            self._send(503, PLAIN, f"{type(error).__name__}: the records of the run cannot be read now\n".encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "max-age=3600" if kind == "image/png" else "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):  # the browser has gone on
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing: the console belongs to the address."""


class Server(ThreadingHTTPServer):
    """The server of a site.

    Args:
        runs: run folders.
        port: port on 127.0.0.1; 0 for a free one.
        poll: seconds between two questions of a page for changes.

    Raises:
        UserError: if the port is taken or not allowed.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, runs: Sequence[Path], port: int = 0, poll: int = 5) -> None:
        handler = type("SiteHandler", (Handler,), {"site": Site(runs, poll)})
        try:
            super().__init__((HOST, port), handler)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror or error})"
            raise UserError(f"port: {port} {reason} on {HOST}. Choose another one, or 0 for a free one") from error

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a connection that broke."""
