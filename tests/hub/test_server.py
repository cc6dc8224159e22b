"""Releases from a hub, an address, and our own index: over HTTP, resumed, verified, and offline."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.hub_server import Hub, serving
from tests.helpers.training import tiny_dcgan
from zoo import hub as zoo_hub
from zoo.errors import ReleaseError
from zoo.hub.finding import fetch_weights
from zoo.hub.pushing import push
from zoo.io import download
from zoo.io.files import sha256_of
from zoo.releases import huggingface, references

pytest.importorskip("huggingface_hub", reason="pip install .[hub]")

REPO = "someone/digits"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions of a model."""
    folder = tmp_path_factory.mktemp("releases")
    old = tiny_dcgan(width=8).save_pretrained(folder / "old")
    return old, tiny_dcgan(width=8, latent_dim=6).save_pretrained(folder / "new")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub()) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        yield running


def same(model: zoo.GAN, folder: Path) -> bool:
    return torch.equal(model.sample(2, seed=0), zoo.from_pretrained(folder).sample(2, seed=0))


def test_a_repository_is_fetched_once_and_by_revision(hub: Hub, releases: tuple[Path, Path]) -> None:
    old, new = releases
    first = hub.add(REPO, content(old), "v1")
    hub.add(REPO, content(new))
    model = zoo.from_pretrained(REPO)
    assert model.latent_dim == 6
    assert same(model, new)
    assert same(zoo.from_pretrained(REPO, revision="v1"), old)
    assert same(zoo.from_pretrained(f"hf:{REPO}", revision=first), old)
    fetched = [path for method, path, _ in hub.asked if method == "GET" and path.endswith(".safetensors")]
    assert len(fetched) == 2
    assert not any(path.endswith((".png", ".md")) for _, path, _ in hub.asked)


def test_what_was_fetched_is_there_without_a_network(
    hub: Hub, releases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, content(releases[0]))
    zoo.from_pretrained(REPO)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits between its attempts
    assert same(zoo.from_pretrained(REPO), releases[0])
    with pytest.raises(ReleaseError, match=r"config.json of someone/other is not in the cache, and the hub cannot be"):
        zoo.from_pretrained("someone/other")


