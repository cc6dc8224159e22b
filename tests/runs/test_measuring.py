"""Tests of measuring one folder of images against another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data.digits import load_digits
from zoo.errors import DataError, UserError
from zoo.runs.measuring import evaluate


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write two folders of digits; in the first, one file is no image."""
    monkeypatch.chdir(tmp_path)
    digits, _ = load_digits(16, 1)
    for k, name in enumerate(("real", "fake")):
        (tmp_path / name).mkdir()
        for i in range(40):
            Image.fromarray(digits[2 * i + k, :, :, 0]).save(tmp_path / name / f"{i:02}.png")
    (tmp_path / "real/99.png").write_bytes(b"no image")
    return ["real", "fake"]


def test_the_advice_about_a_corrupt_image_can_be_followed(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`data.on_corrupt=skip` had no effect on two folders: row A10."""
    words = {"metrics": "fid", "extractor": "pixels", "repeats": 0}
    with pytest.raises(DataError, match=r"99\.png.* or set data\.on_corrupt=skip to leave such images out"):
        evaluate(real="real", fake="fake", **words)
    found = evaluate(real="real", fake="fake", data={"on_corrupt": "skip"}, **words)
    assert found.rows[0]["numbers"][0].protocol["n_real"] == 40
    assert "Folder: 40 images (16 px, colour), 40 to train on, 0 held out; left out: 1 that cannot be decoded" in (
        capsys.readouterr().err
    )


def test_other_settings_of_data_are_refused_for_folders(folders: list[str]) -> None:
    """They were ignored in silence."""
    with pytest.raises(UserError, match=r"data\.group=a: folders of images take only data\.on_corrupt"):
        evaluate(real="real", fake="fake", data={"group": "a"})


def test_values_of_a_microscope_are_compared_with_generated_files_of_eight_bits(
    tmp_path: Path, folders: list[str]
) -> None:
    """The setting that a refusal names is accepted by the command that refuses: rows I1 and A10."""
    (tmp_path / "real/99.png").unlink()
    for path in (tmp_path / "real").iterdir():
        values = np.asarray(Image.open(path)).astype(np.int32) * 16
        path.unlink()
        Image.fromarray(values).save(path.with_suffix(".tif"))
    words = {"metrics": "fid", "extractor": "pixels", "repeats": 0}
    with pytest.raises(DataError, match=r"data\.value_range=\[0,4095\]"):
        evaluate(real="real", fake="fake", **words)
    evaluate(real="real", fake="fake", data={"value_range": [0, 4080]}, **words)


@pytest.mark.parametrize("name", ["real", "fake"])
def test_faults_of_a_folder_name_its_option(name: str, folders: list[str]) -> None:
    """The advice was data.root and data.class, which the command refuses: row A10."""
    (Path("real") / "99.png").unlink()
    Path("empty").mkdir()
    for path, text in (
        ("nowhere", "there is no folder nowhere. Give the path"),
        ("empty", "no images below empty; looked"),
    ):
        with pytest.raises(UserError, match=f"^{name}: {text}"):
            evaluate(**{"real": "real", "fake": "fake", name: path}, metrics="fid", extractor="pixels")
