"""Sharpness: spectra of known images, noise of known deviation, and the alarms on planted subjects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.audit.evidence.budget import budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import ImageSet
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Blurred, Honest, Noisy, OneImagePerClass
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