def test_a_fresh_process_told_to_stay_offline_asks_nobody(hub: Hub, releases: tuple[Path, Path]) -> None:
    hub.add(REPO, content(releases[0]))
    zoo.from_pretrained(REPO)
    asked = len(hub.asked)
    draw = f"zoo.from_pretrained({REPO!r}).sample(2, seed=0).double().sum().item()"
    path = str(Path(zoo.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", f"import zoo; print({draw})"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    expected = zoo.from_pretrained(releases[0]).sample(2, seed=0).double().sum().item()
    assert float(done.stdout.split()[-1]) == pytest.approx(expected, abs=1e-6)
    assert len(hub.asked) == asked


def test_a_transfer_that_breaks_off_is_taken_up_where_it_was(
    hub: Hub, releases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)  # it keeps whole chunks, of 10 MB
    hub.add(REPO, content(releases[0]))
    hub.breaks = 1
    assert same(zoo.from_pretrained(REPO), releases[0])
    ranges = [asked for method, path, asked in hub.asked if method == "GET" and path.endswith(".safetensors")]
    size = (releases[0] / "model.safetensors").stat().st_size
    assert len(ranges) == 2
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-").split("-")[0]) <= size // 2


def test_a_file_with_another_digest_is_refused_and_removed(
    hub: Hub, releases: tuple[Path, Path], tmp_path: Path
) -> None:
    hub.add(REPO, content(releases[0]))
    hub.corrupts = True
    with pytest.raises(ReleaseError, match=r"model.safetensors of someone/digits is damaged .* removed from the cache"):
        zoo.from_pretrained(REPO)
    assert not list((tmp_path / "hf").rglob("model.safetensors"))
    sizes = [path.stat().st_size for path in (tmp_path / "hf").rglob("*") if path.is_file()]
    assert max(sizes) < (releases[0] / "model.safetensors").stat().st_size
    hub.corrupts = False
    assert same(zoo.from_pretrained(REPO), releases[0])


def test_what_is_not_there_is_explained(hub: Hub, releases: tuple[Path, Path]) -> None:
    hub.add(REPO, content(releases[0]))
    hub.add("someone/others", {"pytorch_model.bin": b"x"})
    with pytest.raises(
        ReleaseError, match=r"the hub has no repository someone/nothing, or it is private .* ./someone/no"
    ):
        zoo.from_pretrained("someone/nothing")
    with pytest.raises(ReleaseError, match=r"the repository someone/digits has no revision 'v9'"):
        zoo.from_pretrained(REPO, revision="v9")
    with pytest.raises(
        ReleaseError, match=r"someone/others has no config.json, so it is no release .* zoo.hub.convert"
    ):
        zoo.from_pretrained("someone/others")


def test_the_client_is_asked_for_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ReleaseError, match=r"need the package huggingface_hub: pip install 'gan-zoo\[hub\]'"):
        zoo.from_pretrained(REPO)


def test_pushing_gives_a_repository_to_load_from(hub: Hub, tmp_path: Path) -> None:
    model = tiny_dcgan(width=8)
    address = model.push_to_hub(REPO, about={"summary": "Noise."})
    assert address == f"{hub.address}/{REPO}"
    files = hub.files(REPO)
    assert set(files) == {"README.md", "config.json", "grid.png", "model.safetensors"}
    assert b"Noise." in files["README.md"]
    assert torch.equal(zoo.from_pretrained(REPO).sample(2, seed=0), model.sample(2, seed=0))
    folder = tiny_dcgan(width=8, latent_dim=6).save_pretrained(tmp_path / "it")
    (folder / "notes.txt").write_text("not part of it")
    push(folder, REPO)
    assert zoo.from_pretrained(REPO).latent_dim == 6
    assert "notes.txt" not in hub.files(REPO)


def test_a_card_says_how_to_load_it_from_where_it_is(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(card: str) -> str:
        return re.findall(r'zoo\.from_pretrained\("(.*?)"', card)[0]

    monkeypatch.chdir(tmp_path)
    model = tiny_dcgan(width=8)
    folder = model.save_pretrained("mine")
    there = said((folder / "README.md").read_text())
    assert there == "./mine"
    push(folder, REPO)
    card = hub.files(REPO)["README.md"].decode()
    assert said(card) == REPO
    assert "\n# mine\n" in card
    for where in (there, said(card)):
        assert torch.equal(zoo.from_pretrained(where).sample(2, seed=0), model.sample(2, seed=0))
    (tmp_path / "copy").mkdir()
    for name, data in hub.files(REPO).items():
        (tmp_path / "copy" / name).write_bytes(data)
    zoo_hub.verify("copy")
    model.push_to_hub("someone/other")
    assert "# other\n" in hub.files("someone/other")["README.md"].decode()


def test_a_revision_is_made_and_leaves_the_main_branch_alone(hub: Hub, releases: tuple[Path, Path]) -> None:
    old, new = releases
    push(old, REPO)
    for _ in range(2):  # the second time it is there
        push(new, REPO, revision="wider")
    assert zoo.from_pretrained(REPO).latent_dim == 5
    assert zoo.from_pretrained(REPO, revision="wider").latent_dim == 6


def test_what_spoke_of_other_weights_goes_with_them(hub: Hub, releases: tuple[Path, Path]) -> None:
    hub.add(REPO, {**content(releases[0]), "audit.json": b"{}", "audit.html": b"", "thoughts.md": b"theirs"})
    push(releases[1], REPO)
    assert set(hub.files(REPO)) == {*content(releases[1]), "thoughts.md"}


def test_pushing_without_a_right_to_write_says_what_to_do(
    hub: Hub, releases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ReleaseError, match=r"A token with the right to write is needed: hf auth login"):
        huggingface.push(releases[0], REPO)
    with pytest.raises(ReleaseError, match=r"repo must be ORG/NAME"):
        huggingface.push(releases[0], "a/b/c")


def test_a_hub_that_breaks_off_or_is_away_is_said_without_a_traceback(
    hub: Hub, releases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, content(releases[0]))
    hub.breaks = 1000
    with pytest.raises(ReleaseError, match=r"cannot fetch model.safetensors of someone/digits .* is kept: try again"):
        zoo.from_pretrained(REPO)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ReleaseError, match=r"cannot push to someone/digits: .* Can the hub be reached\?"):
        huggingface.push(releases[0], REPO)


def test_a_configuration_without_digests_is_refused_before_weights_are_fetched(
    hub: Hub, releases: tuple[Path, Path]
) -> None:
    files = content(releases[0])
    config = {**json.loads(files["config.json"]), "files": {}}
    hub.add(REPO, {**files, "config.json": json.dumps(config).encode()})
    with pytest.raises(ReleaseError, match=r"its config.json has no digest of model.safetensors"):
        zoo.from_pretrained(REPO)
    assert not [path for _, path, _ in hub.asked if "safetensors" in path]


# --- an address with a digest ----------------------------------------------------------------------------------------


def address_of(hub: Hub, folder: Path) -> tuple[str, str]:
    hub.add(REPO, content(folder))
    return f"{hub.address}/{REPO}/resolve/main/model.safetensors", sha256_of(folder / "model.safetensors")


def test_an_address_with_its_digest(hub: Hub, releases: tuple[Path, Path]) -> None:
    address, digest = address_of(hub, releases[0])
    for _ in range(2):
        assert same(zoo.from_pretrained(f"{address}#sha256={digest}"), releases[0])
    assert len(hub.asked) == 1
    with pytest.raises(ReleaseError, match=r"has no digest, .* Append the digest of the file: .*#sha256=64_HEX_DIGITS"):
        zoo.from_pretrained(address)


def test_a_broken_transfer_from_an_address_goes_on(
    hub: Hub, releases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, digest = address_of(hub, releases[0])
    size = (releases[0] / "model.safetensors").stat().st_size
    hub.breaks = 1
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(ReleaseError, match=r"cannot fetch"):
        fetch_weights(address, digest)
    assert same(zoo.from_pretrained(f"{address}#sha256={digest}"), releases[0])  # another call, later
    assert [asked for _, _, asked in hub.asked] == ["", f"bytes={size // 2}-"]


def test_of_two_that_fetch_one_file_the_second_waits_for_the_first(
    hub: Hub, releases: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, digest = address_of(hub, releases[0])
    copy = download._copy

    def slow(*arguments: Any) -> int:
        time.sleep(0.3)
        return copy(*arguments)

    monkeypatch.setattr(download, "_copy", slow)
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: fetch_weights(address, digest), range(3)))
    assert len(set(found)) == 1
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    "answer", [b"no answer of a server\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc"]
)
def test_answers_that_are_none_are_said_without_a_traceback(answer: bytes) -> None:
    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(1000)
            connection.sendall(answer)
            connection.close()

    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(ReleaseError, match=r"cannot fetch http://127"):
        fetch_weights(f"http://127.0.0.1:{server.getsockname()[1]}/file", "0" * 64)
    server.close()


