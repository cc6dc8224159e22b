"""Audits of folders of photographs: sizes, classes, memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.helpers.audit_evidence import split
from zoo.audit import audit, planted
from zoo.audit.command import main
from zoo.audit.evidence import stored
from zoo.audit.evidence.budget import budget
from zoo.audit.evidence.classes import read_classes
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.folders import list_folder, shrunk
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import FloatImages, ImageSet
from zoo.audit.evidence.reading import read_image_set
from zoo.audit.evidence.stored import MappedImages, StridedImages, store
from zoo.audit.questions import NAMES, fresh_discriminator
from zoo.audit.questions.fresh_discriminator import Outcome
from zoo.audit.questions.sharpness import comparable_size
from zoo.config.command_line import run_command
from zoo.data.sizes import Sizes
from zoo.errors import UserError
from zoo.features import cache, extractor

BICUBIC = Image.Resampling.BICUBIC


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def photographs(n: int, seed: int, size: int = 64) -> list[Image.Image]:
    """Textures whose power falls with frequency as that of photographs does."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    radius[0, 0] = 1

    def plane() -> NDArray[np.float64]:
        phases = np.exp(2j * np.pi * rng.random(radius.shape))
        values = np.fft.irfft2(phases / radius**1.2, (size, size))
        return np.asarray((values - values.mean()) / values.std())

    planes = [np.stack([plane() for _ in range(3)], 2) for _ in range(n)]
    return [Image.fromarray(np.clip(128 + 45 * one, 0, 255).astype(np.uint8)) for one in planes]


