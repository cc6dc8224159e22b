"""A server on this machine that answers as the Hugging Face hub does, as far as its client asks for models.

It speaks what `huggingface_hub` needs: metadata of a file (HEAD), files with ranges (GET), commits by branch and tag,
creating a repository and committing files to it. Transfers can be broken off, and contents changed on the way.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """What is stored: repository -> commit -> file -> bytes, and names of commits."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.names: dict[str, dict[str, str]] = {}
        self.breaks = 0  # how many transfers of large files are still to be broken off half-way
        self.corrupts = False
        self.asked: list[tuple[str, str, str]] = []  # method, path, range
        self.address = ""

    def add(self, repo: str, files: dict[str, bytes], *names: str) -> str:
        """A commit with these files, called `main` and by further names."""
        return self.commit(repo, files, "main", *names)

    def commit(self, repo: str, files: dict[str, bytes], *names: str) -> str:
        """A commit on these branches alone."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits.setdefault(repo, {})[commit] = files
        self.names.setdefault(repo, {}).update(dict.fromkeys(names, commit))
        return commit

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        """What a branch holds, without the file that the hub puts into every new repository."""
        content = self.commits[repo][self.names[repo][branch]]
        return {name: data for name, data in content.items() if name != ".gitattributes"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int = -1) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, content: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.hub
        hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
        tree = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/?]+)(\?.*)?", self.path)
        if tree is not None and tree[2] in hub.names.get(tree[1], {}):
            held = hub.commits[tree[1]][hub.names[tree[1]][tree[2]]]
            return self.json([{"type": "file", "path": n, "size": len(c), "oid": "0"} for n, c in held.items()])
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if match is None:
            return self.json({"error": "Not Found"}, 404)
        repo, revision, name = match.groups()
        if repo not in hub.commits:
            return self.answer(401, headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        commit = hub.names[repo].get(revision, revision)
        if commit not in hub.commits[repo]:
            return self.answer(404, headers={"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        if name not in hub.commits[repo][commit]:
            return self.answer(
                404,
                headers={"X-Error-Code": "EntryNotFound", "X-Error-Message": "No such file", "X-Repo-Commit": commit},
            )
        self.send_file(hub.commits[repo][commit][name], commit)

    def send_file(self, content: bytes, commit: str) -> None:
        tag = hashlib.sha256(content).hexdigest()
        headers = {
            "ETag": f'"{tag}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
            "X-Linked-Size": str(len(content)),
            "X-Linked-Etag": f'"{tag}"',
        }
        large = len(content) > 20_000
        if self.hub.corrupts and large and self.command == "GET":
            content = content[:-1] + bytes([content[-1] ^ 1])
        begin, status = 0, 200
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found:
            begin, status = int(found[1]), 206
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        rest = content[begin:]
        if self.command == "GET" and large and self.hub.breaks:
            self.hub.breaks -= 1
            self.answer(status, rest[: len(rest) // 2], headers, length=len(rest))
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.answer(status, rest, headers)

    def do_POST(self) -> None:
        hub, body = self.hub, self.body()
        hub.asked.append(("POST", self.path, ""))
        path = self.path.partition("?")[0]
        if self.headers.get("Authorization") != "Bearer hf_test":
            return self.json({"error": "Invalid credentials"}, 401)
        if path == "/api/validate-yaml":
            return self.json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            if repo in hub.commits:
                return self.json({"error": "exists", "url": f"{hub.address}/{repo}"}, 409)
            hub.add(repo, {".gitattributes": b""})
            return self.json({"url": f"{hub.address}/{repo}"})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/([^/]+)", path)
        return self.json({"error": "Not Found"}, 404) if match is None else self.write(*match.groups(), body)

    def write(self, repo: str, action: str, branch: str, body: bytes) -> None:
        """To a branch, or a branch."""
        hub = self.hub
        if action == "branch":
            if branch in hub.names[repo]:
                return self.json({"error": "Reference already exists"}, 409)
            hub.names[repo][branch] = hub.names[repo]["main"]
            return self.json({})
        if branch not in hub.names[repo]:
            return self.answer(404, headers={"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        if action == "preupload":
            files = json.loads(body)["files"]
            return self.json(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        lines = [json.loads(line) for line in body.splitlines() if line]
        files = dict(hub.commits[repo][hub.names[repo][branch]])
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del files[line["value"]["path"]]
        commit = hub.commit(repo, files, branch)
        return self.json({"success": True, "commitOid": commit, "commitUrl": f"{hub.address}/{repo}/commit/{commit}"})


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at an address of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
