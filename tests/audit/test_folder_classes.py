"""Audits of folders: classes by subfolder or by a file, and what is said without any."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.commands import audit_command
from tests.helpers.photographs import photographs, pictures_of, saved
from zoo.audit import audit
from zoo.audit.evidence.classes import read_classes
from zoo.errors import UserError

pytestmark = pytest.mark.usefixtures("elsewhere")


def classed(folder: str, seed: int, counts: dict[str, int], nested: bool) -> str:
    """Save digits-like pictures of three classes: a bright bar that is upright, level, or missing."""
    rng = np.random.default_rng(seed)
    for kind, count in counts.items():
        for i in range(count):
            pixels = rng.integers(0, 60, (16, 16), dtype=np.uint8)
            at = int(rng.integers(4, 11))
            if kind == "upright":
                pixels[:, at : at + 3] = 255
            elif kind == "level":
                pixels[at : at + 3] = 255
            path = Path(folder) / (f"{kind}/{i:03d}.png" if nested else f"{kind}-{i:03d}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert("RGB").save(path)
    return folder


EQUAL, DROPPED = {"upright": 60, "level": 60, "none": 60}, {"upright": 90, "none": 90}


@pytest.mark.parametrize("nested", [True, False])
def test_a_dropped_class_of_folders_is_found(nested: bool) -> None:
    """Subfolders are classes, and those of the generated images may be absent: row A3."""
    train, new = classed("train", 0, EQUAL, True), classed("new", 1, EQUAL, True)
    report = audit(classed("fake", 2, DROPPED, nested), train, new, features="pixels", only="coverage")
    assert report.about["images"]["classes"] == "3 (level, none, upright), names of subfolders"
    assert report.verdict == ("dropping classes",)
    assert report["coverage"].flags["dropping classes"].startswith("class level ")
    honest = audit(classed("honest", 3, EQUAL, nested), train, new, features="pixels", only="coverage")
    assert "dropping classes" not in honest.verdict
    assert not [note for note in honest.about["notes"] if "unknown" in note]


def test_a_model_of_other_classes_than_the_folders_is_refused() -> None:
    """It was asked for its class 0, whatever that is, where the first subfolder was compared with."""
    train, new = classed("train", 0, EQUAL, True), classed("new", 1, EQUAL, True)

    class Conditional:
        num_classes, class_names = 3, ("upright", "level", "none")  # another order than that of the subfolders

        def sample(self, n: int, labels: torch.Tensor, **_: object) -> torch.Tensor:
            return torch.zeros(n, 3, 16, 16)

    with pytest.raises(UserError, match="class 0 is 'level' in these images and 'upright' in the model"):
        audit(Conditional(), train, new, features="pixels", only="coverage")


def test_classes_of_folders_are_named_by_a_file() -> None:
    """A CSV file of paths and classes, relative to a folder or to the file: row A3."""
    train, new = classed("train", 0, EQUAL, False), classed("new", 1, EQUAL, False)
    fake = classed("fake", 2, DROPPED, False)
    rows = [f"{path},{path.name.partition('-')[0]}" for path in sorted(Path("train").iterdir())]
    rows += [f"{path.name},{path.name.partition('-')[0]}" for path in sorted(Path("new").iterdir())]
    Path("classes.csv").write_text("path,class\n" + "\n".join(rows) + "\n")
    words = ["only=coverage", "extractor=pixels", "labels=classes.csv"]
    assert audit_command(f"fake={fake}", f"train={train}", f"held_out={new}", *words) == 0
    found = json.loads(Path("audit-fake/report.json").read_text())
    assert found["verdict"] == ["dropping classes"]
    assert found["about"]["images"]["classes"] == "3 (level, none, upright), classes.csv"


def test_labels_of_folders_are_used() -> None:
    """A pair of class indices beside folders was dropped in silence: row A3."""
    train, new = classed("train", 0, EQUAL, False), classed("new", 1, EQUAL, False)
    fake = classed("fake", 2, DROPPED, False)  # sorted paths: level, none, upright
    labels = torch.arange(3).repeat_interleave(60)
    report = audit(fake, train, new, labels=(labels, labels), features="pixels", only="coverage")
    assert report["coverage"].flags["dropping classes"].startswith("class 0 ")
    with pytest.raises(UserError, match=r"labels: one for each image of train, 180; got 5, in the order of the sorted"):
        audit(fake, train, new, labels=(labels[:5], labels), features="pixels")


def test_unknown_classes_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Without classes the report says what it could not see, after it tried clusters: row A3."""
    for name, seed in (("train", 0), ("new", 1), ("fake", 2)):
        classed(name, seed, EQUAL, False)
    words = ["only=copying,support,coverage", "extractor=pixels", "budget=quick"]
    assert audit_command("fake=fake", "train=train", "held_out=new", *words) == 0
    assert "note: the classes of the real images are unknown" in " ".join(capsys.readouterr().out.split())
    found = json.loads(Path("audit-fake/report.json").read_text())
    (coverage,) = [finding for finding in found["findings"] if finding["name"] == "coverage"]
    assert "Classes are unknown, so the kinds are clusters" in coverage["answer"]
    assert "k-means" in coverage["protocol"]["kinds_by"]
    if found["verdict"] == ["healthy"]:
        assert "Classes were unknown" in found["summary"]


def test_subfolders_that_divide_a_folder_are_no_classes() -> None:
    pictures = photographs(40, 0, 16)
    saved(pictures, "train", names=[f"{i // 20:02d}000/{i}.png" for i in range(40)])
    saved(photographs(40, 1, 16), "new", names=[f"{60 + i // 20}000/{i}.png" for i in range(40)])
    report = audit(pictures_of("fake", 2), "train", "new", features="pixels", only="sharpness")
    assert report.about["images"]["classes"] == "unknown"
    assert any("Their subfolders differ" in note for note in report.about["notes"])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (
            "subfolders",
            "labels=subfolders: every image of train lies in a subfolder that names its class; 0000.png lies",
        ),
        ("nowhere.csv", "labels: nowhere.csv cannot be read: "),
        ("few.csv", "labels=few.csv: it has no row for 39 of 40 images of train, such as 0001.png"),
        ("wide.csv", "labels=wide.csv: each row is path,class; got '0000.png,1,2'"),
        (
            "two.csv",
            "labels=two.csv: 0000.png has two classes, a and b. Where several folders have a file of this name",
        ),
    ],
)
def test_labels_that_folders_do_not_have_are_refused(
    labels: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row A3."""
    for i, name in enumerate(("train", "new", "fake")):
        pictures_of(name, i)
    Path("few.csv").write_text("0000.png,a\n")
    Path("wide.csv").write_text("0000.png,1,2\n")
    Path("two.csv").write_text("0000.png,a\n0000.png,b\n")
    assert audit_command("fake=fake", "train=train", "held_out=new", "extractor=pixels", f"labels={labels}") == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


@pytest.mark.parametrize("heading", ["file,Label", "path,class"])
def test_a_heading_is_no_row(heading: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(f"{heading}\n\na/1.png, cat\n")
    assert read_classes(path) == {"a/1.png": "cat"}


def test_a_first_image_of_a_class_named_label_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("a/0.png,label\na/1.png,cat\n")
    assert read_classes(path) == {"a/0.png": "label", "a/1.png": "cat"}
