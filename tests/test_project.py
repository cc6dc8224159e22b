"""`python -m zoo.project`: pictures whose latents are known are found again, and mistakes are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo import from_pretrained as load
from zoo.errors import UserError
from zoo.project.command import project
from zoo.rendering import pictures
from zoo.runs.drawing import sample


def drawn(folder: Path, labels: list[int], seed: int = 7) -> list[str]:
    """Save images that `dcgan_digits` drew of these classes, and return their paths."""
    images = load("dcgan_digits").sample(len(labels), seed=seed, labels=labels)
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for image, path in zip(images, paths):
        pictures.save(pictures.single(image), path)
    return [str(path) for path in paths]


@pytest.fixture
def found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, list[str], str]:
    """The folder of a projection of images of classes 3, 8 and 1, and of noise; the pictures; and the printed text."""
    names = drawn(tmp_path, [3, 8, 1])
    noise = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    names.append(str(tmp_path / "noise.png"))
    folder = project("dcgan_digits", names, steps=120, restarts=2, between=4, out=str(tmp_path / "out"))
    return folder, names, capsys.readouterr().out


def test_what_the_model_drew_is_found_with_its_class_and_noise_is_not(found: tuple[Path, list[str], str]) -> None:
    folder, names, text = found
    with np.load(folder / "latents.npz") as arrays:
        assert arrays["z"].shape[0] == 4
        assert arrays["labels"][:3].tolist() == [3, 8, 1]
        levels = 127.5 * arrays["difference"]
    assert levels[:3].max() < 12 < 60 < levels[3]
    assert f"  {names[0]}: {levels[0]:.1f}  class 3" in text
    assert "images that the model itself drew: " in text


def test_the_file_of_latents_draws_what_was_found(found: tuple[Path, list[str], str], tmp_path: Path) -> None:
    """The classes are those of the file, and the differences those that were printed."""
    folder, names, _ = found
    sample("dcgan_digits", latents=str(folder / "latents.npz"), out=str(tmp_path / "again.npz"))
    with np.load(tmp_path / "again.npz") as drawn_again, np.load(folder / "latents.npz") as arrays:
        assert drawn_again["arr_1"].tolist() == arrays["labels"].tolist()
        for i, name in enumerate(names):
            target = np.asarray(Image.open(name), np.float64)
            difference = np.sqrt(np.square(drawn_again["arr_0"][i, :, :, 0] - target).mean())
            assert difference == pytest.approx(127.5 * arrays["difference"][i], abs=0.5)


def test_pictures_and_walks(found: tuple[Path, list[str], str]) -> None:
    folder, names, _ = found
    cell, margin = 48, 2
    with Image.open(folder / "projection.png") as picture:
        assert picture.size == (4 * (cell + margin) + margin, 2 * (cell + margin) + margin)
        first = np.asarray(picture)[margin : margin + cell, margin : margin + cell, 0]
    assert np.array_equal(first, np.asarray(Image.open(names[0])).repeat(3, 0).repeat(3, 1))
    with Image.open(folder / "walk.png") as walk:  # three rows, each from one picture to the next
        assert walk.size == (4 * (cell + margin) + margin, 3 * (cell + margin) + margin)


def test_a_given_class_is_kept(tmp_path: Path) -> None:
    names = drawn(tmp_path, [3])
    project("dcgan_digits", names[0], labels=5, steps=3, restarts=1, out=str(tmp_path / "out"))
    with np.load(tmp_path / "out" / "latents.npz") as arrays:
        assert arrays["labels"].tolist() == [5]
    assert not (tmp_path / "out" / "walk.png").exists()  # of a single picture


def test_a_mixture_records_the_generator_of_each_picture(tmp_path: Path) -> None:
    model = load("mix_dcgan_fashion")
    images = model.sample(2, seed=1, labels=[3, 4]) if model.num_classes else model.sample(2, seed=1)
    for i, image in enumerate(images):
        pictures.save(pictures.single(image), tmp_path / f"{i}.png")
    names = [str(tmp_path / f"{i}.png") for i in range(2)]
    project("mix_dcgan_fashion", names, steps=20, restarts=1, between=0, out=str(tmp_path / "out"))
    latents = tmp_path / "out" / "latents.npz"
    sample("mix_dcgan_fashion", latents=str(latents), out=str(tmp_path / "again.npz"))
    with np.load(latents) as arrays, np.load(tmp_path / "again.npz") as again:
        assert arrays["component"].shape == (2,)
        for i, name in enumerate(names):
            target = np.asarray(Image.open(name), np.float64)
            difference = np.sqrt(np.square(again["arr_0"][i, :, :, 0] - target).mean())
            assert difference == pytest.approx(127.5 * arrays["difference"][i], abs=0.5)


@pytest.mark.parametrize(("data", "level"), [({}, 0), ({"background": "#808080"}, 128)])
def test_transparent_parts_lie_on_the_background_of_the_training_images(
    data: dict[str, Any], level: int, tmp_path: Path
) -> None:
    """A run on black, a picture without a visible pixel: what is searched is black, or the colour that is given."""
    for i in range(8):
        Image.fromarray(np.full((16, 16), 30 * i, np.uint8)).save(tmp_path / f"train{i}.png")
    settings = {"class": "Folder", "root": str(tmp_path), "match": "train*", "background": "black", "batch_size": 4}
    model = {"width": 2, "num_classes": 0, "average_halflife": 0}
    zoo.fit(
        "dcgan_digits",
        images=8,
        out=tmp_path / "run",
        model=model,
        data=settings,
        callbacks={"SaveEvery": {"every": 8}},
    )
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(tmp_path / "nothing.png")
    project(
        str(tmp_path / "run"),
        str(tmp_path / "nothing.png"),
        steps=1,
        restarts=1,
        data=data,
        out=str(tmp_path / "out"),
    )
    with Image.open(tmp_path / "out" / "projection.png") as picture:
        assert picture.convert("L").getpixel((10, 10)) == pytest.approx(level, abs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "nowhere.png"}, "image: there is no file nowhere.png. Give a picture file, or several"),
        ({"image": "text.png"}, "image: text.png cannot be decoded as a picture"),
        ({"image": []}, "image: 1 to 64 picture files; got 0"),
        ({"steps": 0}, "steps: at least 1; got 0"),
        ({"restarts": 0}, "restarts: at least 1; got 0"),
        ({"between": 1}, "between: at least 2 images with the two ends, or 0 for no walk; got 1"),
        ({"labels": 10}, "labels: classes are numbered 0 to 9; got 10"),
        ({"labels": [1, 2]}, "labels: one class for all pictures, or one for each of 1; got 2"),
        ({"data": {"match": "*.png"}}, "data.match=*.png: pictures take only data.value_range and data.background"),
        ({"data": {"background": "blak"}}, "data: background is a colour such as black, white or #rrggbb; got 'blak'"),
        ({"labels": 1.5}, "labels: a class, by its number or its name"),
        ({"checkpoint": "progan_earth", "labels": 1}, "labels: this model is unconditional"),
    ],
)
def test_mistakes_are_explained(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("no picture")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("black.png")
    with pytest.raises(UserError) as raised:
        project(**{"checkpoint": "dcgan_digits", "image": "black.png", **options})
    assert message in str(raised.value)
    assert not Path("projection").exists()


def test_the_search_starts_from_classes_in_equal_shares_where_none_is_given() -> None:
    """With one search for each picture and no step, what is found is the nearest of the draws, whatever its class."""
    from zoo.audit.evidence.latent_search import CANDIDATES, reconstruct
    from zoo.audit.zoo_model import adapt

    subject = adapt(load("dcgan_digits"))
    n = 10
    z = subject.sample_latent(n * CANDIDATES, 0)
    classes = torch.arange(n * CANDIDATES) % 10
    pool = subject.render(z, classes)
    targets = pool[[13, 27, 99]].repeat(4, 1, 1, 1)[:n]
    prior = subject.sample_latent(100, 1)
    result = reconstruct(subject, targets, None, prior, steps=1, restarts=1, seed=0)
    assert result.labels is not None
    assert result.labels[:3].tolist() == [3, 7, 9]
    assert float(result.errors[:3].max()) < 0.02
