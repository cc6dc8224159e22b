"""The discriminator: one that has memorised raises an alarm, one that judges images does not; with and without zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.audit_evidence import evidence, split
from zoo.audit.findings.finding import NotApplicable
from zoo.audit.planted import Honest, WithMemorisingDiscriminator
from zoo.audit.questions.discriminator import run


class Fair(Honest):
    """Scores by brightness."""

    zero: float | None = 0.0

    def score(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))


class Critic(WithMemorisingDiscriminator):
    zero = None  # type: ignore[assignment]


class Sharp(Honest):
    """A critic that tells its generator's images, which are brighter, without knowing any real one."""

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        return (super().sample(n, seed=seed) + 0.5).clamp(-1, 1)

    def score(self, images: Tensor) -> Tensor:
        return -images.mean((1, 2, 3))


def test_one_that_has_memorised_raises_an_alarm() -> None:
    train, held_out, spare = split(0)
    found = run(evidence(WithMemorisingDiscriminator(spare, train, noise=0.0), train, held_out))
    assert found.flags.keys() == {"discriminator overfitted"}
    assert found["AUC of training against held-out images"].value == 1.0
    accuracies = [found[f"accuracy on {origin} images"].value for origin in ("training", "held-out", "generated")]
    assert accuracies == [100.0, 0.0, 100.0]
    assert (found["r_t"].value, found["r_t"].null) == (1.0, -1.0)
    assert found["r_v"].value == pytest.approx(1.0)
    assert "right on 100 % of the training images and 0 % of the held-out ones" in found.answer


def test_a_critic_needs_no_zero() -> None:
    train, held_out, spare = split(0)
    found = run(evidence(Critic(spare, train), train, held_out))
    assert "discriminator overfitted" in found.flags
    assert found["r_t"].value == pytest.approx(2 * found["AUC of training against generated images"].value - 1)
    middle = (float(found.protocol["accuracy threshold"]), found.protocol["origin of the threshold"])
    assert middle[0] == pytest.approx(-1, abs=0.2)
    assert "no zero" in middle[1]


def test_one_that_judges_images_raises_no_alarm() -> None:
    for seed in range(10):
        train, held_out, spare = split(seed)
        assert not run(evidence(Fair(spare), train, held_out, seed)).flags
    found = run(evidence(Sharp(spare), train, held_out))
    assert found.status == "passed"
    assert found["AUC of held-out against generated images"].value > 0.6
    r_v = found["r_v"]
    assert r_v.low is not None
    assert r_v.low < 0 < r_v.high


def test_r_v_is_left_out_where_it_would_divide_noise_by_noise() -> None:
    train, held_out, spare = split(0)
    assert "r_v" not in [s.name for s in run(evidence(Fair(spare), train, held_out)).statistics]


def test_without_a_discriminator_it_says_what_to_give() -> None:
    train, held_out, spare = split(0)
    with pytest.raises(NotApplicable, match="give it score"):
        run(evidence(Honest(spare), train, held_out))


def test_scores_that_are_not_finite_are_not_compared() -> None:
    class Broken(Honest):
        def score(self, images: Tensor) -> Tensor:
            return torch.full((len(images),), float("nan"))

    train, held_out, spare = split(0)
    with pytest.raises(NotApplicable, match="not finite"):
        run(evidence(Broken(spare), train, held_out))
