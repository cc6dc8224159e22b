"""Truths about singular values, and weights with a known fault."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.helpers.training import tiny_dcgan
from zoo.audit import Finding, audit
from zoo.audit.questions import weights
from zoo.audit.zoo_model import adapt


class Subject(nn.Module):
    """Two layers in a generator, one in a discriminator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator = nn.ModuleDict({"first": nn.Linear(20, 30), "last": nn.Conv2d(20, 24, 3)})
        self.discriminator = nn.ModuleDict({"only": nn.Linear(40, 20)})

    def sample(self, n: int) -> Tensor:
        return torch.rand(n, 1, 4, 4) * 2 - 1


def ask(subject: Any, **extras: Any) -> Finding:
    images = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return audit(subject, images[:30], images[30:], only="weights", features="pixels", budget="quick", extras=extras)[
        "weights"
    ]


def test_singular_values_of_a_known_matrix() -> None:
    q = torch.linalg.qr(torch.randn(8, 5)).Q
    p = torch.linalg.qr(torch.randn(12, 5)).Q
    matrix = q @ torch.diag(torch.tensor([5.0, 3, 2, 1, 0.5])) @ p.T
    assert weights.singular_values(matrix) == pytest.approx([5, 3, 2], rel=1e-5)
    layer = weights.measured("generator", "x", matrix.view(8, 3, 2, 2))
    assert layer.values == pytest.approx((5, 3, 2), rel=1e-5)
    assert layer.energy == pytest.approx(25 / (25 + 9 + 4 + 1 + 0.25), rel=1e-5)


def test_a_large_matrix_is_iterated_to_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = torch.randn(60, 80, generator=torch.Generator().manual_seed(0))
    exact = weights.singular_values(matrix)
    monkeypatch.setattr(weights, "EXACT_UP_TO", 8)
    assert weights.singular_values(matrix) == pytest.approx(exact, rel=0.02)
    assert weights.singular_values(matrix)[0] == pytest.approx(exact[0], rel=0.002)


@pytest.mark.parametrize("shape", [(200, 300), (100, 800), (64, 32, 4, 4)])
def test_a_random_matrix_has_scale_one(shape: tuple[int, ...]) -> None:
    layer = weights.measured("g", "x", torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.02)
    assert layer.scale == pytest.approx(1, abs=0.05)
    assert layer.energy < 0.25
    assert not layer.one_direction


def test_sound_weights_pass() -> None:
    found = ask(Subject())
    assert found.status == "passed"
    assert not found.flags
    assert set(found.protocol["layers"]) == {
        "generator.first.weight",
        "generator.last.weight",
        "discriminator.only.weight",
    }
    assert found["largest singular value, generator"].null == 1


def test_broken_dead_and_narrow_layers_are_named() -> None:
    subject = Subject()
    with torch.no_grad():
        subject.generator["first"].weight[3, 4] = torch.nan
        subject.generator["last"].weight[:5] = 0
        subject.discriminator["only"].weight.copy_(torch.outer(torch.rand(20), torch.rand(40)))
    found = ask(subject)
    assert found.status == "note"
    assert not found.flags
    assert "Generator.first.weight have entries that are not finite" in found.answer
    assert "5 outputs of generator.last.weight have all-zero weights" in found.answer
    assert "in discriminator.only.weight a single direction" in found.answer
    assert found["values that are not finite"].value == 1
    assert found["outputs that are zero"].value == 5


def test_the_average_is_the_generator() -> None:
    model = tiny_dcgan()
    chosen = weights.chosen(adapt(model))
    names = {f"{network}.{name}" for network, name, _ in chosen}
    own = {f"generator.{name}" for name, p in model.average.named_parameters() if p.ndim > 1}
    assert own <= names
    assert {network for network, _, _ in chosen} == {"generator", "discriminator"}
    for network, name, tensor in chosen:
        if network == "generator":
            assert tensor.data_ptr() == dict(model.average.named_parameters())[name].data_ptr()


def test_growth_in_the_second_half_is_named() -> None:
    history = [{"images": i * 100, "g/first": [1 + i / 10, 1.0], "d/only": [2.0, 1.0]} for i in range(11)]
    assert weights.growth(history) == pytest.approx({"g/first": 2 / 1.5, "d/only": 1.0})
    assert ask(Subject(), history=history).status == "passed"
    history[-1]["g/first"] = [40.0, 1.0]
    found = ask(Subject(), history=history)
    assert found.status == "note"
    assert "grew by a factor of 26.7" in found.answer
    assert "g/first" in found.answer
    assert weights.growth(history[:2]) == {}


def test_a_subject_without_weights_is_told_what_to_show() -> None:
    found = ask(torch.rand(40, 1, 4, 4))
    assert found.status == "skipped"
    assert "state_dict()" in found.answer


def test_a_release_passes() -> None:
    layers = [weights.measured(*each) for each in weights.chosen(adapt(zoo.from_pretrained("zoo:dcgan_digits")))]
    assert all(not layer.non_finite and not layer.zero_rows and not layer.one_direction for layer in layers)