@pytest.mark.parametrize("address", ["https://somewhere:port/file", "https://127.0.0.1/a file"])
def test_addresses_that_are_none_are_said_without_a_traceback(address: str) -> None:
    with pytest.raises(ReleaseError, match=r"cannot fetch https://"):
        zoo.from_pretrained(f"{address}#sha256={'0' * 64}")


def test_another_file_than_promised_is_refused_and_removed(
    hub: Hub, releases: tuple[Path, Path], tmp_path: Path
) -> None:
    address, digest = address_of(hub, releases[0])
    hub.corrupts = True
    with pytest.raises(ReleaseError, match=r"is not the file that was asked for: its sha256 is .* It was removed"):
        zoo.from_pretrained(f"{address}#sha256={digest}")
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not left
    with pytest.raises(ReleaseError, match=r"cannot fetch .*none: .*404"):
        zoo.from_pretrained(f"{hub.address}/none#sha256={digest}")


def test_a_release_of_ours_that_is_not_shipped_is_fetched_by_its_digest(
    hub: Hub, releases: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, digest = address_of(hub, releases[0])
    (tmp_path / "index.json").write_text(
        json.dumps({"releases": {"far": {"sha256": digest, "url": address}, "nowhere": {"sha256": digest}}})
    )
    monkeypatch.setattr(references, "releases_folder", lambda: tmp_path)
    assert zoo.pretrained() == ["far", "nowhere"]
    assert same(zoo.from_pretrained("far"), releases[0])
    with pytest.raises(ReleaseError, match=r"nowhere should be in .* has no URL to download it from"):
        zoo.from_pretrained("nowhere")
    with pytest.raises(ReleaseError, match=r"there is no release 'fara'. Did you mean far\?"):
        zoo.from_pretrained("fara")


# --- what `where` means ----------------------------------------------------------------------------------------------


def test_what_could_mean_two_things_is_refused_with_both_spellings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub, releases: tuple[Path, Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / REPO).parent.mkdir()
    releases[1].rename(tmp_path / REPO)
    hub.add(REPO, content(releases[0]))
    with pytest.raises(ReleaseError, match=f"write hf:{REPO} for the repository, ./{REPO} for the folder"):
        zoo.from_pretrained(REPO)
    assert zoo.from_pretrained(f"hf:{REPO}").latent_dim == 5
    assert zoo.from_pretrained(f"./{REPO}").latent_dim == 6
    (tmp_path / "index.json").write_text(json.dumps({"releases": {"mine": {"sha256": "0" * 64}}}))
    monkeypatch.setattr(references, "releases_folder", lambda: tmp_path)
    (tmp_path / REPO).rename(tmp_path / "mine")
    with pytest.raises(ReleaseError, match=r"write zoo:mine for the release, \./mine for the folder"):
        zoo.from_pretrained("mine")
    assert zoo.from_pretrained("./mine").latent_dim == 6
    with pytest.raises(ReleaseError, match=r"it is damaged"):
        zoo.from_pretrained("zoo:mine")
    (tmp_path / "mine").rename(tmp_path / "yours")
    with pytest.raises(ReleaseError, match=r"there is no release yours; if the folder .* write \./yours"):
        zoo.from_pretrained("yours")
    (tmp_path / "yours").rename(releases[1])


def test_places_are_told_apart_without_asking_anybody() -> None:
    digest = "0" * 64
    known = {
        "dcgan": ("ours", "dcgan"),
        "zoo:dcgan": ("ours", "dcgan"),
        "a/b": ("hub", "a/b"),
        "hf:a/b": ("hub", "a/b"),
        "./a": ("path", "./a"),
        "/a/b": ("path", "/a/b"),
        "../a": ("path", "../a"),
        "~/a": ("path", "~/a"),
        "a.safetensors": ("path", "a.safetensors"),
        f"https://x/y#sha256={digest}": ("url", "https://x/y"),
    }
    for where, (kind, name) in known.items():
        place = references.parse_reference(where)
        assert (place.kind, place.name) == (kind, name)
    for where in ("a/b/c", "", "a b", "zoo:", "hf:a", "s3://a/b", "a//b"):
        with pytest.raises(ReleaseError, match=r"nothing that a release could be loaded from"):
            references.parse_reference(where)
    with pytest.raises(ReleaseError, match=r"revision='v1' is for repositories of the hub; dcgan is a release of ours"):
        references.parse_reference("dcgan", "v1")
