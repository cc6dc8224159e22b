"""Two folders of images: the size at which they are compared, and what a high precision means."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.audit_evidence import evidence, split
from zoo.audit.planted import Finite
from zoo.audit.questions.coverage import run as coverage
from zoo.config.command_line import run_command
from zoo.data.digits import load_digits
from zoo.errors import UserError
from zoo.evaluation.numbers import Number
from zoo.features import extractor
from zoo.runs.evaluation_results import notes_on, notes_on_rows
from zoo.runs.measuring import evaluate, main


def folder(name: str, seed: int, size: int, first: int) -> None:
    """Save 24 images of noise, the first of another size."""
    rng = np.random.default_rng(seed)
    Path(name).mkdir()
    for i in range(24):
        side = size if i else first
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(Path(name) / f"{i:02d}.png")


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, object], str]:
    """Return the protocol of `python -m zoo.evaluate` on the folders `real` and `fake`, and the text it printed."""
    given = ["real=real", "fake=fake", "metrics=kid", "extractor=pixels", "out=numbers.json", *words]
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, given)
    assert ended.value.code == 0
    protocol: dict[str, object] = json.loads(Path("numbers.json").read_text())["rows"][0]["numbers"][0]["protocol"]
    return protocol, " ".join(capsys.readouterr().out.split())


def test_one_file_does_not_decide_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first generated file has half the size of the others: row A2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    folder("real", 0, 32, 32)
    folder("fake", 1, 16, 8)
    protocol, text = measured(capsys)
    assert protocol["resolution"] == 16
    assert protocol["resolution_by"] == "most common size of the generated images"
    assert protocol["real_files"] == "32 x 32 px"
    assert "note: generated images: 2 sizes from 8 x 8 px to 16 x 16 px, mostly 16 x 16 px (23 of 24 files)" in text
    assert "all are compared at 16 px, and 1 of 24 are enlarged, which blurs them" in text
    assert "note: real images" not in text
    protocol, text = measured(capsys, "resolution=8")
    assert (protocol["resolution"], protocol["resolution_by"]) == (8, "asked for")
    assert "are enlarged" not in text


def number(key: str, value: float, low: float | None, floor: float | None) -> Number:
    protocol = {"n_real": 100, "n_fake": 100}
    return Number(key, f"{key}-pixels", value, low, None, floor, (100, 100), True, protocol)


def noted(*numbers: Number) -> str:
    return " ".join(note for note in notes_on(list(numbers), extractor("pixels")) if note.startswith("above real"))


def test_precision_and_density_above_real_images_are_noted() -> None:
    """Blurred garments had precision 0.77 (real 0.68) and density 2.4: row A11."""
    found = noted(number("precision", 0.77, 0.74, 0.68), number("density", 2.4, 2.2, 1.0), number("recall", 0, 0, 0.7))
    assert found.startswith("above real images: precision-pixels (0.77, real images 0.68), density-pixels (2.4, real")
    assert "Blurred and repeated images raise precision and density" in found
    assert not noted(number("precision", 0.7, 0.66, 0.68))  # within chance
    assert not noted(number("coverage", 0.9, 0.89, 0.6))
    assert not noted(number("density", 2.4, 2.2, None))
    assert noted(number("density", 1.2, None, 1.0))
    assert not noted(number("density", 1.05, None, 1.0))


def test_a_low_truncation_is_noted_where_it_raises_precision() -> None:
    """Only the first row of a curve was looked at: row A11."""
    high = number("precision", 0.9, 0.88, 0.68)
    rows = [
        {"truncation": level, "numbers": [one]}
        for level, one in ((1.0, number("precision", 0.6, 0.5, 0.68)), (0.5, high))
    ]
    notes = notes_on_rows(rows, extractor("pixels"))
    (found,) = [note for note in notes if note.startswith("above real images")]
    assert found.startswith("above real images, truncation 0.5: precision-pixels (0.9, real images 0.68). Blurred")
    assert len(notes) == len(set(notes)) == 2  # what holds for all rows is said once


@pytest.mark.parametrize("n", [10, 11])
def test_few_images_are_measured_without_the_interval_that_their_halves_cannot_give(
    n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five neighbours need six images, which n have and their halves have not: the defaults measured nothing."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("real", "fake"):
        np.savez(f"{name}.npz", rng.integers(0, 256, (n, 8, 8, 3), np.uint8))
    main(real="real.npz", fake="fake.npz", extractor="pixels")
    content = json.loads(Path("evaluation.json").read_text())
    rows = {row["key"]: row for row in content["rows"][0]["numbers"]}
    assert set(rows) == {"fid", "kid", "precision", "recall", "density", "coverage"}
    assert all(row["value"] is not None for row in rows.values())
    assert {key for key, row in rows.items() if row["low"] is not None} == {"fid", "kid"}
    (note,) = [note for note in content["notes"] if note.startswith("no 95 % interval")]
    assert note.startswith("no 95 % interval for precision-pixels, recall-pixels, density-pixels, coverage-pixels: it")
    assert "(k=5 nearest neighbours need at least 6 generated samples; got 5). Measure more images" in note
    assert note in " ".join(capsys.readouterr().out.split())


def test_grey_images_of_an_array_are_compared_as_grey_ones_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ended in a fault about features of 64 and 192 dimensions."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("real", "fake"):
        grey = rng.integers(0, 256, (20, 8, 8), np.uint8)
        np.savez(f"{name}.npz", grey)
        Path(name).mkdir()
        for i, picture in enumerate(grey):
            Image.fromarray(picture).save(Path(name, f"{i:02}.png"))  # in this order, by which KID draws
    found = []
    for real, fake in (("real", "fake"), ("real.npz", "fake"), ("real", "fake.npz")):
        main(real=real, fake=fake, extractor="pixels", metrics="kid,prdc", n=20, out="numbers.json")
        rows = json.loads(Path("numbers.json").read_text())["rows"][0]["numbers"]
        found.append({row["key"]: row["value"] for row in rows})
        Path("numbers.json").unlink()
    assert found[0] == found[1] == found[2]
    assert found[0]["coverage"] > 0


def test_blurred_images_are_noted_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Averages of similar digits are near the middle of the real ones, where density is high: row A11."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    digits = load_digits(16, 1)[0][:, :, :, 0]
    flat = torch.from_numpy(digits[1200:1500]).flatten(1).float()
    near = torch.cdist(flat, flat).topk(15, largest=False).indices
    blurred = flat[near].mean(1).reshape(-1, 16, 16).to(torch.uint8).numpy()
    for name, pictures in (("real", digits[:1200]), ("fake", blurred)):
        Path(name).mkdir()
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(Path(name) / f"{i:04d}.png")
    with pytest.raises(SystemExit) as ended:
        run_command(
            "evaluate", main, ["real=real", "fake=fake", "metrics=prdc", "extractor=pixels", "out=numbers.json"]
        )
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "note: above real images: " in text
    assert "density-pixels (" in text
    assert "this is no sign of quality; look at recall and coverage, and at the images" in text
    assert any(note.startswith("above real images") for note in json.loads(Path("numbers.json").read_text())["notes"])


def test_an_audit_notes_precision_above_real_images() -> None:
    """The most typical images only, again and again, lie in more neighbourhoods than real ones do: row A11."""
    train, held_out, spare = split(0)
    typical = spare[(spare - spare.mean(0)).flatten(1).norm(dim=1).argsort()[:30]]
    found = coverage(evidence(Finite(typical, 30), train, held_out))
    assert found["density"].low is not None
    assert found["density"].null_high is not None
    assert found["density"].low > found["density"].null_high
    assert "Higher than of real images: " in found.answer
    assert "density (" in found.answer
    honest = coverage(evidence(torch.cat([spare, spare.flip(3)])[:600], train, held_out))
    assert "Higher than of real images" not in honest.answer


def test_training_images_beside_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generated images that are the training images: C_T is far below 0, and none is authentic."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    digits, _ = load_digits(16, 3)
    for name, start in (("real", 0), ("train", 300), ("fake", 300)):
        Path(name).mkdir()
        for i in range(300):
            Image.fromarray(digits[start + i]).save(Path(name) / f"{i:03d}.png")
    words = ["real=real", "train=train", "fake=fake", "metrics=ct,authenticity", "extractor=pixels", "out=n.json"]
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, words)
    assert ended.value.code == 0
    numbers = {n["key"]: n for n in json.loads(Path("n.json").read_text())["rows"][0]["numbers"]}
    assert numbers["ct"]["value"] < -5
    assert numbers["authenticity"]["value"] == 0
    assert numbers["ct"]["protocol"]["n_train"] == 300
    assert numbers["ct"]["protocol"]["train"] == "train"


def test_copies_are_looked_for_among_all_training_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty copies, all of images that a choice of as many training images might leave out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    digits, _ = load_digits(16, 3)
    for name, start, count in (("real", 0, 100), ("train", 300, 600), ("fake", 300, 40), ("nine", 0, 9)):
        Path(name).mkdir()
        for i in range(count):
            Image.fromarray(digits[start + i]).save(Path(name) / f"{i:03d}.png")
    words = {"train": "train", "fake": "fake", "metrics": "authenticity", "extractor": "pixels", "out": "n.json"}
    (number,) = evaluate(real="real", **words).rows[0]["numbers"]
    assert (number.value, number.protocol["n_real"]) == (0, 600)  # its real images are those of training
    for side in ("real", "train"):
        with pytest.raises(UserError, match=rf"{side}: nine has 9 images; a measurement needs at least 10"):
            evaluate(**{"real": "real", **words, side: "nine"})


@pytest.mark.parametrize("words", [["checkpoint=dcgan_digits", "train=train"], ["real=real", "stats=s.npz", "train=x"]])
def test_training_images_go_beside_two_folders(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, words)
    assert ended.value.code == 2
    assert "goes beside real=FOLDER of held-out images and fake=FOLDER" in " ".join(capsys.readouterr().err.split())
