"""Truths of latent walks: generators whose paths are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.training import tiny_dcgan
from zoo.audit import Finding, audit
from zoo.audit.questions import smoothness
from zoo.audit.questions.smoothness import Walks


class Moves:
    """An image of one grey level, a function of the latents."""

    latent_dim = 3

    def __init__(self, level: Any, uniform: bool = True) -> None:
        self.level, self.uniform = level, uniform

    def sample_latent(self, n: int) -> Tensor:
        return torch.rand(n, 3) * 2 - 1 if self.uniform else torch.randn(n, 3)

    def generate(self, latents: Tensor) -> Tensor:
        return self.level(latents)[:, None, None, None].expand(-1, 1, 4, 4)

    def sample(self, n: int) -> Tensor:
        return self.generate(self.sample_latent(n)).clamp(-1, 1)


def ask(subject: Any, seed: int = 0) -> Finding:
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(60, 1, 4, 4, generator=draw) * 2 - 1
    return audit(subject, images[:30], images[30:], only="smoothness", features="pixels", budget="quick", seed=seed)[
        "smoothness"
    ]


def test_a_linear_generator_walks_straight_and_evenly() -> None:
    found = ask(Moves(lambda z: z[:, 0]))
    assert found.status == "passed"
    assert found.protocol["path"] == "straight line"
    # Pixels are rounded to 256 levels, so a step of few levels is not exact.
    assert found["largest step"].value == pytest.approx(1, abs=0.3)
    assert found["path length"].value == pytest.approx(found["distance between the endpoints"].value, rel=1e-3)
    assert found["walks with a jump"].value == 0
    assert found["walks with a jump"].low == 0


def test_a_jump_is_found_on_exactly_the_walks_that_cross_it() -> None:
    subject = Moves(lambda z: torch.sign(z[:, 0]))
    found = ask(subject)
    n = int(found.protocol["walks"])
    assert found.status == "note"
    jumps = round(found["walks with a jump"].value * n / 100)
    assert 0 < jumps < n
    assert f"{jumps} of {n} walks" in found.answer
    with torch.random.fork_rng():
        from zoo.audit.evidence.evidence import Evidence

        torch.manual_seed(Evidence.seed_of(type("Seeded", (), {"seed": 0})(), "walks"))  # type: ignore[arg-type]
        ends = subject.sample_latent(2 * n)
    assert jumps == int((ends[:n, 0].sign() != ends[n:, 0].sign()).sum())


def test_a_fast_stretch_is_no_jump() -> None:
    found = ask(Moves(lambda z: torch.tanh(6 * z[:, 0])))
    assert found["walks with a jump"].value == 0
    assert found["largest step"].value > 1.5


def test_a_generator_of_one_image_is_reported_as_still() -> None:
    found = ask(Moves(lambda z: 0 * z[:, 0]))
    assert found.status == "note"
    assert "hardly changes" in found.answer
    assert found["distance between the endpoints"].value == 0


def test_normal_latents_walk_on_great_circles() -> None:
    assert ask(Moves(lambda z: torch.tanh(z[:, 0]), uniform=False)).protocol["path"] == "great circle"
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    walk = Walks(start, end, False, None, None)
    path = walk.latents(torch.linspace(0, 1, 5)[None])
    torch.testing.assert_close(path.norm(dim=1), torch.full((5,), 2.0))
    torch.testing.assert_close(path[2], torch.full((2,), math.sqrt(2)))


def test_walks_stay_within_their_class() -> None:
    seen: list[Tensor] = []

    class Conditional(Moves):
        num_classes = 4

        def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            assert labels is not None
            seen.append(labels)
            return super().generate(latents)

        def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
            return self.generate(self.sample_latent(n), labels).clamp(-1, 1)

    ask(Conditional(lambda z: z[:, 0]))
    walks = torch.cat(seen)[: 8 * 16].view(8, 16)
    assert bool((walks == walks[:, :1]).all())
    assert len(walks[:, 0].unique()) > 1


def test_a_strip_shows_both_sides_of_the_largest_step() -> None:
    images = torch.arange(64.0)[:, None, None, None]
    for worst in (0, 20, 62):
        lengths = torch.ones(63)
        lengths[worst] = 9
        shown = smoothness._strip(images, lengths).flatten().tolist()
        assert len(shown) == smoothness.STRIP
        assert {worst, worst + 1} <= set(shown)
        assert shown == sorted(set(shown))


def test_every_kind_of_model_can_be_walked_through() -> None:
    models = {
        "mixture": zoo.MixGAN(
            base={"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}, components=3
        ),
        "uniform": tiny_dcgan(kernel_size=5),
        "growing": zoo.ProGAN(resolution=16, channels=1, latent_dim=8, width=8),
    }
    images = torch.rand(60, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name, model in models.items():
        report = audit(model, images[:30], images[30:], only="smoothness", features="pixels", budget="quick")
        assert report["smoothness"].status != "skipped", name
        assert report["smoothness"]["walks with a jump"].value == 0, name
        assert report["smoothness"].protocol["path"] == ("straight line" if name == "uniform" else "great circle")
