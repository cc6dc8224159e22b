"""Tests of shards: patterns, indices, labels, web servers with and without ranges, and messages."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo.data
from tests.data.test_streamed import file_of, picture
from zoo.data import WebDataset
from zoo.data.shards import expanded
from zoo.errors import DataError
from zoo.io.download import TIMEOUT

Sample = dict[str, bytes]


def write(path: Path, samples: Sequence[tuple[str, Sample]]) -> None:
    """Write a shard of samples, each a name and its files by their endings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, files in samples:
            for ending, content in files.items():
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def plain(first: int, last: int) -> list[tuple[str, Sample]]:
    """Return the samples of pictures first..last-1, labelled with their number modulo 3."""
    return [(f"{i:04d}", {"png": file_of(picture(i)), "cls": str(i % 3).encode()}) for i in range(first, last)]


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Three shards of 20, 1 and 19 pictures."""
    for number, (first, last) in enumerate([(0, 20), (20, 21), (21, 40)]):
        write(tmp_path / "set" / f"a-{number:03d}.tar", plain(first, last))
    return f"{tmp_path}/set/a-{{000..002}}.tar"


def ready(urls: str, **settings: Any) -> WebDataset:
    data = WebDataset(urls=urls, **{"resolution": 12, "batch_size": 4, "stream": True, **settings})
    data.setup()
    return data


def everything(data: WebDataset) -> torch.Tensor:
    return torch.from_numpy(data.train.pool.images[:].copy())


def expected(count: int = 40) -> torch.Tensor:
    return torch.from_numpy(np.stack([picture(i) for i in range(count)]))


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_images_come_in_the_order_of_the_shards_with_their_labels(shards: str, stream: bool) -> None:
    data = ready(shards, stream=stream)
    assert torch.equal(everything(data), expected())
    assert data.train.pool.labels is not None
    assert data.train.pool.labels.tolist() == [i % 3 for i in range(40)]
    assert (len(data.train), len(data.held_out), data.num_classes) == (36, 4, 3)


def test_what_the_library_webdataset_writes_is_read(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    with wds.ShardWriter(str(tmp_path / "w-%02d.tar"), maxcount=15, verbose=0) as writer:
        for i in range(40):
            writer.write({"__key__": f"some.folder/{i:04d}", "png": picture(i), "json": {"kind": f"kind {i % 2}"}})
    data = ready(str(tmp_path / "w-*.tar"), label_key="json.kind")
    assert torch.equal(everything(data), expected())
    assert data.class_names == ("kind 0", "kind 1")


def test_patterns() -> None:
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("a-{8..11}.tar") == ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{train,val}-{0..1}.tar") == ["train-0.tar", "train-1.tar", "val-0.tar", "val-1.tar"]
    assert expanded("a.tar") == ["a.tar"]
    assert len(expanded("a-{000..999}.tar")) == 1000
    with pytest.raises(DataError, match=r"the range \{9\.\.3\} ends before it begins\. Write \{3\.\.9\}"):
        expanded("a-{9..3}.tar")


def test_folders_links_and_other_files_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, [*plain(0, 12), ("alone", {"txt": b"no image"}), ("__meta__", {"json": b"{}"})])
    with tarfile.open(path, "a") as tar:
        for name, kind in (("folder.png", tarfile.DIRTYPE), ("link.png", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type = kind
            tar.addfile(entry)
    data = ready(str(path))
    assert len(data.train) + len(data.held_out) == 12
    assert "left out: 1 samples without an image" in data.describe()


def test_one_of_several_images_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    samples = [(f"{i}", {"left.png": file_of(picture(i)), "right.png": file_of(picture(i + 50))}) for i in range(12)]
    write(path, samples)
    with pytest.raises(DataError, match=r"has several images: \.left\.png, \.right\.png.*data\.image_key=left\.png"):
        ready(str(path))
    assert torch.equal(everything(ready(str(path), image_key="left.png")), expected(12))


def test_a_publishers_test_part_is_held_out(tmp_path: Path) -> None:
    write(tmp_path / "train.tar", plain(0, 30))
    write(tmp_path / "test.tar", plain(30, 40))
    data = ready(str(tmp_path / "train.tar"), test_urls=str(tmp_path / "test.tar"))
    assert data.held_out.indices.tolist() == list(range(30, 40))
    assert torch.equal(everything(data), expected())


def test_a_missing_shard_is_named_by_its_setting(shards: str) -> None:
    with pytest.raises(DataError, match=r"data\.test_urls=none\.tar: 1 of 1 shards are not there"):
        ready(shards, test_urls="none.tar")


def test_a_shard_that_is_trained_on_is_not_held_out(shards: str) -> None:
    last = shards.replace("{000..002}", "002")
    with pytest.raises(DataError, match=r"1 of its shards are trained on too, such as \S+a-002\.tar; images that are"):
        ready(shards, test_urls=last)


def test_an_index_is_made_once_and_anew_for_another_file(shards: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = ready(shards).digest
    with monkeypatch.context() as patch:
        patch.setattr("zoo.data.shards.make_index", lambda *args: pytest.fail("indexed again"))
        assert ready(shards).digest == digest
    write(Path(shards.replace("{000..002}", "001")), plain(60, 62))
    changed = ready(shards)
    assert len(changed.train.pool.images) == 41
    assert changed.digest != digest


def test_a_copy_elsewhere_is_the_same_set(shards: str, tmp_path: Path) -> None:
    (tmp_path / "set").rename(tmp_path / "moved")
    assert ready(shards.replace("/set/", "/moved/")).digest
    (tmp_path / "moved").rename(tmp_path / "set")
    assert ready(shards).digest == ready(f"{tmp_path}/set/*.tar").digest


def test_more_shards_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.webdataset.MOST_OPEN", 2)
    for i in range(12):
        write(tmp_path / f"a-{i}.tar", plain(i, i + 1))
    data = ready(f"{tmp_path}/a-{{0..11}}.tar", held_out=0)
    assert torch.equal(everything(data), expected(12))
    assert len(data.train.pool.images.samples._open) == 2  # type: ignore[union-attr]


# --- labels ----------------------------------------------------------------------------------------------------------


def test_names_in_cls_files_are_classes(tmp_path: Path) -> None:
    write(
        tmp_path / "a.tar",
        [(k, {"png": f["png"], "cls": [b"dog", b"cat"][i % 2]}) for i, (k, f) in enumerate(plain(0, 12))],
    )
    data = ready(str(tmp_path / "a.tar"))
    assert data.class_names == ("cat", "dog")
    assert data.train.pool.labels is not None
    assert data.train.pool.labels[:2].tolist() == [1, 0]


def test_samples_without_a_label_among_others(tmp_path: Path) -> None:
    samples = plain(0, 12)
    del samples[5][1]["cls"]
    write(tmp_path / "a.tar", samples)
    with pytest.raises(DataError) as caught:
        ready(str(tmp_path / "a.tar"))
    assert "1 of 12 samples have no label (.cls), such as" in str(caught.value)
    assert "a.tar, image 5 (at byte" in str(caught.value)
    assert ready(str(tmp_path / "a.tar"), label_key="none").num_classes == 0


def test_a_field_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", [("0", {"png": file_of(picture(0)), "json": json.dumps({"label": 3}).encode()})])
    with pytest.raises(DataError, match=r"data\.label_key=json\.kind: the label of the sample 0 of .*KeyError: 'kind'"):
        ready(str(tmp_path / "a.tar"), label_key="json.kind")


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_shard_that_is_not_there(shards: str) -> None:
    with pytest.raises(DataError) as caught:
        ready(shards.replace("002", "004"))
    assert "2 of 5 shards are not there, such as " in str(caught.value)
    assert str(caught.value).endswith("Check the pattern; a range includes both ends: {000..009} is ten shards")


def test_a_compressed_shard(shards: str, tmp_path: Path) -> None:
    first = Path(shards.replace("{000..002}", "000"))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(first.read_bytes()))
    with pytest.raises(DataError, match=r"cannot be read as a tar file without compression .*unpack it \(gunzip\)"):
        ready(str(tmp_path / "a.tar.gz"))


def test_a_shard_without_images(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", [("0", {"txt": b"words", "mp4": b"a film"})])
    with pytest.raises(DataError, match=r"a\.tar has no images; there are \.txt, \.mp4\. Name the ending"):
        ready(str(tmp_path / "a.tar"))


@pytest.mark.parametrize("place", ["pipe:cat a.tar", "s3://bucket/a.tar"])
def test_a_place_without_positions_is_refused(place: str) -> None:
    with pytest.raises(DataError, match="Where the position in a stream cannot be computed, a resumed run"):
        ready(place)


# --- web servers -----------------------------------------------------------------------------------------------------


class Plain(SimpleHTTPRequestHandler):
    """A server of files that knows no ranges, as that of `python -m http.server`."""

    def log_message(self, *args: Any) -> None:
        pass


class Ranged(Plain):
    """A server of files that gives ranges; the first request of each kind is broken off."""

    asked: list[str] = []  # noqa: RUF012
    breaks = 0

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range")
        if wanted is None:
            super().do_GET()
            return
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        type(self).asked.append(wanted)
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if type(self).breaks:
            type(self).breaks -= 1
            part = part[: len(part) // 2]
        self.wfile.write(part)


@pytest.fixture
def served(shards: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the shards on a server of this machine, whose handler is the parameter."""
    kind: type[BaseHTTPRequestHandler] = request.param
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0),
        lambda *args: kind(*args, directory=str(tmp_path / "set")),  # type: ignore[call-arg]
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/a-{{000..002}}.tar"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("served", [Plain], indirect=True)
def test_shards_of_a_server_are_copied_once(served: str, shards: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ready(served)
    assert torch.equal(everything(data), expected())
    assert data.digest == ready(shards).digest
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **options: pytest.fail("asked again"))
    assert ready(served).digest == data.digest


