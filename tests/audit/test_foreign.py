"""Generators of other libraries, by adapters as the documentation shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.helpers.training import tiny_dcgan
from zoo.audit import audit
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.audit.zoo_model import ZooModelAdapter, adapt
from zoo.training.batch import Batch

DOCUMENT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()


def noise(n: int, channels: int, size: int, seed: int) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_adapter_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchgan", reason="pip install torchgan")
    monkeypatch.chdir(tmp_path)
    lines, *_ = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    smaller = lines.replace("(100, 32, 3)", "(100, 32, 3, step_channels=4)").replace(
        "(32, 3)", "(32, 3, step_channels=4)"
    )
    asked = smaller.replace(
        'budget="quick"', 'budget="quick", features="pixels", only=["recovery", "smoothness", "weights"]'
    )
    names: dict[str, Any] = {"train_images": noise(40, 3, 32, 0), "held_out_images": noise(40, 3, 32, 1)}
    exec(asked, names)
    report = names["report"]
    assert [finding.status for finding in report.findings if finding.status == "skipped"] == []
    layers = report["weights"].protocol["layers"]
    assert any(name.startswith("generator.") for name in layers)
    assert any(name.startswith("discriminator.") for name in layers)
    assert (
        report["recovery"]["distance to its own images"].value < report["recovery"]["distance to held-out images"].value
    )
    assert {path.name for path in (tmp_path / "audit").iterdir()} >= {"report.html", "report.md", "report.json"}


class Published(nn.Module):
    """pytorch-pretrained-biggan, whose classes are vectors."""

    latent_dim, num_classes = 16, 12

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.generator = network

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return self.generate(torch.randn(n, 16), labels)

    def generate(self, latents: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, nn.functional.one_hot(labels, 12).float(), 1.0)
        return images


def test_a_conditional_generator_of_another_library() -> None:
    pytest.importorskip("pytorch_pretrained_biggan", reason="pip install .[parity]")
    from tests.models.test_biggan_parity import peers_generator

    network = peers_generator(128, 4)
    subject = SubjectAdapter(Published(network))
    labels = torch.tensor([3, 3, 7])
    images = subject.sample(3, seed=0, labels=labels)
    assert images.shape == (3, 3, 128, 128)
    assert torch.equal(images, subject.sample(3, seed=0, labels=labels))
    latents = subject.sample_latent(3, seed=0)
    assert torch.equal(images, subject.render(latents, labels))
    with subject.frozen():
        z = latents.clone().requires_grad_(True)
        subject.generate(z, labels).sum().backward()
    assert z.grad is not None
    assert bool((z.grad.abs().sum(1) > 0).all())
    report = audit(
        subject, noise(24, 3, 128, 0), noise(24, 3, 128, 1), budget="quick", features="pixels", only="weights"
    )
    assert report["weights"].status != "skipped"


def test_a_networks_images_are_drawn_a_few_at_a_time() -> None:
    asked: list[int] = []

    class Large(nn.Module):
        def sample(self, n: int, seed: int) -> Tensor:
            asked.append(n)
            return noise(n, 3, 256, seed)

    subject = SubjectAdapter(Large())
    images = subject.sample(40, seed=5)
    assert len(images) == sum(asked) == 40
    assert max(asked) <= 16  # 256 px in colour: more of them would not fit through a large network
    assert len(images.flatten(1).unique(dim=0)) == 40
    assert torch.equal(images, subject.sample(40, seed=5))


def test_every_device_is_seeded_for_a_generator_that_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("torch.cuda.manual_seed_all", asked.append)

    class Nameless:
        def sample(self, n: int) -> Tensor:
            assert asked == [5], "it may draw on a GPU"
            return torch.rand(n, 1, 8, 8)

    subject = SubjectAdapter(Nameless())
    images = subject.sample(4, seed=5)
    asked.clear()
    assert torch.equal(images, subject.sample(4, seed=5))


class Namesake(nn.Module):
    """Has every attribute by whose name a model of this library might be recognised, with other meanings."""

    num_classes, latent_dim, resolution, channels, zero = 0, 4, 8, 1, 0.5
    objective, average = "adversarial", 0.999

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(4, 64)
        self.discriminator = nn.Linear(64, 1)

    def sample(self, n: int) -> Tensor:
        return self.generate(torch.randn(n, 4))

    def generate(self, latents: Tensor) -> Tensor:
        images: Tensor = self.generator(latents).tanh().view(-1, 1, 8, 8)
        return images

    def score(self, images: Tensor) -> Tensor:
        scores: Tensor = self.discriminator(images.flatten(1))
        return scores

    def choose_networks(self, n: int) -> Tensor:
        raise AssertionError("nothing asks a foreign model for this")


def test_a_foreign_model_is_not_taken_for_one_of_ours_by_its_attributes() -> None:
    subject = Namesake()
    adapter = adapt(subject)
    assert type(adapter) is SubjectAdapter
    assert adapter.zero == 0.5
    assert adapter.choose_networks(3, seed=0) is None
    questions = ["discriminator", "recovery", "smoothness", "weights"]  # they ask for scores, latents and weights
    real = noise(60, 1, 8, 0), noise(60, 1, 8, 1)
    report = audit(subject, *real, budget="quick", features="pixels", only=questions)
    assert [finding.name for finding in report.findings if finding.status != "skipped"] == questions


@pytest.mark.parametrize(
    ("model", "zero"),
    [
        (tiny_dcgan(), 0.0),
        (tiny_dcgan(objective="hinge"), 0.0),
        (tiny_dcgan(objective="least_squares"), 0.5),
        (zoo.WGANGP(resolution=16, channels=1, latent_dim=5, width=4), None),
    ],
)
def test_a_model_of_ours_has_an_adapter_of_its_own(model: zoo.GAN, zero: float | None) -> None:
    adapter = adapt(model, "mine")
    assert isinstance(adapter, ZooModelAdapter)
    assert (adapter.name, adapter.zero) == ("mine", zero)
    images = adapter.sample(5, seed=3)
    assert torch.equal(images, model.sample(5, seed=3))
    latents = adapter.sample_latent(5, seed=3)
    assert torch.equal(adapter.render(latents), model.generate(model.average.eval(), latents, None).clamp(-1, 1))
    assert torch.equal(adapter.score(images), model.eval().score(Batch(images)))
