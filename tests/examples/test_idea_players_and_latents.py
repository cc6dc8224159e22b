"""Players and latents of the gallery of ideas: InfoGAN's codes, unrolled steps, and LOGAN's step in latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.helpers.ideas import MeanPixel, Returns, flat, idea, number, tiny
from tests.helpers.training import equal, tiny_biggan, tiny_dcgan, train, weights


def test_infogan_draws_codes_and_a_third_player_guesses_them(tmp_path: Path) -> None:
    model = tiny("infogan.InfoGAN", latent_dim=8, categories=3, numbers=2)
    z = model.sample_latent(200)
    assert z.shape == (200, 8)
    assert set(z[:, 3:6].sum(1).tolist()) == {1.0}
    assert set(z[:, 3:6].unique().tolist()) == {0.0, 1.0}
    assert number(z[:, 6:].abs().max()) <= 1
    fake = model.fakes(z, None)
    model.guessing_loss(fake).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in (*model.recogniser.parameters(),))
    assert next(model.generator.parameters()).grad.abs().sum() > 0

    numbers = z[:, 6:] + torch.tensor([1.0, 0.0])  # the first number wrong by 1: half of its square
    model.recogniser = Returns(torch.cat([200 * z[:, 3:6], numbers], 1))
    assert number(model.guessing_loss(fake)) == pytest.approx(0.1 * 0.5)
    terms = model.generator_loss(fake, fake)
    assert number(terms["information"]) == pytest.approx(0.05)


def test_q_moves_as_often_as_the_generator() -> None:
    _, generator, q = tiny("infogan.InfoGAN", critic_steps=2, generator_steps=3).players()
    assert (q.every, q.moves) == (generator.every, generator.moves) == (2, 3)


def test_q_is_trained_by_its_own_optimizer_only(tmp_path: Path) -> None:
    model = tiny("infogan.InfoGAN", critic_steps=2)
    before = weights(model.recogniser)
    trainer = train(model, 1, tmp_path)
    assert len(trainer.optimizers) == 3
    assert all(torch.equal(before[name], weights(model.recogniser)[name]) for name in ("1.weight", "0.0.weight"))
    train(model, 1, tmp_path, log_every_n_steps=1)
    assert not torch.equal(before["1.weight"], model.recogniser[1].weight)
    assert {"d/adversarial", "g/adversarial", "g/information", "q/information"} == model.last_terms.keys()
    with pytest.raises(ValueError, match=r"num_classes=3: InfoGAN finds classes itself; set model.num_classes=0"):
        tiny("infogan.InfoGAN", num_classes=3)
    with pytest.raises(ValueError, match=r"latent_dim=3 leaves no noise beside 2 categories and 1 numbers"):
        tiny("infogan.InfoGAN", latent_dim=3)


def mlp(**settings: Any) -> Any:
    """An unrolled GAN of two small perceptrons."""

    class UnrolledMLP(idea("unrolled.Unrolled"), zoo.VanillaGAN):  # type: ignore[misc]
        pass

    torch.manual_seed(0)
    small = {"resolution": 2, "latent_dim": 3, "layers": 1, "width": 6, "discriminator_layers": 1, "dropout": 0.0}
    return UnrolledMLP(**small, discriminator_width=5, pieces=2, **settings)


def test_unrolling_by_no_step_is_the_plain_loss(tmp_path: Path) -> None:
    plain, unrolled = tiny_dcgan(r1=0.1), tiny("unrolled.UnrolledGAN", unroll=0)
    for model in (plain, unrolled):
        train(model, 3, tmp_path)
    assert equal(weights(plain), weights(unrolled))


def test_unrolling_by_one_step_is_one_step_of_gradient_descent() -> None:
    """Value and gradient: the generator's loss after `w - lr * dL_D/dw`, where w' depends on the generator."""
    model = mlp(unroll=1, unroll_lr=0.3, r1=0.5)
    model.objective.penalty_factor = 1.0
    real, z = zoo.Batch(torch.rand(4, 1, 2, 2)), torch.randn(4, 3)
    parameters = list(model.generator.parameters())
    before = weights(model)
    loss = model.generator_loss(real, model.fakes(z, None))["adversarial"]
    found = torch.autograd.grad(loss, parameters)
    assert equal(weights(model), before)
    assert model.objective.penalty_factor == 1.0

    fake = model.generator(z, None)
    names, old = zip(*model.discriminator.named_parameters())
    softplus = nn.functional.softplus
    value = softplus(-model.discriminator(real.images)).mean() + softplus(model.discriminator(fake)).mean()
    steps = torch.autograd.grad(value, old, create_graph=True)
    new = {name: weight - 0.3 * step for name, weight, step in zip(names, old, steps)}
    scores = torch.func.functional_call(model.discriminator, new, (fake,))
    by_hand = softplus(-scores).mean()
    torch.testing.assert_close(loss, by_hand)
    for gradient, expected in zip(found, torch.autograd.grad(by_hand, parameters)):
        torch.testing.assert_close(gradient, expected)
    plain = torch.autograd.grad(softplus(-model.discriminator(model.generator(z, None))).mean(), parameters)
    assert not torch.allclose(plain[0], found[0])


def test_logan_without_a_step_is_the_model_itself(tmp_path: Path) -> None:
    plain, still = tiny_dcgan(latent="uniform", micro_batches=2), tiny("logan.LOGAN", step=0.0)
    for model in (plain, still):
        train(model, 3, tmp_path)
    assert equal(weights(plain), weights(still))


class Linear(nn.Module):
    """Generator of flat images of level w . z."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.2, 0.0, -0.4, 0.1, 0.0]))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return (z @ self.w)[:, None, None, None].expand(-1, 1, 16, 16)


def test_logan_makes_a_damped_natural_gradient_step() -> None:
    """With a linear game f(z) = w . z the gradient is w, and the step `0.5 w / (|w|^2 + 0.04)`."""
    model = tiny("logan.LOGAN", step=0.5, damping=0.04, share=1.0, length=3.0)
    model.generator, model.discriminator = Linear(), MeanPixel()
    z = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.1, 0.1, 0.1]])
    fake = model.fakes(z, None)
    w = model.generator.w.detach()
    step = 0.5 * w / (w.square().sum() + 0.04)
    torch.testing.assert_close(fake.latents, (z + step).clamp(-1, 1))
    terms = model.generator_loss(flat(0.0, 0.0), fake)
    assert number(terms["length"]) == pytest.approx(3 * number(step.square().sum()))
    terms["length"].backward()
    assert model.generator.w.grad.abs().sum() > 0  # both players learn through the step
    assert model.squared_length is None
    assert "length" not in model.generator_loss(flat(0.0), flat(0.0))
    untouched = tiny("logan.LOGAN", share=0.0)
    torch.testing.assert_close(untouched.fakes(z, None).latents, z)


def test_an_idea_of_two_levels_has_the_settings_of_both() -> None:
    """A mixin's settings stand beside the model's, in checks of recipes and in checkpoints."""
    model = tiny("lecam.LeCamGAN", decay=0.5)
    assert model.hparams["decay"] == 0.5
    assert model.hparams["width"] == 4
    assert tiny_biggan().hparams["width"] == 4
