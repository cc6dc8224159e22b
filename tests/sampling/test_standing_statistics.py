"""Standing statistics and the two definitions of truncation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.helpers.training import equal, tiny_biggan, train, weights
from zoo.sampling.images import truncated
from zoo.sampling.standing_statistics import standing_statistics

BOTH = pytest.mark.parametrize("cls", [zoo.BigGAN, zoo.BigGANDeep])


def test_the_two_truncations_differ_as_their_definitions_do() -> None:
    torch.manual_seed(0)
    cut = truncated(lambda n: torch.randn(n, 50), 2000, 0.5)
    scaled = truncated(lambda n: torch.randn(n, 50), 2000, 0.5, "scaling")
    assert cut.abs().max() <= 0.5 < scaled.abs().max() <= 1.0
    assert cut.std().item() == pytest.approx(0.2832, abs=0.003)  # of a normal cut at +-0.5, in closed form
    assert scaled.std().item() == pytest.approx(0.5 * 0.8796, abs=0.003)  # half of one cut at +-2
    model = tiny_biggan()
    cut_images = model.sample(4, seed=0, truncation=0.5)
    assert not torch.equal(cut_images, model.sample(4, seed=0, truncation=0.5, truncation_by="scaling"))
    with pytest.raises(ValueError, match="'redrawing' or 'scaling'; got 'folding'"):
        model.sample(1, truncation=0.5, truncation_by="folding")


class Line(nn.Module):
    """Network of a linear map and a batch norm, whose statistics are known in closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)
        self.seen: list[Tensor] = []

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.linear(z)
        self.seen.append(x)
        return self.norm(x)[:, :, None, None]


def linear_model() -> zoo.GAN:
    torch.manual_seed(0)
    model = zoo.VanillaGAN(resolution=1, channels=2, latent_dim=3)
    model.average = Line().eval()
    return model


def test_standing_statistics_are_the_mean_over_the_passes_with_equal_weights() -> None:
    model = linear_model()
    with standing_statistics(model, passes=5, batch_size=7):
        norm, seen = model.average.norm, model.average.seen
        assert [len(x) for x in seen] == [7] * 5
        torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in seen]).mean(0))
        torch.testing.assert_close(norm.running_var, torch.stack([x.var(0) for x in seen]).mean(0))
        assert not norm.training


@pytest.mark.parametrize(
    ("truncation", "by", "variance"),
    [
        (None, "redrawing", 1.0),
        (0.5, "redrawing", 0.2832**2),
        (0.5, "scaling", (0.5 * 0.8796) ** 2),
    ],
)
def test_standing_statistics_are_those_of_the_population(truncation: float | None, by: Any, variance: float) -> None:
    """Return mean and variance of `W z + b` with independent coordinates: b, and |rows of W|^2 times theirs."""
    model = linear_model()
    linear = model.average.linear
    with standing_statistics(model, passes=100, batch_size=2000, truncation=truncation, truncation_by=by):
        expected = linear.weight.detach().square().sum(1) * variance
        torch.testing.assert_close(model.average.norm.running_var, expected, rtol=0.02, atol=0)
        torch.testing.assert_close(model.average.norm.running_mean, linear.bias.detach(), rtol=0, atol=0.01)


@BOTH
def test_standing_statistics_change_the_samples_and_leave_nothing_behind(cls: Any, tmp_path: Path) -> None:
    model = tiny_biggan(cls)
    train(model, 3, tmp_path)
    before, modes, state = weights(model), [m.training for m in model.modules()], torch.get_rng_state()
    plain = model.sample(4, seed=0)
    drawn = []
    for truncation in (0.3, 1.0):
        with standing_statistics(model, passes=2, batch_size=8, truncation=truncation):
            assert equal(weights(model.generator), {k[10:]: v for k, v in before.items() if k.startswith("generator.")})
            drawn.append(model.sample(4, seed=0))
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], plain)
    assert equal(before, weights(model))
    assert modes == [m.training for m in model.modules()]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(plain, model.sample(4, seed=0))


def test_standing_statistics_are_put_back_after_an_error() -> None:
    model = tiny_biggan()
    before = weights(model)
    momenta = [m.momentum for m in model.average.modules() if isinstance(m, nn.BatchNorm2d)]
    with pytest.raises(KeyError), standing_statistics(model, passes=1, batch_size=4):
        raise KeyError
    assert equal(before, weights(model))
    assert momenta == [m.momentum for m in model.average.modules() if isinstance(m, nn.BatchNorm2d)]


def test_standing_statistics_need_a_batch_norm_and_batches() -> None:
    with pytest.raises(ValueError, match="no batch norm"), standing_statistics(zoo.VanillaGAN()):
        pass
    with pytest.raises(ValueError, match="at least 1 pass of 2 images"), standing_statistics(tiny_biggan(), passes=0):
        pass
