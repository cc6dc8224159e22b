"""The server of the pages of runs: what it answers, what it refuses, and its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runs.test_watching import planted_run
from zoo.errors import CheckpointError, UserError
from zoo.io.run_folder import RunFolder
from zoo.runs.watching.command import watch
from zoo.runs.watching.server import Server


@contextmanager
def serving(*runs: Path) -> Iterator[Server]:
    server = Server(runs, poll=7)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ask(server: Server, path: str, method: str = "GET", host: str = "") -> tuple[int, str, bytes]:
    """Send the path as it is, without the tidying of a browser."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers.get("Content-Type", ""), content


def test_the_page_the_state_and_the_grids_are_served(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run")
    with serving(run) as server:
        status, kind, page = ask(server, "/")
        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert b'"poll":7' in page
        assert b'src="samples/000000004000.png"' in page
        status, kind, content = ask(server, "/state.json")
        state = json.loads(content)
        assert (status, kind, len(state["frames"])) == (200, "application/json", 6)
        assert ask(server, f"/state.json?version={state['version']}") == (204, "application/json", b"")
        assert ask(server, "/state.json?version=old")[0] == 200
        for frame in state["frames"]:
            answer = ask(server, f"/{frame['source']}")
            assert answer == (200, "image/png", RunFolder(run).sample_grid(frame["images"]).read_bytes())
        assert ask(server, "/samples/real.png")[2] == RunFolder(run).real_grid.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/samples/../recipe.yaml",
        "/samples/..%2frecipe.yaml",
        "/../run/recipe.yaml",
        "/recipe.yaml",
        "/samples/",
        "/samples",
        "/samples/000000009999.png",
        "/samples/evolution.png",
        "/samples/000000000800.png/",
        "/samples/%30.png",
        "/samples//etc/hostname",
        "//etc/hostname",
        "/state.json/",
        "/0/state.json",
        "/checkpoints/000000004000.ckpt",
    ],
)
def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    run = planted_run(tmp_path / "run")
    (run / "samples" / "evolution.png").write_bytes(b"not for the page")
    with serving(run) as server:
        assert ask(server, path) == (404, "text/plain; charset=utf-8", b"there is nothing at this address\n")


def test_other_names_and_methods_are_refused(tmp_path: Path) -> None:
    with serving(planted_run(tmp_path / "run")) as server:
        assert ask(server, "/state.json", host="evil.example")[0] == 403
        assert ask(server, "/state.json", host="evil.example:80")[0] == 403
        assert ask(server, "/state.json", host="localhost:1234")[0] == 200  # the other end of a tunnel
        assert ask(server, "/state.json", method="POST")[0] == 501
        assert server.server_address[0] == "127.0.0.1"


def test_a_link_in_the_folder_of_grids_shows_only_what_is_named_like_one(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run")
    (run / "samples" / "0secret.png").write_text("secret")
    with serving(run) as server:
        assert ask(server, "/samples/0secret.png")[0] == 404


def test_a_change_of_the_records_is_served(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run")
    with serving(run) as server:
        server.RequestHandlerClass.site._not_before = [0.0]  # type: ignore[attr-defined]
        before = json.loads(ask(server, "/state.json")[2])
        RunFolder(run).sample_grid(4800).write_bytes(RunFolder(run).sample_grid(0).read_bytes())
        server.RequestHandlerClass.site._not_before = [0.0]  # type: ignore[attr-defined]
        after = json.loads(ask(server, f"/state.json?version={before['version']}")[2])
        assert [frame["images"] for frame in after["frames"]][-1] == 4800


def test_records_that_are_damaged_meanwhile_are_no_end_of_the_server(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run")
    recipe = RunFolder(run).recipe.read_text()
    with serving(run) as server:
        RunFolder(run).recipe.write_text("seed: [")
        assert ask(server, "/")[0] == 503
        RunFolder(run).recipe.write_text(recipe)
        assert ask(server, "/")[0] == 200


def test_several_runs_have_a_table_with_links(tmp_path: Path) -> None:
    runs = [planted_run(tmp_path / name) for name in ("first", "second")]
    recipe = RunFolder(runs[1]).recipe
    recipe.write_text(recipe.read_text().replace("width: 4", "width: 8"))
    with serving(*runs) as server:
        page = ask(server, "/")[2].decode()
        assert 'href="0/"' in page
        assert 'href="1/"' in page
        assert "FD-pixels on training images" in page
        assert "model.width=8" in page
        second = ask(server, "/1/")[2].decode()
        assert "DCGAN on Folder: second" in second
        assert 'href="../"' in second
        assert ask(server, "/1/samples/000000000800.png")[0] == 200
        assert json.loads(ask(server, "/0/state.json")[2])["title"] == "DCGAN on Folder: first"
        for path in ("/2/", "/1", "/01x/", "/-1/", "/1/../0/state.json", "/state.json"):
            assert ask(server, path)[0] == 404, path


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError) as raised:
            watch(str(run), serve=True, port=port)
    assert str(raised.value) == (f"port: {port} is in use on 127.0.0.1. Choose another one, or 0 for a free one")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": 70_000, "serve": True}, "port: a number from 1 to 65535, or 0 for a free one; got 70000"),
        ({"port": 8000}, "port: got 8000 without serve=true. Add serve=true to serve the page"),
        (
            {"out": "page.html", "live": True},
            "out: got 'page.html' beside serve=true, which writes no file. Leave out one of them",
        ),
    ],
)
def test_options_that_do_not_go_together_are_named(tmp_path: Path, options: dict[str, object], text: str) -> None:
    with pytest.raises(UserError) as raised:
        watch(str(planted_run(tmp_path / "run")), **options)  # type: ignore[arg-type]
    assert str(raised.value) == text


def test_a_folder_that_is_no_run_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no run folder"):
        watch(str(tmp_path), serve=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
@pytest.mark.parametrize("word", ["serve=true", "live=true"])
def test_ctrl_c_ends_the_server_cleanly(tmp_path: Path, word: str) -> None:
    """With code 0, no traceback, and no file written into the run folder."""
    run = planted_run(tmp_path / "run")
    files = sorted(run.rglob("*"))
    served = subprocess.Popen(
        [sys.executable, "-m", "zoo.watch", f"run={run}", word],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    assert served.stdout is not None
    line = served.stdout.readline()
    assert line.startswith("watching the run at http://127.0.0.1:")
    port = int(line.split(":")[2].partition("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    served.send_signal(signal.SIGINT)
    _, errors = served.communicate(timeout=60)
    assert (served.returncode, errors) == (0, "")
    assert sorted(run.rglob("*")) == files


def test_a_run_of_a_grid_is_named_by_its_folder(tmp_path: Path) -> None:
    """Whose name has commas; several are named with commas between them."""
    names = [str(planted_run(tmp_path / f"model.width={width},seed=0")) for width in (4, 8)]
    assert watch(names[0]) == Path(names[0]) / "watch.html"
    page = watch(",".join(names), out=str(tmp_path / "page.html"))
    text = page.read_text()
    assert all(Path(name).name in text for name in names)
