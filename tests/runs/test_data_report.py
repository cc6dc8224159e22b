"""The report on a folder of images: what it says, counted on folders whose content is known."""

from __future__ import annotations

import csv
import html
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.test_near_duplicates import scenes
from zoo.config.arguments import parse_arguments
from zoo.config.values import Word
from zoo.errors import UserError
from zoo.runs import data_report
from zoo.runs.data_report import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty scenes in two folders, each with a smaller copy and one that a square cuts, beside what is left out."""
    root = tmp_path / "photos"
    for k, scene in enumerate(scenes(40, side=48)):
        folder = root / ("day" if k % 4 else "night")
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(scene)
        picture.save(folder / f"scene{k:02d}.png")
        picture.resize((96, 48)).save(folder / f"scene{k:02d}_wide.png")
        picture.resize((40, 40)).save(folder / f"scene{k:02d}_small.png")
    (root / "day" / "broken.jpg").write_bytes(b"\xff\xd8\xff not an image")
    (root / "notes.heic").write_bytes(b"x")
    return root


def test_the_page_tells_what_training_sees_and_what_it_does_not(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(str(photos), resolution=32, out=str(tmp_path / "report" / "page.html")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        "Folder: 120 images (32 px, colour from 40 to 48 px), 108 to train on, 12 held out; left out: "
    )
    assert re.fullmatch(
        r"80 images have a near-duplicate; [1-9]\d* of 12 held-out images have one in training\. With "
        r"data\.group='.*' it would be 0 of 12 \(80 groups, of at most 2\)",
        said[1],
    )
    assert said[3] == f"report: {tmp_path / 'report' / 'page.html'}"
    page = (tmp_path / "report" / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 3  # montage, pairs, what is cut off
    assert "<script" not in page
    assert "http" not in page  # nothing is fetched
    assert "data.group=" in page
    assert "2 subfolders, not read as classes; data.labels=true does" in page
    assert "The largest has 91 images, the smallest 30" in page
    assert "day/broken.jpg" in page
    assert "<td>.heic</td>" in page
    assert "The square cuts off more than a\nquarter of each of 33 % of the images." in page
    rows = list(csv.DictReader((tmp_path / "report" / "page_near_duplicates.csv").open()))
    found = [(row["first"], row["second"]) for row in rows]
    assert len(found) == 40
    assert all(second == first.replace(".png", "_small.png") for first, second in found)
    assert {row["parted"] for row in rows} == {"yes", "no"}


def test_settings_of_the_source_are_taken(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"labels": True, "match": "scene", "group": r"(scene\d+)", "held_out": 0.3}
    assert main(str(photos), resolution=16, out=str(tmp_path / "page.html"), data=settings) == 0
    said = capsys.readouterr().out
    assert "2 classes: 0 day" in said
    assert "; 0 of 36 held-out images have one in training" in said
    assert "2 subfolders, read as classes (data.labels=true)" in (tmp_path / "page.html").read_text()


def test_a_clean_grey_folder_has_nothing_to_complain_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k, scene in enumerate(scenes(24, side=32)):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(scene[..., 0]).save(tmp_path / "photos" / f"{k}.png")
    assert main(str(tmp_path / "photos"), out=str(tmp_path / "page.html")) == 0
    said = capsys.readouterr().out
    assert "24 images (32 px, grey)" in said
    assert "no near-duplicates were found\n" in said
    page = (tmp_path / "page.html").read_text()
    assert "Nothing: every file below the folder is an image that is read." in page
    assert "training images are few" in page


def test_a_colour_under_transparent_pixels_is_the_one_asked_for(tmp_path: Path) -> None:
    (tmp_path / "logos").mkdir()
    for k in range(12):
        pixels = np.zeros((32, 32, 4), np.uint8)
        pixels[8:24, 4 : 8 + k] = (255, 20 * k, 0, 255)
        Image.fromarray(pixels).save(tmp_path / "logos" / f"{k}.png")
    report = data_report.read(str(tmp_path / "logos"), 32, {"background": "blue"})
    assert report.found.transparent == 12
    assert report.source.pool.images[0, 0, 0].tolist() == [0, 0, 255]
    assert "12 files have transparency, which lies on blue" in data_report.page(report, "pairs.csv").replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": "nowhere"}, "there is no folder nowhere (data.root)"),
        ({"data": {"class": "Digits"}}, "data.class: Digits is no source of image files; Folder and Zip are"),
        ({"data": {"resolution": 8}}, "data.resolution: the report takes it as resolution=, without data."),
        ({"data": {"mtach": "x"}}, "data.mtach: Folder has no setting of that name. Did you mean match?"),
        ({"data": {"background": "bleu"}}, "data: background is a colour such as black, white or #rrggbb; got 'bleu'"),
        ({"out": "."}, "out: . is a folder. Give the path of the page, such as data_report.html"),
    ],
)
def test_faults_are_told_before_anything_is_written(
    options: dict[str, Any], message: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        main(**{"root": str(photos), **options})
    assert str(raised.value).startswith(message)
    assert not list(tmp_path.glob("*.html"))


def test_the_command_trains_on_what_the_report_shows(photos: Path, tmp_path: Path) -> None:
    """It left out the settings of the report: other images were read, on another background."""
    settings = {"match": "scene", "background": "black", "value_range": Word("[0, 4095]"), "labels": True}
    main(str(photos), resolution=16, out=str(tmp_path / "page.html"), data=settings)
    page = html.unescape((tmp_path / "page.html").read_text())
    found = re.search(r"python -m zoo\.fit (recipe=photos data\.root=.*)</code>", page)
    assert found is not None
    given = parse_arguments(shlex.split(found[1]))
    assert given["data"].pop("root") == str(photos)
    assert given["data"].pop("group")
    assert given == {"recipe": "photos", "data": settings}


def test_a_report_without_near_duplicates_leaves_no_list_of_an_earlier_one(photos: Path, tmp_path: Path) -> None:
    main(str(photos), resolution=16, out=str(tmp_path / "page.html"))
    assert (tmp_path / "page_near_duplicates.csv").is_file()
    for copy in photos.rglob("*_small.png"):
        copy.unlink()
    main(str(photos), resolution=16, out=str(tmp_path / "page.html"))
    assert not (tmp_path / "page_near_duplicates.csv").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf8_are_escaped_in_the_report(tmp_path: Path) -> None:
    """They ended the command with a UnicodeEncodeError after all its work."""
    root = tmp_path / "photos"
    root.mkdir()
    for k, scene in enumerate(scenes(12, side=32)):
        for copy in "ab":
            Image.fromarray(scene).save(root / os.fsdecode(b"scene%d\xe4%s.png" % (k, copy.encode())))
    (root / os.fsdecode(b"broken\xff.png")).write_bytes(b"nothing")
    (root / os.fsdecode(b"x.p\xffg")).write_bytes(b"nothing")
    main(str(root), resolution=16, out=str(tmp_path / "page.html"))
    assert r"broken\udcff.png" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert r"scene0\udce4a.png" in (tmp_path / "page_near_duplicates.csv").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_read_is_named_once(photos: Path, tmp_path: Path) -> None:
    """A colon in its name was taken for the end of the name."""
    (photos / "at 10: 30.png").write_bytes(b"nothing")
    main(str(photos), resolution=16, out=str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text().count("<li>at 10: 30.png: ") == 1


def test_a_page_that_cannot_be_written_is_a_fault_of_the_user(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"out: cannot write .*page\.html: .* Give another path"):
        main(str(photos), resolution=16, out=str(tmp_path / "file" / "page.html"))
