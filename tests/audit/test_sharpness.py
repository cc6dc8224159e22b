"""Sharpness: spectra of known images, noise of known deviation, and the alarms on planted subjects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.audit.evidence.budget import budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import ImageSet
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Blurred, Honest, Noisy, OneImagePerClass
from zoo.audit.questions import sharpness
from zoo.audit.questions.sharpness import band_start, noise_levels, power_spectra, radial_frequency, run
from zoo.data.digits import load_digits
from zoo.data.pool import to_float
from zoo.features import extractor


def digits(seed: int = 0) -> tuple[Tensor, Tensor]:
    images, labels = load_digits(16, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return torch.from_numpy(images).permute(0, 3, 1, 2)[order].contiguous(), torch.from_numpy(labels)[order]


def evidence(subject: object, real: Tensor) -> Evidence:
    train, held_out = ImageSet("train", real[:40]), ImageSet("held_out", real[700:1200] if len(real) > 700 else real)
    return Evidence(as_subject(subject), train, held_out, budget("quick"), 0, extractor("pixels"), {})


def test_a_grating_has_all_its_power_at_its_frequency() -> None:
    place = torch.arange(16) + 0.5
    wave = (torch.cos(torch.pi * 6 * place / 16) * 100 + 128).round().to(torch.uint8)
    power = power_spectra(wave.expand(1, 1, 16, 16))[0]
    assert power[0, 6] / power.sum() > 0.999  # along the columns, 6 of 16 half waves
    assert radial_frequency(16, 16)[0, 6] == 6 / 16
    assert power.sum() / 256 == pytest.approx(float(wave.double().var(correction=0)), rel=1e-3)  # Parseval


def test_the_band_begins_where_five_per_cent_of_the_power_lie_above() -> None:
    radius = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert band_start(np.array([[0.90, 0.04, 0.03, 0.03]]), radius) == 0.3
    assert band_start(np.array([[0.97, 0.01, 0.01, 0.01]]), radius) == 0.1
    assert band_start(np.array([[0.5, 0.5]]), np.array([[0.1, 0.9]])) == 0.5  # the top octave at the latest


def test_noise_on_a_plain_image_is_measured_and_a_stroke_is_not() -> None:
    draw = torch.Generator().manual_seed(0)
    plain = torch.full((50, 1, 32, 32), 128.0)
    plain[:, :, :, 10:14] = 250
    assert noise_levels(plain.to(torch.uint8)).max() == 0
    noisy = (plain.clamp(max=200) + 12 * torch.randn(plain.shape, generator=draw)).round().to(torch.uint8)
    assert float(noise_levels(noisy).mean()) == pytest.approx(12, rel=0.05)


@pytest.mark.parametrize("n", [12, 60])
def test_a_few_images_are_transformed_at_once_and_the_result_is_that_of_all_at_once(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest batch depends on the size of the images and not on their number: row A4."""
    images = torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = power_spectra(images)
    radius = radial_frequency(16, 16)
    largest: list[int] = []

    def spy(pixels: Tensor) -> NDArray[np.float32]:
        largest.append(pixels.numel())
        return power_spectra(pixels)

    monkeypatch.setattr(sharpness, "power_spectra", spy)
    monkeypatch.setattr(sharpness, "VALUES", 5 * 3 * 16 * 16)
    found = ImageSet("held_out", images)
    np.testing.assert_allclose(sharpness.mean_spectrum(found), whole.mean(0, dtype=np.float64), rtol=1e-6)
    detail = sharpness._measure(found, radius, 0.5, 2.0)
    in_band = whole[:, radius >= 0.5].astype(np.float64).sum(1) / 2
    np.testing.assert_allclose(detail.power.numpy(), in_band, rtol=1e-6)
    bins = np.minimum((radius * 16).round().astype(int), 16)
    rings = np.stack([[one[bins == k].mean(dtype=np.float64) for k in range(17)] for one in whole])
    np.testing.assert_allclose(detail.spectrum, np.median(rings, axis=0), rtol=1e-6)
    assert torch.equal(detail.noise, noise_levels(images))
    assert max(largest) == 5 * 3 * 16 * 16
    assert sum(largest) == 2 * images.numel()


@pytest.mark.parametrize("seed", range(2))
def test_planted_faults_raise_alarms_and_honest_images_do_not(seed: int) -> None:
    real, labels = digits(seed)
    honest = to_float(real[1200:])
    expected = {
        "noisy": Noisy(honest, 0.2),
        "blurred": Blurred(honest, 1.0),
        "": Honest(honest),
    }
    for flag, subject in expected.items():
        found = run(evidence(subject, real))
        assert list(found.flags) == ([flag] if flag else [])
        assert found.status == ("alarm" if flag else "passed")
    assert run(evidence(OneImagePerClass(honest, labels[1200:], seed), real)).status == "passed"


def test_numbers_of_honest_images_lie_beside_their_null() -> None:
    real, _ = digits()
    found = run(evidence(Honest(to_float(real[1200:])), real))
    detail, noise = found["fine detail"], found["noise level"]
    assert detail.low is not None
    assert detail.null_low is not None
    assert detail.null_high is not None
    assert detail.null_low < detail.value < detail.null_high
    assert detail.low < detail.value
    assert noise.value == pytest.approx(noise.null, abs=1.5)
    assert found.protocol["band_from"] < 0.5  # enlarged from 8 px: the top octave is all but empty


def test_a_question_that_does_not_apply_says_why() -> None:
    small = torch.zeros(30, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(NotApplicable, match="at least 8 px; these have 4 x 4"):
        run(evidence(Honest(to_float(small)), small))
    flat = torch.zeros(30, 1, 16, 16, dtype=torch.uint8)
    with pytest.raises(NotApplicable, match="no contrast: each is of a single colour"):
        run(evidence(Honest(to_float(flat)), flat))
