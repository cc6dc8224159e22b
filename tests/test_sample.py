"""Truths of `python -m zoo.sample`: what it draws, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import zoo
from zoo.config.command_line import run_command
from zoo.errors import UserError
from zoo.rendering import pictures
from zoo.sample import main, sample

Trained = dict[str, Path]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A conditional, an unconditional and a two-dimensional model, trained until images and classes differ."""
    folder = tmp_path_factory.mktemp("runs")
    fast = {"generator_lr": 0.02, "average_halflife": 100}
    common: dict[str, Any] = {
        "images": 640,
        "trainer": {"accelerator": "cpu", "precision": "32-true"},
        "callbacks": {"SampleGrid": None},
    }
    zoo.fit("dcgan_digits", out=folder / "digits", model={"width": 4, **fast}, **common)
    zoo.fit("vanilla_digits", out=folder / "plain", model={"width": 64, **fast}, **common)
    zoo.fit("vanilla_ring", out=folder / "ring", model={"width": 4}, data={"samples": 500}, **common)
    return {name: folder / name for name in ("digits", "plain", "ring")}


def test_the_models_of_these_tests_draw_images_and_classes_that_differ(runs: Trained) -> None:
    digits, plain = zoo.load_run(runs["digits"]), zoo.load_run(runs["plain"])
    classes = [pictures.to_uint8(digits.sample(1, seed=0, labels=label)).int() for label in range(10)]
    assert all((a - b).abs().max() > 10 for i, a in enumerate(classes) for b in classes[:i])
    images = pictures.to_uint8(plain.sample(6, seed=0)).int()
    assert all((a - b).abs().max() > 10 for i, a in enumerate(images) for b in images[:i])


def draw(*words: str) -> int:
    """Exit code of `python -m zoo.sample`, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command("sample", main, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def cells(path: Path, columns: int, size: int = 48) -> list[NDArray[np.uint8]]:
    """The images of a grid, row by row: 16 pixels enlarged three times, with margins of 2."""
    whole, step = pixels(path), size + 2
    rows = (whole.shape[0] - 2) // step
    assert whole.shape == (rows * step + 2, columns * step + 2, 3)
    return [whole[2 + r * step :, 2 + c * step :][:size, :size] for r in range(rows) for c in range(columns)]


def small(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A cell of a grid at the image's own size."""
    return cell[::3, ::3, 0]


# --- pictures --------------------------------------------------------------------------------------------------------