def saved(pictures: list[Image.Image], folder: str, size: int = 0, names: list[str] | None = None) -> str:
    """Save pictures, resized to `size`, as files of a folder, or under the given names."""
    for i, picture in enumerate(pictures):
        path = Path(folder) / (names[i] if names else f"{i:04d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture.resize((size, size), BICUBIC) if size else picture).save(path)
    return folder


def blurred(pictures: list[Image.Image], size: int) -> list[Image.Image]:
    return [picture.resize((size, size), BICUBIC).filter(ImageFilter.GaussianBlur(1.5)) for picture in pictures]


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos() -> tuple[str, str]:
    """Folders of 60 training and 60 held-out photographs of 64 px."""
    return saved(photographs(60, 0), "train"), saved(photographs(60, 1), "new")


def test_honest_images_at_the_size_of_their_training_are_not_blurred(photos: tuple[str, str]) -> None:
    """Fakes of 16 px beside photographs of 64 px: row A1."""
    saved(photographs(60, 2), "honest", 16)
    saved(blurred(photographs(60, 2), 16), "soft")
    for name, verdict in (("honest", ()), ("soft", ("blurred",))):
        report = audit(name, *photos, features="pixels", only="sharpness")
        assert report.verdict == verdict
        assert report.about["images"]["resolution"] == 16
        assert report.about["images"]["resolution_by"] == "most common size of the generated images"
        assert report.about["images"]["train_files"] == "64 x 64 px"
        assert report["sharpness"].protocol["size"].startswith("16 x 16 px")


def test_the_first_file_decides_nothing(photos: tuple[str, str]) -> None:
    """One odd file at the front of each folder changes no size and is said: rows A1 and A2."""
    saved(photographs(60, 2), "fake", 16)
    for seed, folder in enumerate(("fake", "train", "new")):
        saved(photographs(1, 9 + seed, 8), folder, names=["0.png"])
    report = audit("fake", *photos, features="pixels", only="sharpness")
    assert report.about["images"]["resolution"] == 16
    (note,) = [note for note in report.about["notes"] if note.startswith("generated images")]
    assert "2 sizes from 8 x 8 px to 16 x 16 px, mostly 16 x 16 px (60 of 61 files)" in note
    assert "1 of 61 are enlarged" in note
    assert report["sharpness"].protocol["generated"] == 60
    assert report["sharpness"].protocol["left_out_as_smaller"] == 2


def test_sharpness_is_compared_where_no_side_was_enlarged() -> None:
    """Blurred fakes of 32 px beside photographs of 16 px, which blur hides when these are enlarged: row A1."""
    train, new = (saved(photographs(60, seed), name, 16) for seed, name in ((0, "train"), (1, "new")))
    saved([one.resize((32, 32)) for one in blurred(photographs(60, 2), 16)], "soft")
    saved(photographs(60, 2), "sharp", 32)
    for name, verdict in (("soft", ("blurred",)), ("sharp", ())):
        report = audit(name, train, new, features="pixels", only="sharpness")
        assert report.verdict == verdict
        assert report.about["images"]["resolution"] == 32
        assert report["sharpness"].protocol["size"].startswith("16 x 16 px")
        assert any("training images: 16 x 16 px; compared at 32 px, 60 of 60" in n for n in report.about["notes"])


def test_sets_without_files_are_compared_at_their_own_size() -> None:
    real = ImageSet("held_out", torch.zeros(5, 1, 16, 16, dtype=torch.uint8))
    assert comparable_size(real, real) == 16


def test_the_size_can_be_asked_for(photos: tuple[str, str]) -> None:
    saved(photographs(60, 2), "fake", 32)
    assert (
        command("fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels", "resolution=16") == 0
    )
    about = json.loads(Path("audit-fake/report.json").read_text())["about"]
    assert (about["images"]["resolution"], about["images"]["resolution_by"]) == (16, "asked for")


def test_the_most_common_side_is_taken_and_the_larger_of_two() -> None:
    assert Sizes(((64, 80), (64, 64), (8, 8))).common_side == 64
    assert Sizes(((8, 8), (64, 64), (0, 0))).common_side == 64
    assert Sizes(((8, 8), (64, 64), (0, 0))).smaller_than(64) == 1  # a file that is no image is none of them


def test_folders_are_read_at_the_size_that_a_subject_draws(photos: tuple[str, str]) -> None:
    grey = torch.rand(60, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    report = audit(planted.Honest(grey), *photos, features="pixels", only="sharpness")
    assert report.about["images"]["resolution"] == 16
    assert report["sharpness"].status != "skipped"


def test_tensors_are_not_resized(photos: tuple[str, str]) -> None:
    saved(photographs(30, 2), "fake", 16)
    real = torch.zeros(30, 3, 32, 32)
    with pytest.raises(UserError, match=r"train has images of 32 px, most generated images have 16 px.*Shrink train"):
        audit("fake", real, real, features="pixels")
    with pytest.raises(UserError, match=r"resolution: images draws images of 32 px.*got 16. Leave it out"):
        audit(real, *photos, features="pixels", resolution=16)


# --- classes ---------------------------------------------------------------------------------------------------------


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


def test_classes_of_folders_are_named_by_a_file() -> None:
    """A CSV file of paths and classes, relative to a folder or to the file: row A3."""
    train, new = classed("train", 0, EQUAL, False), classed("new", 1, EQUAL, False)
    fake = classed("fake", 2, DROPPED, False)
    rows = [f"{path},{path.name.partition('-')[0]}" for path in sorted(Path("train").iterdir())]
    rows += [f"{path.name},{path.name.partition('-')[0]}" for path in sorted(Path("new").iterdir())]
    Path("classes.csv").write_text("path,class\n" + "\n".join(rows) + "\n")
    words = ["only=coverage", "extractor=pixels", "labels=classes.csv"]
    assert command(f"fake={fake}", f"train={train}", f"held_out={new}", *words) == 0
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
    assert command("fake=fake", "train=train", "held_out=new", *words) == 0
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


def pictures_of(folder: str, seed: int) -> str:
    return saved(photographs(40, seed, 16), folder)


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
    assert command("fake=fake", "train=train", "held_out=new", "extractor=pixels", f"labels={labels}") == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


def test_a_heading_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("file,Label\n\na/1.png, cat\n")
    assert read_classes(path) == {"a/1.png": "cat"}


def command(*words: str) -> int:
    """Exit code of `python -m zoo.audit`."""
    with pytest.raises(SystemExit) as ended:
        run_command("audit", main, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pictures_of("fake", 0)
    for option in ("fake", "train", "held_out"):
        names = {"fake": "fake", "train": "fake", "held_out": "fake", option: "nowhere"}
        before = sorted(Path.cwd().iterdir())
        assert command(*(f"{key}={path}" for key, path in names.items())) == 2
        assert f"{option}: there is no folder nowhere" in capsys.readouterr().err
        assert sorted(Path.cwd().iterdir()) == before  # nor is a folder for the report


# --- memory ----------------------------------------------------------------------------------------------------------


class Drawing(planted.Honest):
    """A generator that also scores images and makes them from latents, so that every question has an answer."""

    latent_dim = 4

    def generate(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(latents.sum(1)[:, None, None, None].expand(-1, 1, 8, 8))

    def score(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).mean(1)


def test_images_in_a_file_give_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """No question reads a whole set at once, and reading in parts changes no number: row A4."""
    train, held_out, spare = split(0, 150, 120, 120)
    labels = torch.arange(150) % 3, torch.arange(120) % 3
    options = {"labels": labels, "features": "pixels", "budget": "quick"}
    short = [name for name in NAMES if name != "recovery"]
    known = audit(Drawing(spare), train, held_out, only=short, **options)

    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    largest: list[int] = []
    rows = ImageSet.rows

    def watched(self: ImageSet, chosen: slice | torch.Tensor) -> torch.Tensor:
        found = rows(self, chosen)
        largest.append(len(found))
        return found

    monkeypatch.setattr(ImageSet, "rows", watched)
    monkeypatch.setattr(ImageSet, "pixels", property(lambda self: pytest.fail("a whole set was read")))
    monkeypatch.setattr(cache, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(ImageSet.parts, "__defaults__", (50, 2**22))
    mapped = [in_file(images, name) for images, name in ((train, "train"), (held_out, "held_out"))]
    found = audit(Drawing(spare), *mapped, only=short, **options)
    for before, after in zip(known.findings, found.findings):
        assert after.status == before.status
        assert after.statistics == before.statistics
    assert 0 < max(largest) < 150


def test_bytes_in_another_order_are_read_without_a_copy_of_all_of_them() -> None:
    last = torch.randint(0, 256, (30, 8, 8, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found, copied = (read_image_set(x, "train") for x in (last.permute(0, 3, 1, 2), last.permute(0, 3, 1, 2).clone()))
    plain = read_image_set(last.permute(0, 3, 1, 2).contiguous(), "train")
    assert isinstance(plain.stored, torch.Tensor)
    chosen = torch.tensor([7, 0, 29])
    for other in (found, copied):
        assert isinstance(other.stored, StridedImages)
        assert (other.shape, len(other), other.digest) == (plain.shape, 30, plain.digest)
        for rows in (chosen, slice(3, 9)):
            assert torch.equal(other.rows(rows), plain.rows(rows))
            assert other.rows(rows).is_contiguous()
        assert torch.equal(other.mirrored().rows(chosen), plain.mirrored().rows(chosen))
        assert torch.equal(other.take(chosen).pixels, plain.take(chosen).pixels)
    assert found.stored.images.data_ptr() == last.data_ptr()  # type: ignore[union-attr]


def in_file(images: torch.Tensor, name: str) -> ImageSet:
    pixels = read_image_set(images, name).stored
    assert isinstance(pixels, torch.Tensor)
    mapped = store(pixels.split(7), len(pixels), name)
    assert isinstance(mapped, MappedImages)
    assert torch.equal(mapped[torch.arange(len(pixels))], pixels)
    return ImageSet(name, mapped)


@pytest.mark.parametrize("side", [160, 320])
def test_networks_are_trained_on_images_of_a_bounded_size(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of photographs of 400 px took more memory than all else: row A4."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (300, 3, 8, 8), generator=draw).float()
    pixels = torch.nn.functional.interpolate(coarse, size=side, mode="nearest").to(torch.uint8)
    train, held_out, fake = (ImageSet(name, part) for name, part in zip(("train", "held_out", "x"), pixels.split(100)))
    seen: list[torch.Size] = []

    def watched(real: FloatImages, other: FloatImages, *rest: int) -> Outcome:
        seen.extend(side[torch.tensor([0])].shape for side in (real, other))
        return Outcome(8, 1, (0.5, 0.4, 0.6), 0.5, 0.0, 0.0, 30)

    monkeypatch.setattr(fresh_discriminator, "train_and_test", watched)
    known = Evidence(as_subject(fake), train, held_out, budget("quick"), 0, extractor("pixels"), {})
    found = fresh_discriminator.run(known)
    assert set(seen) == {(1, 3, 128, 128)}
    assert found.protocol["size"] == "128 x 128 px"
    small = shrunk(train, 8)
    assert small.shape == (3, 8, 8)
    # Each of 8 x 8 squares has one colour; a triangular filter two squares wide weighs a square and its neighbours so:
    weights = torch.tensor([1.0, 6.0, 1.0]) / 8
    expected = torch.nn.functional.conv2d(
        coarse[:100].flatten(0, 1)[:, None], torch.outer(weights, weights)[None, None]
    )
    assert (small.pixels[:, :, 1:-1, 1:-1].float() - expected.reshape(100, 3, 6, 6)).abs().max() < 2
    assert shrunk(train, side) is train
    mirrored = shrunk(train.mirrored(), 8).pixels.flip(3)
    assert (mirrored.float() - small.pixels.float()).abs().max() <= 1  # halves are rounded either way


def test_decoded_photographs_stay_in_their_file(photos: tuple[str, str]) -> None:
    """Row A4."""
    read = read_image_set(photos[0], "train")
    assert isinstance(read.stored, MappedImages)
    some = read.take(torch.tensor([5, 3]))
    assert isinstance(some.stored, MappedImages)
    assert [file.name for file in some.files] == ["0005.png", "0003.png"]
    expected = torch.from_numpy(np.asarray(Image.open("train/0003.png")).copy()).permute(2, 0, 1)
    assert torch.equal(some.pixels[1], expected)
    assert torch.equal(some.mirrored().pixels[1], expected.flip(2))


def test_the_file_of_generated_images_has_no_name_and_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    parts = torch.zeros(4, 1, 8, 8, dtype=torch.uint8).split(2)
    kept = store(parts, 4, "generated images")
    assert isinstance(kept, MappedImages)
    assert os.listdir(stored.cache_folder()) == []

    def full(dir: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored, "TemporaryFile", full)
    with pytest.raises(UserError, match=r"generated images need 0\.0 GB in .*No space left on device\. Free that much"):
        store(parts, 4, "generated images")


# --- reading of files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["fake", "train", "new"])
def test_the_advice_about_a_broken_file_can_be_followed(
    where: str, photos: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`data.on_corrupt=skip` was advised, and refused by the command that advises it: row A10."""
    saved(photographs(60, 2), "fake", 16)
    broken = Path(where) / "0003.png"
    broken.write_bytes(broken.read_bytes()[:200])  # the header can be read, the pixels cannot
    words = ["fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels"]
    role = {"fake": "generated", "train": "train", "new": "held_out"}[where]
    assert command(*words) == 2
    said = capsys.readouterr().err
    assert f"{role}: an image cannot be decoded: {where}/0003.png" in said
    assert "or set data.on_corrupt=skip to leave such images out" in said
    assert "Traceback" not in said
    assert command(*words, "data.on_corrupt=skip") == 0
    text = " ".join(capsys.readouterr().out.split())
    noun = {"fake": "generated", "train": "training", "new": "held-out"}[where]
    assert f"note: {noun} images: left out: 1 that cannot be decoded" in text
    about = json.loads(Path("audit-fake/report.json").read_text())["about"]
    assert about["images"][f"{role}_left_out"] == "1 that cannot be decoded"
    assert about["images"]["data.on_corrupt"] == "skip"
    assert (about["train"]["images"], about["held_out"]["images"]) == (60 - (where == "train"), 60 - (where == "new"))


def test_images_keep_their_files_sizes_and_classes_when_one_is_left_out() -> None:
    """The third of five files is broken: the values of the others stay with them."""
    pictures = photographs(5, 0, 16)
    for i, picture in enumerate(pictures):
        saved([picture], "set", 16 + i, [f"{i}.png"])
    Path("set/2.png").write_bytes(b"no image")
    folder = list_folder("set", "train", {"on_corrupt": "skip"})
    read = folder.read(16, 3, torch.tensor([5, 6, 7, 8, 9])).images
    assert [file.name for file in read.files] == ["0.png", "1.png", "3.png", "4.png"]
    assert read.labels is not None
    assert read.sides is not None
    assert read.labels.tolist() == [5, 6, 8, 9]
    assert read.sides.tolist() == [16, 17, 19, 20]
    assert torch.equal(read.rows(slice(0, 1)), torch.from_numpy(np.asarray(pictures[0]).copy()).permute(2, 0, 1)[None])
    with pytest.raises(UserError, match="labels: one for each image of train, 5; got 4, in the order of the sorted"):
        folder.read(16, 3, torch.tensor([5, 6, 8, 9]))


def microscope(folder: str, seed: int, size: int) -> None:
    """Save 60 images whose values reach 4095, in files of 32-bit integers, which declare no range."""
    Path(folder).mkdir()
    for i, picture in enumerate(photographs(60, seed, size)):
        values = np.asarray(picture.convert("L")).astype(np.int32) * 16
        Image.fromarray(values).save(Path(folder) / f"{i:04d}.tif")


def test_values_of_a_microscope_are_read_by_the_setting_that_the_refusal_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Sharpness reads the files at another size, by the same setting: rows I1 and A10."""
    for seed, (name, size) in enumerate({"train": 32, "new": 32, "fake": 16}.items()):
        microscope(name, seed, size)
    words = ["fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels", "resolution=24"]
    assert command(*words) == 2
    said = capsys.readouterr().err
    assert "train: train/0000.tif: " in said
    assert "Give both: data.value_range=[0,4095], for example" in said
    assert command(*words, "data.value_range=[0,4080]") == 0
    found = json.loads(Path("audit-fake/report.json").read_text())
    assert found["about"]["images"]["data.value_range"] == "[0,4080]"
    (sharpness,) = found["findings"]
    assert sharpness["status"] != "skipped"
    assert sharpness["protocol"]["size"].startswith("16 x 16 px")


def test_files_are_chosen_by_their_path(photos: tuple[str, str]) -> None:
    """`data.match` holds for all folders: row A10."""
    saved(photographs(60, 2), "fake", 16)
    words = ["fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels"]
    assert command(*words, "data.match=00[0-4]") == 0
    about = json.loads(Path("audit-fake/report.json").read_text())["about"]
    assert about["train"]["images"] == 50
    assert about["images"]["train_left_out"] == "10 not matched by data.match"
    assert not [note for note in about["notes"] if "left out" in note]  # as asked for


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            "data.group=a",
            "data.group=a: folders of images take only data.on_corrupt, data.value_range, data.background",
        ),
        ("data.on_corrupt=leave", "data.on_corrupt"),
        ("data.value_range=[5,1]", "value_range is the value of black and a larger one of white, [0, 4095]; got [5"),
        ("data.match=nothing", "train: data.match='nothing' matches the path of none of 60 images below train"),
    ],
)
def test_other_settings_of_reading_are_refused(
    setting: str, text: str, photos: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Row A10."""
    saved(photographs(60, 2), "fake", 16)
    assert command("fake=fake", "train=train", "held_out=new", "only=sharpness", "extractor=pixels", setting) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


def test_settings_of_reading_without_a_folder_are_refused() -> None:
    """They would be ignored in silence: row A10."""
    real = torch.zeros(30, 3, 8, 8)
    with pytest.raises(UserError, match=r"data\.on_corrupt=skip: .* no folder of images is given\. Leave it out"):
        audit(real, real, real, features="pixels", data={"on_corrupt": "skip"})
