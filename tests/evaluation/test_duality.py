"""The duality gap: on games whose gap is known, and that it leaves everything as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import equal, train, weights
from zoo.data import Ring
from zoo.evaluation.duality import duality_gap

POINTS: dict[str, Any] = {
    "resolution": 1,
    "channels": 2,
    "latent_dim": 2,
    "layers": 1,
    "width": 16,
    "discriminator_layers": 1,
    "discriminator_width": 16,
    "pieces": 2,
    "dropout": 0.0,
    "discriminator_lr": 5e-3,
    "generator_lr": 5e-3,
}


def clouds() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(0.3 * torch.randn(n, 2, 1, 1) for n in (2_000, 1_000))  # type: ignore[return-value]


def shifted(shift: float) -> zoo.VanillaGAN:
    """A generator that draws the real cloud moved aside, and a discriminator that says 0 everywhere."""
    torch.manual_seed(0)
    model = zoo.VanillaGAN(**{**POINTS, "width": 4})
    first, last = model.generator.body[0], model.generator.body[2]
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
        first.bias.zero_()
        last.weight.copy_(0.3 * torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, -1]]))
        last.bias.copy_(torch.tensor([shift, 0.0]))
        for parameter in model.discriminator.parameters():
            parameter.zero_()
    return model


def test_at_an_equilibrium_nobody_gains() -> None:
    found = duality_gap(shifted(0.0), clouds(), images=3_000, measure_every=1_000, evaluation=512)
    assert found.value == pytest.approx(-2 * 0.6931, abs=1e-3)  # both sides of the coin: -2 log 2
    assert abs(found.gap) < 0.05
    assert found.generator_gain == pytest.approx(0, abs=1e-5)  # against a constant nothing can be won


def test_away_from_it_the_discriminator_gains_what_a_perfect_one_would() -> None:
    found = duality_gap(shifted(3.0), clouds(), images=20_000, measure_every=5_000, evaluation=512)
    # The clouds do not touch, so the best V is 0, from -2 log 2.
    assert found.discriminator_gain == pytest.approx(2 * 0.6931, abs=0.1)
    assert found.gap == pytest.approx(found.discriminator_gain + found.generator_gain)
    (curve,) = found.curves["discriminator"]
    assert curve.images == sorted(curve.images)
    assert curve.images[-1] >= 20_000
    assert len(curve.images) == len(curve.train) == len(curve.validation)


def test_a_fresh_generator_gains_against_a_discriminator_that_likes_one_side() -> None:
    model = shifted(0.0)
    with torch.no_grad():  # scores grow with x
        layer = model.discriminator.body[1].linear
        layer.weight[:2] = torch.tensor([1.0, 0.0])
        model.discriminator.body[2].weight[0, 0] = 2.0
    found = duality_gap(model, clouds(), images=10_000, measure_every=2_000, evaluation=512)
    assert found.generator_gain > 0.5
    assert found.gap > 0.5


def test_the_model_and_the_random_state_stay_as_they_were() -> None:
    torch.manual_seed(0)
    model = zoo.MixGAN({"class": "VanillaGAN", **POINTS, "batch_norm": True}, generators=2, discriminators=3)
    data = clouds()
    before, state = weights(model), torch.get_rng_state()
    first = duality_gap(model, data, images=500, measure_every=250, evaluation=128)
    assert equal(weights(model), before)
    assert torch.equal(torch.get_rng_state(), state)
    again = duality_gap(model, data, images=500, measure_every=250, evaluation=128)
    assert first == again


@pytest.mark.parametrize(
    "base",
    [
        {"class": "WGANGP", "resolution": 16, "channels": 1, "latent_dim": 4, "width": 4, "num_classes": 10},
        {"class": "ProGAN", "resolution": 16, "channels": 1, "latent_dim": 4, "width": 4, "width_base": 32},
    ],
    ids=["wgan-gp", "progan"],
)
def test_other_variants_and_data_modules(base: dict[str, Any]) -> None:
    settings = dict(base)
    model = getattr(zoo, settings.pop("class"))(**settings)
    data = zoo.data.Digits(resolution=16, channels=1)
    found = duality_gap(model, data, images=64, measure_every=32, batch_size=16, evaluation=32)
    assert all(torch.isfinite(torch.tensor([found.gap, found.value, found.discriminator_gain])))


@pytest.mark.parametrize(
    ("settings", "images", "message"),
    [
        (
            {"num_classes": 3},
            (0.0, 1, 16),
            "DCGAN has 3 classes, which tensors of images do not tell; give a data module",
        ),
        ({}, (0.0, 3, 16), r"the training images must be \(N, 1, 16, 16\); got \(80, 3, 16, 16\)"),
        ({}, (0.0, 1, 32), r"the training images must be \(N, 1, 16, 16\); got \(80, 1, 32, 32\)"),
        ({}, (255.0, 1, 16), r"the training images must be float in \[-1, 1\]; got values from 255 to 255"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    settings: dict[str, Any], images: tuple[float, int, int], message: str
) -> None:
    level, channels, side = images
    data = torch.full((80, channels, side, side), level), torch.full((80, channels, side, side), level)
    with pytest.raises(ValueError, match=message):
        duality_gap(zoo.DCGAN(resolution=16, channels=1, width=4, **settings), data, batch_size=8)


def test_tensors_of_uint8_are_images_too() -> None:
    data = tuple(torch.randint(256, (n, 1, 16, 16), dtype=torch.uint8) for n in (64, 32))
    model = zoo.DCGAN(resolution=16, channels=1, width=4)
    found = duality_gap(model, data, images=16, measure_every=16, batch_size=8, evaluation=8)  # type: ignore[arg-type]
    assert found.gap == found.gap


def test_a_model_that_diverged_has_no_gap() -> None:
    model = shifted(0.0)
    with torch.no_grad():
        next(model.generator.parameters()).fill_(float("nan"))
    found = duality_gap(model, clouds(), images=64, measure_every=64, evaluation=64)
    assert found.gap != found.gap


def test_too_few_held_out_images_are_refused() -> None:
    with pytest.raises(
        ValueError, match="needs two batches of 64 held-out images, one to select best responses and one to evaluate"
    ):
        duality_gap(shifted(0.0), (clouds()[0], clouds()[1][:100]))


def test_the_callbacks_log_the_gap_and_the_members(tmp_path: Path) -> None:
    from pytorch_lightning.loggers import CSVLogger

    torch.manual_seed(0)
    model = zoo.MixGAN({"class": "VanillaGAN", **POINTS}, 2)
    data = Ring(samples=2_000, batch_size=50)
    from pytorch_lightning import Trainer

    def run(name: str, *callbacks: Any) -> str:
        torch.manual_seed(0)
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=-1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=CSVLogger(tmp_path / name),
            default_root_dir=tmp_path / name,
            callbacks=[zoo.callbacks.StopAt(500), *callbacks],
        )
        mixture = zoo.MixGAN({"class": "VanillaGAN", **POINTS}, 2)
        trainer.fit(mixture, datamodule=data)
        run.states = [*getattr(run, "states", []), weights(mixture)]  # type: ignore[attr-defined]
        return next((tmp_path / name).rglob("metrics.csv")).read_text()

    logged = run(
        "watched", zoo.callbacks.DualityGapEvery(250, images=200), zoo.callbacks.MixtureReport(250, samples=40)
    )
    names = ("duality/gap", "duality/generator_gain", "mixture/separability", "mixture/recall_1", "mixture/generator_0")
    for name in names:
        assert name in logged
    pictures = sorted(path.name for path in (tmp_path / "watched" / "mixture").iterdir())
    assert pictures == [f"{n:012d}_{what}.png" for n in (250, 500) for what in ("members", "payoffs")]
    run("unwatched")
    assert equal(*run.states)  # type: ignore[attr-defined]
    plain = zoo.VanillaGAN(**POINTS)
    with pytest.raises(ValueError, match="MixtureReport is for a MixGAN; got a VanillaGAN"):
        train(plain, 1, tmp_path, callbacks=[zoo.callbacks.MixtureReport(10)])
    with pytest.raises(zoo.errors.DataError, match="train with a data module"):
        train(model, 1, tmp_path, callbacks=[zoo.callbacks.DualityGapEvery(10)])


def test_separability_of_generators_that_differ_and_that_do_not() -> None:
    from zoo.callbacks.mixture import separability

    torch.manual_seed(0)
    model = zoo.MixGAN({"class": "VanillaGAN", **POINTS}, 3)
    for member in model.average.members:
        member.load_state_dict(model.average.members[0].state_dict())
    assert separability(model) == pytest.approx(1 / 3, abs=0.08)
    with torch.no_grad():
        for i, member in enumerate(model.average.members):
            list(member.parameters())[-1].fill_(0.5 * i - 0.5)
            list(member.parameters())[-2].mul_(0.01)
    assert separability(model) == 1.0


def test_precision_and_recall_of_each_member() -> None:
    from zoo.callbacks.mixture import precision_and_recall

    model = zoo.MixGAN({"class": "VanillaGAN", **POINTS}, 2)
    real = torch.cat([model.sample(100, component=0, seed=i) for i in (1, 2)])
    with torch.no_grad():
        list(model.average.members[1].parameters())[-1].add_(50.0)  # far away, and cut off at the edge
    honest, astray = precision_and_recall(model, real, seed=5)
    assert honest["precision"] > 0.8
    assert honest["recall"] > 0.8
    assert astray == {"precision": 0.0, "recall": 0.0}
