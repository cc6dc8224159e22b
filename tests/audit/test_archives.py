"""Audits of images in zip archives and arrays, which stand wherever a folder of images may."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.photographs import photographs, saved
from zoo.audit import audit
from zoo.audit.evidence.folders import list_folder, resized
from zoo.config.command_line import run_command
from zoo.errors import UserError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sets() -> tuple[str, str, str]:
    """Folders of generated, training and held-out photographs, the generated ones smaller."""
    return (
        saved(photographs(60, 2), "fake", 16),
        saved(photographs(60, 0), "train", names=[f"{'ab'[i % 2]}/{i:02d}.png" for i in range(60)]),
        saved(photographs(60, 1), "new", names=[f"{'ab'[i % 2]}/{i:02d}.png" for i in range(60)]),
    )


def zipped(folder: str) -> str:
    path = Path(f"{folder}.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(Path(folder).rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return str(path)


def stacked(folder: str, kind: str) -> str:
    images = np.stack([np.asarray(Image.open(file)) for file in sorted(Path(folder).rglob("*.png"))])
    path = f"{folder}.{kind}"
    np.savez(path, images) if kind == "npz" else np.save(path, images)
    return path


def test_archives_and_arrays_get_the_audit_of_the_folders(sets: tuple[str, str, str]) -> None:
    questions = {"features": "pixels", "only": "sharpness"}
    expected = audit(*sets, **questions)
    fake, train, new = sets
    for given in (map(zipped, sets), (stacked(fake, "npz"), zipped(train), stacked(new, "npy"))):
        report = audit(*given, **questions)
        assert report["sharpness"].statistics == expected["sharpness"].statistics
        assert report.about["images"]["resolution"] == 16
        assert report.about["images"]["train_files"] == "64 x 64 px"


def test_subfolders_of_an_archive_are_classes(sets: tuple[str, str, str]) -> None:
    _, train, new = sets
    report = audit(sets[0], zipped(train), zipped(new), features="pixels", only="sharpness")
    assert report.about["images"]["classes"] == "2 (a, b), names of subfolders"


def test_images_of_an_array_are_of_unknown_class_beside_those_of_subfolders(sets: tuple[str, str, str]) -> None:
    fake, train, new = sets
    report = audit(stacked(fake, "npz"), zipped(train), zipped(new), features="pixels", only="sharpness")
    assert report.about["images"]["classes"] == "2 (a, b), names of subfolders"
    for labels in ("subfolders", "classes.csv"):
        Path("classes.csv").write_text("".join(f"{'ab'[i % 2]}/{i:02d}.png,{i % 2}\n" for i in range(60)))
        found = audit(stacked(fake, "npy"), train, new, features="pixels", only="sharpness", labels=labels)
        assert found.about["images"]["classes"].startswith("2 (")
        with pytest.raises(UserError, match=rf"labels={labels}: the images of train are an array, and {labels} names"):
            audit(fake, stacked(train, "npz"), new, features="pixels", only="sharpness", labels=labels)


def test_a_file_in_an_archive_is_opened_again_for_another_size(sets: tuple[str, str, str]) -> None:
    of_folder, of_archive = (list_folder(path, "train").read(32, 3).images for path in (sets[1], zipped(sets[1])))
    small = resized(of_archive, 8).pixels
    assert (small == resized(of_folder, 8).pixels).all()
    assert small.shape == (60, 3, 8, 8)


def test_a_file_of_another_kind_is_refused(sets: tuple[str, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.tar").write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        run_command("audit", "zoo.audit.command.main", [f"fake={sets[0]}", "train=train.tar", f"held_out={sets[2]}"])
    assert end.value.code == 2
    assert (
        "train: train.tar is a file of another kind. Give the path of a folder of images, a .zip file of them, or "
        "an .npz or .npy file" in capsys.readouterr().err
    )