def test_a_grid_holds_the_models_samples_with_one_class_in_each_column(
    runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid.png"
    assert draw(f"checkpoint={runs['digits']}", "n=20", "seed=3", f"out={out}") == 0
    assert capsys.readouterr() == (f"{out}\n", "")
    model = zoo.load_run(runs["digits"])
    expected = pictures.to_uint8(model.sample(20, seed=3, labels=torch.arange(20) % 10))
    shown = cells(out, columns=10)
    assert len(shown) == 20
    for cell, image in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(small(cell), image[0].numpy())


def test_an_unconditional_grid_is_about_square(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['plain']}", "n=9", f"out={tmp_path / 'grid.png'}") == 0
    assert len(cells(tmp_path / "grid.png", columns=3)) == 9


def test_columns_are_the_callers_and_empty_cells_stay_white(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['plain']}", "n=5", "columns=3", f"out={tmp_path / 'grid.png'}") == 0
    shown = cells(tmp_path / "grid.png", columns=3)
    assert len(shown) == 6
    assert shown[5].min() == 255
    assert all(cell.min() < 255 for cell in shown[:5])


def test_points_are_drawn_as_a_scatter_plot(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['ring']}", "n=16", f"out={tmp_path / 'points.png'}") == 0
    assert pixels(tmp_path / "points.png").shape == (384, 384, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_the_ending_chooses_the_format(suffix: str, runs: Trained, tmp_path: Path) -> None:
    out = tmp_path / f"grid{suffix}"
    assert draw(f"checkpoint={runs['plain']}", "n=4", f"out={out}") == 0
    with Image.open(out) as picture:
        assert picture.format == {".png": "PNG", ".webp": "WEBP"}.get(suffix.lower(), "JPEG")
        assert picture.size == (102, 102)
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_holds_single_images_at_their_own_size(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['digits']}", "n=12", "seed=3", f"out={tmp_path / 'many'}/") == 0
    files = sorted((tmp_path / "many").iterdir())
    assert [file.name for file in files] == [f"{i:02d}.png" for i in range(12)]
    model = zoo.load_run(runs["digits"])
    expected = pictures.to_uint8(model.sample(12, seed=3, labels=torch.arange(12) % 10))
    for file, image in zip(files, expected, strict=True):
        with Image.open(file) as picture:
            assert (picture.size, picture.mode) == ((16, 16), "L")
            np.testing.assert_array_equal(np.asarray(picture), image[0].numpy())


def test_samples_of_two_models_do_not_mix(runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(f"checkpoint={runs['digits']}", "n=3", f"out={tmp_path}/drawn/") == 0
    capsys.readouterr()
    assert draw(f"checkpoint={runs['plain']}", "n=2", f"out={tmp_path}/drawn/") == 2
    assert "drawn holds pictures already, which would be taken for samples" in capsys.readouterr().err
    assert len(list((tmp_path / "drawn").iterdir())) == 3


def test_a_folder_that_exists_needs_no_slash(runs: Trained, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    assert draw(f"checkpoint={runs['plain']}", "n=10", f"out={tmp_path / 'many'}") == 0
    assert sorted(file.name for file in (tmp_path / "many").iterdir()) == [f"{i}.png" for i in range(10)]


def test_a_checkpoint_file_draws_what_its_run_draws(runs: Trained, tmp_path: Path) -> None:
    (file,) = (runs["digits"] / "checkpoints").iterdir()
    first = sample(str(runs["digits"]), n=4, out=str(tmp_path / "a.png"))
    second = sample(str(file), n=4, out=str(tmp_path / "b.png"))
    assert first.read_bytes() == second.read_bytes()


# --- seeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "plain"])
def test_the_same_seed_gives_the_same_bytes(name: str, runs: Trained, tmp_path: Path) -> None:
    for out in ("a.png", "b.png"):
        assert draw(f"checkpoint={runs[name]}", "n=6", "seed=5", f"out={tmp_path / out}") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert draw(f"checkpoint={runs[name]}", "n=6", "seed=6", f"out={tmp_path / 'c.png'}") == 0
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_the_default_seed_is_fixed(runs: Trained, tmp_path: Path) -> None:
    first = sample(str(runs["plain"]), n=4, out=str(tmp_path / "a.png"))
    torch.rand(1)  # whatever was drawn in between
    assert first.read_bytes() == sample(str(runs["plain"]), n=4, seed=0, out=str(tmp_path / "b.png")).read_bytes()


# --- walks -----------------------------------------------------------------------------------------------------------


def test_the_ends_of_each_row_of_a_walk_are_samples_of_the_same_seed(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['plain']}", "n=3", "seed=2", "interpolate=5", f"out={tmp_path / 'walk.png'}") == 0
    assert draw(f"checkpoint={runs['plain']}", "n=6", "seed=2", "columns=6", f"out={tmp_path / 'ends.png'}") == 0
    walk, ends = cells(tmp_path / "walk.png", columns=5), cells(tmp_path / "ends.png", columns=6)
    assert len(walk) == 15
    for row in range(3):
        first, *between, last = walk[5 * row : 5 * row + 5]
        np.testing.assert_allclose(first.astype(int), ends[row], atol=1)
        np.testing.assert_allclose(last.astype(int), ends[3 + row], atol=1)
        for cell in between:
            assert not np.array_equal(cell, first)
            assert not np.array_equal(cell, last)


def test_each_row_of_a_walk_is_one_class(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['digits']}", "n=3", "interpolate=5", f"out={tmp_path / 'walk'}/") == 0
    files = sorted((tmp_path / "walk").iterdir())
    assert [file.name for file in files] == [f"{i:02d}.png" for i in range(15)]
    model = zoo.load_run(runs["digits"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        latents = model.sample_latent(6)
    classes = torch.tensor([0, 1, 2])
    with torch.no_grad():
        starts = pictures.to_uint8(model.generate(model.average, latents[:3], classes))
        ends = pictures.to_uint8(model.generate(model.average, latents[3:], classes))
    for row in range(3):
        for file, image in ((files[5 * row], starts[row]), (files[5 * row + 4], ends[row])):
            np.testing.assert_allclose(pixels(file)[:, :, 0].astype(int), image[0].numpy(), atol=1)


# --- labels and truncation -------------------------------------------------------------------------------------------


def test_one_label_draws_one_class(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['digits']}", "n=4", "labels=3", f"out={tmp_path / 'threes'}/") == 0
    expected = pictures.to_uint8(zoo.load_run(runs["digits"]).sample(4, seed=0, labels=3))
    for i in range(4):
        np.testing.assert_array_equal(pixels(tmp_path / "threes" / f"{i}.png")[:, :, 0], expected[i, 0].numpy())


def test_a_list_of_labels_is_repeated_along_the_columns(runs: Trained, tmp_path: Path) -> None:
    assert draw(f"checkpoint={runs['digits']}", "n=6", "labels=[7,1]", f"out={tmp_path / 'grid.png'}") == 0
    expected = pictures.to_uint8(zoo.load_run(runs["digits"]).sample(6, seed=0, labels=[7, 1] * 3))
    for cell, image in zip(cells(tmp_path / "grid.png", columns=2), expected, strict=True):
        np.testing.assert_array_equal(small(cell), image[0].numpy())


def test_truncated_samples_are_others_and_depend_on_the_seed_alone(runs: Trained, tmp_path: Path) -> None:
    for name, words in {"a": ["truncation=0.5"], "b": ["truncation=0.5"], "c": []}.items():
        assert draw(f"checkpoint={runs['plain']}", "n=4", f"out={tmp_path / name}.png", *words) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


# --- faults ----------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[str, str, list[str]]] = {
    "labels of an unconditional model": (
        "plain",
        "labels=3",
        ["labels were given, but this model is unconditional (num_classes=0)"],
    ),
    "label too large": ("digits", "labels=10", ["labels must lie in 0..9; got 10"]),
    "label too small": ("digits", "labels=-1", ["labels must lie in 0..9; got -1"]),
    "one label of a list": ("digits", "n=2 labels=[3,11]", ["labels must lie in 0..9; got 3 to 11"]),
    "no labels in a list": ("digits", "labels=[]", ["labels"]),
    "labels by name": ("digits", "labels=three", ["labels", "three"]),
    "truncation of zero": ("plain", "truncation=0", ["truncation must be positive; got 0"]),
    "negative truncation": ("plain", "truncation=-0.5", ["truncation must be positive; got -0.5"]),
    "truncation by name": ("plain", "truncation=much", ["truncation: 'much' is not a number"]),
    "a walk of one step": ("plain", "interpolate=1", ["interpolate: at least 2 steps, the two ends; got 1"]),
    "no images": ("plain", "n=0", ["n: at least 1 image; got 0"]),
    "number in words": ("plain", "n=many", ["n: 'many' is not an integer"]),
    "negative columns": ("plain", "columns=-2", ["columns", "-2"]),
    "unknown key": ("plain", "sed=3", ["sed: sample has no setting of that name. Did you mean seed?"]),
    "two faults": ("plain", "n=many sede=3", ["2 faults", "n: 'many' is not an integer", "Did you mean seed?"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_ends_with_code_2_and_draws_nothing(
    case: str, runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, words, fragments = FAULTS[case]
    assert draw(f"checkpoint={runs[name]}", f"out={tmp_path / 'grid.png'}", *words.split()) == 2
    text = capsys.readouterr()
    assert text.err.startswith("zoo.sample: ")
    for fragment in fragments:
        assert fragment in text.err
    assert text.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["grid.tiff", "grid", "grid.png.txt"])
def test_another_ending_is_refused_with_those_there_are(
    out: str, runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(f"checkpoint={runs['plain']}", f"out={tmp_path / out}") == 2
    text = capsys.readouterr().err
    assert "out: a picture ending in .png, .jpg, .jpeg, .webp, or a folder ending in /" in text
    assert f"got '{tmp_path / out}'" in text
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_the_users_fault(
    runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert draw(f"checkpoint={runs['plain']}", "n=1", f"out={tmp_path / 'file' / 'grid.png'}") == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_missing_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw(f"checkpoint={tmp_path / 'nowhere'}") == 2
    assert capsys.readouterr().err == f"zoo.sample: there is no run folder or checkpoint {tmp_path / 'nowhere'}\n"


def test_a_folder_without_checkpoints_says_where_they_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(f"checkpoint={tmp_path}") == 2
    text = capsys.readouterr().err
    assert f"{tmp_path} has no checkpoints; a run folder keeps them in checkpoints/*.ckpt" in text


def test_a_checkpoint_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("n=3") == 2
    assert "checkpoint: missing; sample needs it (a text)" in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.ckpt").write_text("nothing")
    assert draw(f"checkpoint={tmp_path / 'notes.ckpt'}") == 2
    assert "notes.ckpt is " in capsys.readouterr().err


def test_from_python_the_same_faults_are_errors(runs: Trained, tmp_path: Path) -> None:
    out = str(tmp_path / "grid.png")
    with pytest.raises(UserError, match="unconditional"):
        sample(str(runs["plain"]), n=2, labels=3, out=out)
    with pytest.raises(UserError, match=r"labels must lie in 0\.\.9; got 10 to 10"):
        sample(str(runs["digits"]), n=2, labels=10, out=out)
    for truncation in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="truncation must be positive"):
            sample(str(runs["plain"]), n=2, truncation=truncation, out=out)
    with pytest.raises(UserError, match="at least 2 steps"):
        sample(str(runs["digits"]), n=2, interpolate=1, out=out)


def test_an_empty_list_of_labels_is_refused(runs: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="labels"):
        sample(str(runs["digits"]), n=2, labels=[], out=str(tmp_path / "grid.png"))


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("--help") == 0
    text = capsys.readouterr().out
    for key in ("checkpoint=", "n=", "seed=", "out=", "labels=", "truncation=", "interpolate="):
        assert key in text


# --- seeds of single images, latents, arrays, animations -------------------------------------------------------------


def test_each_image_of_seeds_is_the_same_whatever_else_is_drawn(runs: Trained, tmp_path: Path) -> None:
    """Files are named by their seeds, and the image is that of `model.sample(1, seed=...)`."""
    model = zoo.load_run(runs["plain"])
    assert draw(f"checkpoint={runs['plain']}", "seeds=3-5,12", f"out={tmp_path / 'many'}/") == 0
    assert draw(f"checkpoint={runs['plain']}", "seeds=4", f"out={tmp_path / 'one'}/") == 0
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["03.png", "04.png", "05.png", "12.png"]
    for name in ("many/04.png", "one/4.png"):
        found = np.asarray(Image.open(tmp_path / name)).astype(int)
        expected = pictures.to_uint8(model.sample(1, seed=4))[0, 0].numpy().astype(int)
        assert np.abs(found - expected).max() <= 1


def test_seeds_of_a_conditional_model_have_the_classes_asked_for(runs: Trained, tmp_path: Path) -> None:
    model = zoo.load_run(runs["digits"])
    sample(str(runs["digits"]), seeds="7,8", labels=[3, 5], out=str(tmp_path / "a.npz"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["arr_1"].tolist() == [3, 5]
        assert arrays["arr_0"].shape == (2, 16, 16, 1)
        assert arrays["arr_0"].dtype == np.uint8
        expected = pictures.to_uint8(model.sample(1, seed=8, labels=5)).permute(0, 2, 3, 1).numpy()
        assert np.abs(arrays["arr_0"][1:].astype(int) - expected.astype(int)).max() <= 1


def test_seeds_choose_the_generators_of_a_mixture() -> None:
    from zoo.sampling.by_seed import sample_by_seeds

    torch.manual_seed(0)
    model = zoo.MixGAN({"class": "DCGAN", "resolution": 16, "channels": 1, "width": 4}, components=3).eval()
    alone = torch.cat([model.sample(1, seed=seed) for seed in range(8)])
    assert torch.allclose(sample_by_seeds(model, range(8)), alone, atol=1e-5)


def test_latents_of_a_file_are_drawn(runs: Trained, tmp_path: Path) -> None:
    model = zoo.load_run(runs["plain"])
    latents = torch.randn(3, model.latent_dim, generator=torch.Generator().manual_seed(5))
    np.save(tmp_path / "z.npy", latents.numpy())
    np.savez(tmp_path / "z.npz", z=latents.numpy())
    expected = pictures.to_uint8(model(latents)).permute(0, 2, 3, 1).numpy()
    for name in ("z.npy", "z.npz"):
        sample(str(runs["plain"]), latents=str(tmp_path / name), out=str(tmp_path / "drawn.npz"))
        with np.load(tmp_path / "drawn.npz") as arrays:
            assert arrays.files == ["arr_0"]
            assert np.abs(arrays["arr_0"].astype(int) - expected.astype(int)).max() <= 1


def test_pictures_are_enlarged_without_smoothing(runs: Trained, tmp_path: Path) -> None:
    sample(str(runs["plain"]), seeds=9, out=f"{tmp_path / 'small'}/")
    sample(str(runs["plain"]), seeds=9, scale=3, out=f"{tmp_path / 'large'}/")
    small, large = (np.asarray(Image.open(tmp_path / name / "9.png")) for name in ("small", "large"))
    assert np.array_equal(large, small.repeat(3, 0).repeat(3, 1))


def test_an_animation_goes_to_the_other_latents_and_back(runs: Trained, tmp_path: Path) -> None:
    sample(str(runs["plain"]), n=4, interpolate=6, out=str(tmp_path / "walk.gif"))
    with Image.open(tmp_path / "walk.gif") as animation:
        assert animation.n_frames == 10  # six there, four back, and the first again
        assert animation.size == (2 * 50 + 2, 2 * 50 + 2)


def test_a_video_has_the_frames_of_the_animation(runs: Trained, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for name in ("walk.gif", "walk.mp4"):
        sample(str(runs["plain"]), n=4, interpolate=6, out=str(tmp_path / name))
    with av.open(str(tmp_path / "walk.mp4")) as video, Image.open(tmp_path / "walk.gif") as animation:
        frames = [frame.to_image() for frame in video.decode(video=0)]
        assert len(frames) == animation.n_frames == 10
        assert float(video.streams.video[0].average_rate) == 12.5  # 80 ms for each
        for i in (0, 5):
            animation.seek(i)
            expected = np.asarray(animation.convert("RGB"), np.float32)
            assert np.abs(np.asarray(frames[i], np.float32) - expected).mean() < 4  # its compression


def test_without_pyav_a_video_is_refused_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.runs.sample_files.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs PyAV. Install it with pip install 'gan-zoo\[video\]', or write a .gif"):
        sample("nowhere", interpolate=3, out=str(tmp_path / "walk.mp4"))


def test_every_truncation_has_a_row_of_the_same_seed(runs: Trained, tmp_path: Path) -> None:
    sample(str(runs["plain"]), truncation=[0.2, 1.0], n=3, seed=5, out=str(tmp_path / "rows.npz"))
    with np.load(tmp_path / "rows.npz") as arrays:
        rows = arrays["arr_0"]
    assert len(rows) == 6
    for i, level in enumerate((0.2, 1.0)):
        sample(str(runs["plain"]), truncation=level, n=3, seed=5, out=str(tmp_path / "one.npz"))
        with np.load(tmp_path / "one.npz") as arrays:
            assert np.array_equal(rows[3 * i : 3 * i + 3], arrays["arr_0"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"seeds": "5-2"},
            "seeds: whole numbers and spans of up to 1,000,000 joined by commas, such as 0-31 or 3,7; got '5-2'",
        ),
        ({"seeds": "a"}, "got 'a'"),
        ({"seeds": "-4"}, "got '-4'"),
        ({"seeds": str(2**32)}, f"seeds: whole numbers from 0 to {2**32 - 1}; got {2**32}"),
        ({"seeds": "1", "interpolate": 3}, "seeds, latents, interpolate and a list of truncations each say"),
        (
            {"truncation": [0.5, 1.0], "interpolate": 3},
            "a list of truncations each say what is drawn. Give one of them",
        ),
        ({"latents": "nowhere.npy"}, "latents: nowhere.npy is no .npy file, nor a .npz file with an array z"),
        ({"scale": 0}, "scale: a whole factor of at least 1; got 0"),
        ({"out": "walk.gif"}, "out: a .gif shows the way between latents; give interpolate=STEPS as well"),
        ({"out": "walk.mp4"}, "out: a .mp4 shows the way between latents; give interpolate=STEPS as well"),
    ],
)
def test_seeds_latents_and_scales_that_cannot_be(runs: Trained, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as raised:
        sample(str(runs["plain"]), **options)
    assert message in str(raised.value)


def test_latents_of_another_length_are_refused(runs: Trained, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((2, 5), dtype=np.float32))
    np.save(tmp_path / "bad.npy", np.full((2, 64), np.nan, dtype=np.float32))
    length = zoo.load_run(runs["plain"]).latent_dim
    with pytest.raises(UserError, match=f"latents: 5 numbers for each image; this model takes {length}"):
        sample(str(runs["plain"]), latents=str(tmp_path / "z.npy"))
    with pytest.raises(UserError, match=r"latents: a table \(N, Z\) of finite numbers; .*bad.npy has shape \(2, 64\)"):
        sample(str(runs["plain"]), latents=str(tmp_path / "bad.npy"))