@pytest.mark.parametrize("served", [Ranged], indirect=True)
def test_shards_of_a_server_are_read_where_they_are(served: str, shards: str, tmp_path: Path) -> None:
    Ranged.asked, Ranged.breaks = [], 2
    data = ready(served, copy=False, window=10)
    assert torch.equal(everything(data), expected())
    assert not list((tmp_path / "cache").rglob("*.tar"))
    local = ready(shards, window=10)
    assert data.digest == local.digest
    for workers in (0, 2):
        loaders = [ready(u, window=10, num_workers=workers, **c) for u, c in ((served, {"copy": False}), (shards, {}))]
        far, near = ([b.images for b in islice(iter(loader.train_dataloader()), 9)] for loader in loaders)
        assert torch.equal(torch.cat(far), torch.cat(near))


@pytest.mark.parametrize("served", [Plain], indirect=True)
def test_a_server_without_ranges_is_refused_unless_shards_are_copied(served: str) -> None:
    with pytest.raises(DataError, match=r"gives whole files only, no ranges of bytes\. Leave data\.copy=false out"):
        ready(served, copy=False)


@pytest.mark.parametrize("served", [Plain], indirect=True)
@pytest.mark.parametrize("copy", [True, False])
def test_a_shard_that_a_server_does_not_have(served: str, copy: bool) -> None:
    with pytest.raises(DataError, match=r"there is no answer for http://.*a-003\.tar: HTTP Error 404"):
        ready(served.replace("002", "003"), copy=copy)


@pytest.mark.parametrize("served", [Plain], indirect=True)
def test_a_disk_without_room_for_the_copies(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(
        DataError, match=r"3 shards of 102,400 bytes are copied to .*1,000 are free\..*data\.copy=false"
    ):
        ready(served)


def test_it_is_public() -> None:
    assert {"HuggingFace", "LitData", "WebDataset"} <= set(zoo.data.__all__)
    assert TIMEOUT > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"on_corrupt": "ignore"}, "on_corrupt is 'raise' or 'skip'; got 'ignore'"),
        ({"channels": 2}, r"channels of image files are 1 \(grey\) or 3 \(colour\); got 2"),
        ({"value_range": (5.0, 1.0)}, r"value_range is the value of black and a larger one of white, \[0, 4095\]"),
        ({"background": "nocolour"}, "background is a colour such as black, white or #rrggbb; got 'nocolour'"),
    ],
)
def test_settings_of_reading_are_refused_as_those_of_a_folder(settings: dict[str, Any], message: str) -> None:
    for source in (WebDataset, zoo.data.Folder):
        where = {"urls": "a.tar"} if source is WebDataset else {"root": "a"}
        with pytest.raises(ValueError, match=message):
            source(resolution=8, **where, **settings)
