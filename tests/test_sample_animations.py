"""Animations and videos of `python -m zoo.sample`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.errors import UserError
from zoo.sample import sample

pytestmark = pytest.mark.xdist_group("sample")  # one worker trains the models


def test_an_animation_goes_to_the_other_latents_and_back(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    sample(str(sampled_runs["plain"]), n=4, interpolate=6, out=str(tmp_path / "walk.gif"))
    with Image.open(tmp_path / "walk.gif") as animation:
        assert animation.n_frames == 10  # six there, four back, and the first again
        assert animation.size == (2 * 50 + 2, 2 * 50 + 2)


def test_columns_are_the_callers_in_an_animation_too(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    for columns in (4, 3):  # a still picture has a column for each of the four steps
        out = str(tmp_path / f"{columns}.gif")
        sample(str(sampled_runs["plain"]), n=4, interpolate=4, columns=columns, out=out)
        with Image.open(out) as animation:
            assert animation.size[0] == columns * 50 + 2
    with pytest.raises(UserError, match="columns=3 has no effect on what is drawn or written here"):
        sample(str(sampled_runs["plain"]), n=4, columns=3, out=f"{tmp_path}/pictures/")


def test_a_video_has_the_frames_of_the_animation(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for name in ("walk.gif", "walk.mp4"):
        sample(str(sampled_runs["plain"]), n=4, interpolate=6, out=str(tmp_path / name))
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
