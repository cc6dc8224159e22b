"""A fresh discriminator: it cannot tell real from real images, but noise, and few real images better than many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.audit.evidence.budget import Budget, budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.images import ImageSet
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Honest, Noisy
from zoo.audit.questions.fresh_discriminator import discriminator, run, train_and_test
from zoo.data.digits import load_digits
from zoo.data.pool import to_float
from zoo.features import extractor


@pytest.fixture(scope="module")
def digits() -> Tensor:
    images, _ = load_digits(16, 1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(images).permute(0, 3, 1, 2)[order].contiguous()


def evidence(subject: object, digits: Tensor, held_out: int = 500) -> Evidence:
    parts = ImageSet("train", digits[:700]), ImageSet("held_out", digits[700 : 700 + held_out])
    quick = Budget(**{**vars(budget("quick")), "fresh_steps": 60})
    return Evidence(as_subject(subject), *parts, quick, 0, extractor("pixels"), {})


def test_weights_are_counted_and_nothing_outside_is_changed(digits: Tensor) -> None:
    network = discriminator(3, 32, 8)
    # 4 x 4 kernels: 3 to 8, 8 to 16, 16 to 32, and 32 * 4 * 4 to 1, each with biases
    assert sum(p.numel() for p in network.parameters()) == (48 * 8 + 8) + (128 * 16 + 16) + (256 * 32 + 32) + 513
    state = torch.get_rng_state()
    real = to_float(digits[:100])
    assert train_and_test(real, -real, 4, 10, 0) == train_and_test(real, -real, 4, 10, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_opposites_are_told_apart_and_equals_are_not(digits: Tensor) -> None:
    real, other = to_float(digits[:400]), to_float(digits[400:800])
    opposite = train_and_test(real, -other, 8, 60, 0)
    assert opposite.auc[0] > 0.99
    assert opposite.distance > 0.8
    assert opposite.n == 120
    same = train_and_test(real, other, 8, 60, 0)
    assert same.auc[1] < 0.5 < same.auc[2]
    assert abs(same.distance) < 0.1


def test_few_real_images_are_told_apart_and_other_real_images_are_not(digits: Tensor) -> None:
    found = run(evidence(Honest(to_float(digits[1200:])), digits))
    assert (found.status, found.flags) == ("passed", {})
    statistic = found["AUC, width 8"]
    assert statistic.low is not None
    assert statistic.low < 0.55
    rows = {row["real_images"]: row["chance"] for row in found.protocol["table"]}
    assert list(rows) == [10, 100, 500, None]
    assert rows[10] > 0.9 > 0.6 > rows[500]


def test_noise_is_told_apart_and_noted_without_an_alarm(digits: Tensor) -> None:
    found = run(evidence(Noisy(to_float(digits[1200:]), 0.5), digits))
    assert (found.status, found.flags) == ("note", {})
    assert found["AUC, width 8"].value > 0.9


def test_too_few_images(digits: Tensor) -> None:
    with pytest.raises(NotApplicable, match="at least 100 generated and 100 held-out images; got 597 and 50"):
        run(evidence(Honest(to_float(digits[1200:])), digits, held_out=50))
