"""Truths of `python -m zoo.sample`: the pictures that it draws, by seed, walk, class and truncation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import zoo
from tests.helpers.commands import draw
from zoo.rendering import pictures
from zoo.sample import sample

pytestmark = pytest.mark.xdist_group("sample")  # one worker trains the models


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


def test_the_models_of_these_tests_draw_images_and_classes_that_differ(sampled_runs: dict[str, Path]) -> None:
    digits, plain = zoo.load_run(sampled_runs["digits"]), zoo.load_run(sampled_runs["plain"])
    classes = [pictures.to_uint8(digits.sample(1, seed=0, labels=label)).int() for label in range(10)]
    assert all((a - b).abs().max() > 10 for i, a in enumerate(classes) for b in classes[:i])
    images = pictures.to_uint8(plain.sample(6, seed=0)).int()
    assert all((a - b).abs().max() > 10 for i, a in enumerate(images) for b in images[:i])


# --- pictures --------------------------------------------------------------------------------------------------------


def test_a_grid_holds_the_models_samples_with_one_class_in_each_column(
    sampled_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid.png"
    assert draw(f"checkpoint={sampled_runs['digits']}", "n=20", "seed=3", f"out={out}") == 0
    assert capsys.readouterr() == (f"{out}\n", "")
    model = zoo.load_run(sampled_runs["digits"])
    expected = pictures.to_uint8(model.sample(20, seed=3, labels=torch.arange(20) % 10))
    shown = cells(out, columns=10)
    assert len(shown) == 20
    for cell, image in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(small(cell), image[0].numpy())


def test_an_unconditional_grid_is_about_square(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['plain']}", "n=9", f"out={tmp_path / 'grid.png'}") == 0
    assert len(cells(tmp_path / "grid.png", columns=3)) == 9


def test_columns_are_the_callers_and_empty_cells_stay_white(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['plain']}", "n=5", "columns=3", f"out={tmp_path / 'grid.png'}") == 0
    shown = cells(tmp_path / "grid.png", columns=3)
    assert len(shown) == 6
    assert shown[5].min() == 255
    assert all(cell.min() < 255 for cell in shown[:5])


def test_points_are_drawn_as_a_scatter_plot(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['ring']}", "n=16", f"out={tmp_path / 'points.png'}") == 0
    assert pixels(tmp_path / "points.png").shape == (384, 384, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_the_ending_chooses_the_format(suffix: str, sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / f"grid{suffix}"
    assert draw(f"checkpoint={sampled_runs['plain']}", "n=4", f"out={out}") == 0
    with Image.open(out) as picture:
        assert picture.format == {".png": "PNG", ".webp": "WEBP"}.get(suffix.lower(), "JPEG")
        assert picture.size == (102, 102)
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_holds_single_images_at_their_own_size(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['digits']}", "n=12", "seed=3", f"out={tmp_path / 'many'}/") == 0
    files = sorted((tmp_path / "many").iterdir())
    assert [file.name for file in files] == [f"{i:02d}.png" for i in range(12)]
    model = zoo.load_run(sampled_runs["digits"])
    expected = pictures.to_uint8(model.sample(12, seed=3, labels=torch.arange(12) % 10))
    for file, image in zip(files, expected, strict=True):
        with Image.open(file) as picture:
            assert (picture.size, picture.mode) == ((16, 16), "L")
            np.testing.assert_array_equal(np.asarray(picture), image[0].numpy())


def test_samples_of_two_models_do_not_mix(
    sampled_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(f"checkpoint={sampled_runs['digits']}", "n=3", f"out={tmp_path}/drawn/") == 0
    capsys.readouterr()
    assert draw(f"checkpoint={sampled_runs['plain']}", "n=2", f"out={tmp_path}/drawn/") == 2
    assert "drawn holds pictures already, which would be taken for samples" in capsys.readouterr().err
    assert len(list((tmp_path / "drawn").iterdir())) == 3


def test_a_folder_that_exists_needs_no_slash(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    assert draw(f"checkpoint={sampled_runs['plain']}", "n=10", f"out={tmp_path / 'many'}") == 0
    assert sorted(file.name for file in (tmp_path / "many").iterdir()) == [f"{i}.png" for i in range(10)]


def test_a_checkpoint_file_draws_what_its_run_draws(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    (file,) = (sampled_runs["digits"] / "checkpoints").iterdir()
    first = sample(str(sampled_runs["digits"]), n=4, out=str(tmp_path / "a.png"))
    second = sample(str(file), n=4, out=str(tmp_path / "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_pictures_are_enlarged_without_smoothing(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    sample(str(sampled_runs["plain"]), seeds=9, out=f"{tmp_path / 'small'}/")
    sample(str(sampled_runs["plain"]), seeds=9, scale=3, out=f"{tmp_path / 'large'}/")
    small, large = (np.asarray(Image.open(tmp_path / name / "9.png")) for name in ("small", "large"))
    assert np.array_equal(large, small.repeat(3, 0).repeat(3, 1))


# --- seeds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "plain"])
def test_the_same_seed_gives_the_same_bytes(name: str, sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    for out in ("a.png", "b.png"):
        assert draw(f"checkpoint={sampled_runs[name]}", "n=6", "seed=5", f"out={tmp_path / out}") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert draw(f"checkpoint={sampled_runs[name]}", "n=6", "seed=6", f"out={tmp_path / 'c.png'}") == 0
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_the_default_seed_is_fixed(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    first = sample(str(sampled_runs["plain"]), n=4, out=str(tmp_path / "a.png"))
    torch.rand(1)  # whatever was drawn in between
    assert (
        first.read_bytes() == sample(str(sampled_runs["plain"]), n=4, seed=0, out=str(tmp_path / "b.png")).read_bytes()
    )


# --- walks -----------------------------------------------------------------------------------------------------------


def test_the_ends_of_each_row_of_a_walk_are_samples_of_the_same_seed(
    sampled_runs: dict[str, Path], tmp_path: Path
) -> None:
    assert (
        draw(f"checkpoint={sampled_runs['plain']}", "n=3", "seed=2", "interpolate=5", f"out={tmp_path / 'walk.png'}")
        == 0
    )
    assert (
        draw(f"checkpoint={sampled_runs['plain']}", "n=6", "seed=2", "columns=6", f"out={tmp_path / 'ends.png'}") == 0
    )
    walk, ends = cells(tmp_path / "walk.png", columns=5), cells(tmp_path / "ends.png", columns=6)
    assert len(walk) == 15
    for row in range(3):
        first, *between, last = walk[5 * row : 5 * row + 5]
        np.testing.assert_allclose(first.astype(int), ends[row], atol=1)
        np.testing.assert_allclose(last.astype(int), ends[3 + row], atol=1)
        for cell in between:
            assert not np.array_equal(cell, first)
            assert not np.array_equal(cell, last)


def test_each_row_of_a_walk_is_one_class(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['digits']}", "n=3", "interpolate=5", f"out={tmp_path / 'walk'}/") == 0
    files = sorted((tmp_path / "walk").iterdir())
    assert [file.name for file in files] == [f"{i:02d}.png" for i in range(15)]
    model = zoo.load_run(sampled_runs["digits"])
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


def test_one_label_draws_one_class(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['digits']}", "n=4", "labels=3", f"out={tmp_path / 'threes'}/") == 0
    expected = pictures.to_uint8(zoo.load_run(sampled_runs["digits"]).sample(4, seed=0, labels=3))
    for i in range(4):
        np.testing.assert_array_equal(pixels(tmp_path / "threes" / f"{i}.png")[:, :, 0], expected[i, 0].numpy())


def test_a_list_of_labels_is_repeated_along_the_columns(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    assert draw(f"checkpoint={sampled_runs['digits']}", "n=6", "labels=[7,1]", f"out={tmp_path / 'grid.png'}") == 0
    expected = pictures.to_uint8(zoo.load_run(sampled_runs["digits"]).sample(6, seed=0, labels=[7, 1] * 3))
    for cell, image in zip(cells(tmp_path / "grid.png", columns=2), expected, strict=True):
        np.testing.assert_array_equal(small(cell), image[0].numpy())


def test_truncated_samples_are_others_and_depend_on_the_seed_alone(
    sampled_runs: dict[str, Path], tmp_path: Path
) -> None:
    for name, words in {"a": ["truncation=0.5"], "b": ["truncation=0.5"], "c": []}.items():
        assert draw(f"checkpoint={sampled_runs['plain']}", "n=4", f"out={tmp_path / name}.png", *words) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_every_truncation_has_a_row_of_the_same_seed(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    sample(str(sampled_runs["plain"]), truncation=[0.2, 1.0], n=3, seed=5, out=str(tmp_path / "rows.npz"))
    with np.load(tmp_path / "rows.npz") as arrays:
        rows = arrays["arr_0"]
    assert len(rows) == 6
    for i, level in enumerate((0.2, 1.0)):
        sample(str(sampled_runs["plain"]), truncation=level, n=3, seed=5, out=str(tmp_path / "one.npz"))
        with np.load(tmp_path / "one.npz") as arrays:
            assert np.array_equal(rows[3 * i : 3 * i + 3], arrays["arr_0"])


# --- help ------------------------------------------------------------------------------------------------------------


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw("--help") == 0
    text = capsys.readouterr().out
    for key in ("checkpoint=", "n=", "seed=", "out=", "labels=", "truncation=", "interpolate="):
        assert key in text
