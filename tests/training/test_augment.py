"""Differentiable augmentation compared with its definition, and in the training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.training import equal, tiny_dcgan, train, weights
from zoo.io.files import read_jsonl
from zoo.io.run_folder import checkpoints_in
from zoo.training.augment import KINDS, augmented, check_kinds


def images(n: int = 64, channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def changed(kind: str, batch: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return augmented(zoo.Batch(batch), [kind]).images


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [4, 5, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_changed_in_its_own_way(kind: str, size: int, channels: int) -> None:
    one = images(1, channels, size).expand(64, -1, -1, -1)
    found = changed(kind, one)
    assert found.shape == one.shape
    assert len({image.numpy().tobytes() for image in found}) > 2 + 60 * (kind == "color")
    assert torch.equal(found, changed(kind, one))
    assert not torch.equal(found, changed(kind, one, seed=1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_generators_gradient_goes_through(kind: str) -> None:
    batch = images(4, size=6).double().requires_grad_()

    def fixed(x: Tensor) -> Tensor:
        return changed(kind, x)

    assert torch.autograd.gradcheck(fixed, batch)


def test_translations_are_whole_pixels_in_a_frame_of_zeros() -> None:
    size = 16
    grid = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size).expand(2000, -1, -1, -1)
    found = changed("translation", grid)
    shifts = set()
    for image in found[:, 0]:
        place = int(image[8, 8]) - 1  # what has come to the centre
        down, right = 8 - place // size, 8 - place % size
        rows, columns = (torch.arange(size) - shift for shift in (down, right))
        inside = ((rows >= 0) & (rows < size))[:, None] & ((columns >= 0) & (columns < size))
        assert torch.equal(image != 0, inside)
        assert torch.equal(image[inside], ((rows[:, None] * size + columns) + 1.0)[inside])
        shifts.add((down, right))
    assert shifts == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}  # an eighth of 16


def test_cutout_hides_a_square_whose_centre_lies_anywhere() -> None:
    size = 8
    hidden = changed("cutout", torch.ones(5000, 2, size, size)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    places = set()
    for mask in hidden[:, 0]:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        assert mask.sum() == len(rows) * len(columns)  # a rectangle
        places.add((int(rows[0]), len(rows), int(columns[0]), len(columns)))
    # A hole of 4 with its corner from -2 to 6 in both directions: 2 wide at either edge.
    ends = {(max(corner, 0), min(corner + 4, size) - max(corner, 0)) for corner in range(-2, 7)}
    assert places == {(*row, *column) for row in ends for column in ends}


def test_color_moves_brightness_saturation_and_contrast_by_no_more_than_the_authors() -> None:
    batch = images(4000, size=4)
    found = changed("color", batch)
    moved = found.mean((1, 2, 3)) - batch.mean((1, 2, 3))  # saturation and contrast keep the mean
    assert -0.5 <= moved.min() < -0.48
    assert 0.48 < moved.max() <= 0.5
    grey, grey_before = found.mean(1), batch.mean(1)
    contrast = grey.std((1, 2)) / grey_before.std((1, 2))  # saturation keeps the mean of the channels
    assert contrast.min() + 1e-4 >= 0.5
    assert contrast.min() < 0.52
    assert 1.48 < contrast.max() < 1.5001
    both = (found - grey[:, None]).flatten(1).std(1) / (batch - grey_before[:, None]).flatten(1).std(1)
    saturation = both / contrast
    assert saturation.min() < 0.02
    assert 1.96 < saturation.max() < 2.001
    one = images(8, channels=1)
    torch.manual_seed(0)
    expected = one + torch.rand(8, 1, 1, 1) - 0.5
    torch.rand(8, 1, 1, 1)  # saturation, which one channel has none of
    expected = (expected - expected.mean((1, 2, 3), keepdim=True)) * (torch.rand(8, 1, 1, 1) + 0.5) + expected.mean(
        (1, 2, 3), keepdim=True
    )
    torch.testing.assert_close(changed("color", one), expected)


def test_labels_stay_and_nothing_to_do_is_nothing() -> None:
    batch = zoo.Batch(images(4), torch.tensor([3, 1, 2, 0]))
    assert torch.equal(augmented(batch, ["cutout"]).labels, batch.labels)
    before = torch.random.get_rng_state()
    assert augmented(batch, ()) is batch
    assert torch.equal(torch.random.get_rng_state(), before)


def test_losses_see_augmented_images_of_both_kinds_and_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def grey_out(batch: Tensor) -> Tensor:
        return batch * 0

    class Watches(zoo.DCGAN):
        def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Any:
            seen.append(not real.images.any() and not fake.images.any())
            return super().discriminator_loss(real, fake)

        def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Any:
            seen.append(not fake.images.any())
            return super().generator_loss(real, fake)

    monkeypatch.setitem(KINDS, "color", grey_out)
    model = Watches(resolution=16, channels=1, latent_dim=5, width=4, augment=("color",))
    train(model, 2, tmp_path)
    assert seen == [True] * 4
    assert model.sample(2, seed=0).any()


def test_a_run_with_augmentation_resumes_to_the_same_bits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "model": {"width": 4, "augment": ["color", "translation", "cutout"]},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None},
    }
    whole = zoo.fit("dcgan_digits", out=tmp_path / "whole", images=64 * 8, **settings)
    zoo.fit("dcgan_digits", out=tmp_path / "part", images=64 * 4, **settings)
    zoo.fit(resume=tmp_path / "part", images=64 * 8)
    first, second = (
        torch.load(checkpoints_in(tmp_path / name)[0], weights_only=True)["state_dict"] for name in ("whole", "part")
    )
    assert equal(first, second)
    plain = zoo.fit("dcgan_digits", out=tmp_path / "plain", images=64 * 8, **{**settings, "model": {"width": 4}})
    assert not equal(weights(plain.model), weights(whole.model))


def test_alarms_score_images_as_losses_see_them_and_leave_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {
        "images": 64 * 8,
        "model": {"width": 4, "num_classes": 0, "augment": ["translation"]},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": None},
    }
    without = zoo.fit("dcgan_digits", out=tmp_path / "without", **settings)
    settings["callbacks"] = {**settings["callbacks"], "Alarms": {"rounds": 2, "every": 128}}
    watched = zoo.fit("dcgan_digits", out=tmp_path / "with", **settings)
    assert equal(weights(without.model), weights(watched.model))
    signals = read_jsonl(tmp_path / "with" / "alarms" / "signals.jsonl")
    monkeypatch.setitem(KINDS, "translation", lambda images: images * 0)
    zoo.fit("dcgan_digits", out=tmp_path / "blind", **{**settings, "images": 64 * 2})
    blind = read_jsonl(tmp_path / "blind" / "alarms" / "signals.jsonl")[0]["values"]
    assert blind["score/train"] == blind["score/held_out"] == blind["score/real"] != signals[0]["values"]["score/real"]
    assert blind["diversity"] > 0  # of images as they are


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"augment takes color, translation, cutout, adaptive, pipeline, or nothing; got 'colour'. Did"
    ):
        tiny_dcgan(augment=("colour",))


def test_names_may_be_given_as_one_text() -> None:
    assert check_kinds("color, translation") == ("color", "translation")
    assert check_kinds("adaptive") == ("adaptive",)
    assert check_kinds(["cutout"]) == ("cutout",)
    assert check_kinds(()) == ()
