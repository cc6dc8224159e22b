"""ProGAN resumed, rolled back and loaded in its growth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import bits, equal, identical, weights
from zoo.io.run_folder import checkpoints_in
from zoo.models.progan_growth import Stage

SMALL: dict[str, Any] = {
    "images": 528,
    "model": {"resolution": 16, "latent_dim": 5, "width": 6, "width_base": 32, "hold_images": 128, "fade_images": 128},
    "data": {"batch_size": {4: 32, 8: 16, 16: 8}},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 4},
    "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 32, "keep": 100}},
}
# Rounds end at 32, 64, 96, 128, 160 (the first fade has begun: reset), by sixteens to 256 (it has ended: reset) and 400
# (the second has begun), by eights to 512 (it has ended) and 528.


@pytest.mark.parametrize(
    ("precision", "images", "kills"),
    [
        # the last round that is kept, images in its checkpoint, whether Adam's state has just been forgotten
        ("32-true", 528, [(5, 160, True), (11, 256, True), (22, 416, False)]),
        ("bf16-mixed", 272, [(7, 192, False)]),
    ],
)
def test_a_run_killed_in_a_fade_or_at_a_border_ends_with_the_same_bits(
    precision: str, images: int, kills: list[tuple[int, int, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SMALL, "images": images, "trainer": {**SMALL["trainer"], "precision": precision}}
    whole = zoo.fit("progan_digits", out=tmp_path / "whole", **settings).folder
    expected = bits(checkpoints_in(whole)[0])
    assert expected["clock"]["images_seen"] == images
    for after, saved, forgotten in kills:
        folder = tmp_path / f"killed{after}"
        dying = {
            **settings,
            "callbacks": {**SMALL["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": after}},
        }
        with pytest.raises(RuntimeError, match="killed"):
            zoo.fit("progan_digits", out=folder, **dying)
        left = bits(checkpoints_in(folder)[0])
        assert left["clock"]["images_seen"] == saved
        assert [not optimizer["state"] for optimizer in left["optimizers"]] == [forgotten] * 2
        run = zoo.fit(resume=folder, callbacks={"end": None})
        assert identical(bits(checkpoints_in(run.folder)[0]), expected)


def test_a_rollback_undoes_growth_and_the_run_goes_through_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = zoo.fit("progan_digits", out=tmp_path / "early", **{**SMALL, "images": 96}).folder
    back = {"class": "tests.helpers.training.RollsBack", "after": 22, "to": str(checkpoints_in(early)[0])}
    settings = {**SMALL, "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 8, "keep": 100}, "back": back}}
    run = zoo.fit("progan_digits", out=tmp_path / "run", **settings)
    # The 22nd round ends at 416 images, with 16 x 16 pixels; its undoing leads back to 96 images, with 4 x 4.
    assert (run.model.images_undone, run.model.progress) == (416 - 96, 528)
    assert run.model.stage == Stage(16)
    ends = [int(path.stem) for path in reversed(checkpoints_in(run.folder))]
    shown = [after - before for before, after in pairwise(ends[21:])]
    assert shown == [8, 32] + [16] * 16 + [8] * 17  # first the batch that had been fetched when the run went back
    dying = {**settings["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": 30}}
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("progan_digits", out=tmp_path / "killed", **{**settings, "callbacks": dying})
    again = zoo.fit(resume=tmp_path / "killed", callbacks={"end": None})
    assert identical(bits(checkpoints_in(again.folder)[0]), bits(checkpoints_in(run.folder)[0]))


def test_a_loaded_run_stands_where_it_was_in_its_growth(tmp_path: Path) -> None:
    run = zoo.fit("progan_digits", out=tmp_path / "run", **{**SMALL, "images": 208})
    model = zoo.load_run(run.folder)
    assert isinstance(model, zoo.ProGAN)
    assert model.stage == Stage(8, 0.625)  # (208 - 128) / 128
    assert equal(weights(model), weights(run.model))
    assert torch.equal(model.sample(2, seed=0, labels=1), run.model.sample(2, seed=0, labels=1))
