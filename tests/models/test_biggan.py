"""BigGAN and BigGAN-deep compared with the paper, and their training."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn

import zoo
from tests.helpers.training import Noise, equal, tiny_biggan, train, weights
from zoo.layers.attention import SelfAttention
from zoo.layers.conditional_norm import ConditionalBatchNorm
from zoo.layers.spectral import Spectral, as_matrix
from zoo.models import biggan, biggan_deep

CIFAR = {
    "resolution": 32,
    "width": 64,
    "latent_dim": 128,
    "num_classes": 10,
    "shared_dim": 0,
    "skip_latents": False,
    "attention": 0,
    "initialisation": "normal",
}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


BOTH = pytest.mark.parametrize("cls", [zoo.BigGAN, zoo.BigGANDeep])


@pytest.mark.parametrize(
    ("cls", "settings", "generator", "discriminator"),
    [
        (zoo.BigGAN, {"resolution": 128, "width": 96, "num_classes": 1000}, 70_433_988, 87_982_370),
        (zoo.BigGAN, {"resolution": 128, "width": 64, "num_classes": 1000}, 31_978_628, 39_448_258),
        (zoo.BigGAN, {"resolution": 256, "width": 96, "num_classes": 1000}, 82_235_844, 99_225_890),
        (zoo.BigGAN, {"resolution": 512, "width": 96, "num_classes": 1000}, 82_296_804, None),
        (zoo.BigGAN, CIFAR, 4_304_387, 4_207_361),
        (zoo.BigGANDeep, {"resolution": 128, "width": 128, "num_classes": 1000}, 50_244_484, 34_590_210),
        (zoo.BigGANDeep, {"resolution": 256, "width": 128, "num_classes": 1000}, 55_736_708, 38_247_426),
        (zoo.BigGANDeep, {"resolution": 512, "width": 128, "num_classes": 1000}, 56_019_780, None),
    ],
)
def test_parameters_are_those_worked_out_from_the_papers_tables(
    cls: Any, settings: dict[str, Any], generator: int, discriminator: int | None
) -> None:
    with torch.device("meta"):
        model = cls(**settings)
    assert count(model.generator) == generator
    assert discriminator is None or count(model.discriminator) == discriminator


@BOTH
def test_without_arguments_it_is_the_papers_network(cls: Any) -> None:
    defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
    assert (defaults["resolution"], defaults["num_classes"], defaults["objective"]) == (128, 1000, "hinge")
    assert defaults["width"] == {zoo.BigGAN: 96, zoo.BigGANDeep: 128}[cls]


def test_the_counts_also_hold_in_memory() -> None:
    model = zoo.BigGAN(**CIFAR)
    assert (count(model.generator), count(model.discriminator)) == (4_304_387, 4_207_361)


@BOTH
@pytest.mark.parametrize(("resolution", "num_classes"), [(16, 3), (32, 0), (64, 3), (128, 0), (512, 3)])
def test_every_resolution_works(cls: Any, resolution: int, num_classes: int) -> None:
    with torch.device("meta"):
        model = cls(resolution, channels=2, width=8, num_classes=num_classes, initialisation="normal")
        z, labels = model.sample_latent(2), model.sample_labels(2)
        images = model.generate(model.generator, z, labels)
        assert images.shape == (2, 2, resolution, resolution)
        assert model.score(zoo.Batch(images, labels)).shape == (2,)


@pytest.mark.parametrize("settings", [{}, {"shared_dim": 0, "skip_latents": False}, {"skip_latents": False}])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_every_kind_of_condition_works(settings: dict[str, Any], num_classes: int) -> None:
    model = tiny_biggan(num_classes=num_classes, **settings)
    assert model.sample(2, seed=0).shape == (2, 1, 16, 16)
    has_condition = num_classes > 0 or not settings
    assert any(isinstance(m, ConditionalBatchNorm) for m in model.generator.modules()) == has_condition


@BOTH
def test_the_class_and_every_part_of_the_latent_reach_the_image(cls: Any) -> None:
    model = tiny_biggan(cls).eval()
    z, labels = torch.randn(1, 9, requires_grad=True), torch.tensor([0])
    images = model.generator(z, labels)
    (gradient,) = torch.autograd.grad(images.square().sum(), z)
    assert (gradient != 0).all()
    assert not torch.equal(images, model.generator(z, labels + 1))
    scores = [model.score(zoo.Batch(images, torch.tensor([k]))).item() for k in range(3)]
    assert len(set(scores)) == 3


@BOTH
@pytest.mark.parametrize(("resolution", "expected"), [(64, {"g": 64}), (128, {"g": 64, "d": 64})])
def test_attention_is_where_the_maps_have_the_size_asked_for(cls: Any, resolution: int, expected: Any) -> None:
    """At 64 px the discriminator halves maps to 32 px first."""
    seen: dict[str, int] = {}
    with torch.device("meta"):
        model = cls(resolution, width=8, initialisation="normal")
        for name, network in (("g", model.generator), ("d", model.discriminator)):
            for layer in network.modules():
                if isinstance(layer, SelfAttention):
                    layer.register_forward_pre_hook(lambda _, x, n=name: seen.update({n: x[0].shape[-1]}))
        z, labels = latents(model)
        model.score(zoo.Batch(model.generator(z, labels), labels))
    assert seen == expected


def latents(model: zoo.GAN) -> tuple[Tensor, Tensor | None]:
    return model.sample_latent(2), model.sample_labels(2)


def test_the_latent_is_cut_into_whole_chunks_of_the_papers_length() -> None:
    with torch.device("meta"):
        for resolution, length in ((128, 120), (256, 140), (512, 128)):
            model = zoo.BigGAN(resolution, width=8, initialisation="normal")
            assert model.latent_dim == length
            assert model.generator.chunk == {128: 20, 256: 20, 512: 16}[resolution]
    assert tiny_biggan(latent_dim=11).latent_dim == 9
    with pytest.raises(ValueError, match="at least 3, one for each chunk at 16 px; got "):
        tiny_biggan(latent_dim=2)


@BOTH
def test_every_matrix_starts_orthogonal_and_every_layer_but_the_shared_embedding_is_normalised(cls: Any) -> None:
    model = tiny_biggan(cls)
    for network in (model.generator, model.discriminator):
        for layer in network.modules():
            if isinstance(layer, Spectral):
                matrix = as_matrix(layer.weight.detach())
                matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
                torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5, rtol=0)
        plain = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding))]
        assert plain == ([model.generator.embed] if network is model.generator else [])
    weight = zoo.BigGAN(**{**CIFAR, "width": 16}).generator.blocks[0].conv1.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.03)


def test_shortcuts_take_what_was_not_rectified() -> None:
    torch.manual_seed(0)
    for block in (biggan.DiscriminatorBlock(4, 8, True, False), biggan_deep.DiscriminatorBlock(4, 8, True)):
        x = torch.randn(2, 4, 6, 6)
        before = x.clone()
        block.eval()(x)
        assert torch.equal(x, before)


def test_a_shortcut_may_pool_before_its_convolution() -> None:
    """The authors use the other order; both operations are linear, one acts on positions, the other on channels."""
    torch.manual_seed(0)
    block, x = biggan.DiscriminatorBlock(4, 8, True, False).eval(), torch.randn(2, 4, 6, 6)
    h = torch.relu(block.conv1(torch.relu(x)))
    h = nn.functional.conv2d(h, block.conv2.normalised_weight(), block.conv2.bias, padding=1)
    expected = nn.functional.avg_pool2d(h + block.shortcut(x), 2)
    torch.testing.assert_close(block(x), expected)


def test_the_discriminator_sums_over_places_and_adds_the_classs_inner_product() -> None:
    torch.manual_seed(0)
    head, x, labels = biggan.Projection(4, 3).eval(), torch.randn(2, 4, 5, 5), torch.tensor([2, 0])
    features = x.clamp(min=0).sum((2, 3))
    rows = head.embed.normalised_weight()[labels]
    expected = (features * (rows + head.linear.normalised_weight())).sum(1) + head.linear.bias
    torch.testing.assert_close(head(x, labels), expected)


@BOTH
def test_orthogonal_regularisation_is_a_term_of_the_generator_without_the_shared_embedding(
    cls: Any, tmp_path: Path
) -> None:
    model = tiny_biggan(cls, orthogonal=0.1, discriminator_lr=0.0)
    train(model, 2, tmp_path, log_every_n_steps=1)
    assert set(model.last_terms) == {"d/adversarial", "g/adversarial", "g/orthogonal"}
    fake = zoo.Batch(torch.zeros(1, 1, 16, 16), torch.tensor([0]))
    term = model.generator_loss(fake, fake)["orthogonal"]
    owned = dict(model.generator.named_parameters())
    gradients = torch.autograd.grad(term, list(owned.values()), allow_unused=True)
    found = dict(zip(owned, gradients))
    for name, weight in owned.items():
        if weight.ndim < 2 or name == "embed.weight":
            assert found[name] is None
        else:
            w = as_matrix(weight.detach())
            expected = 2 * 0.1 * ((w @ w.T) * (1 - torch.eye(len(w)))) @ w
            torch.testing.assert_close(as_matrix(found[name]), expected, rtol=1e-3, atol=1e-5)
    assert "orthogonal" not in tiny_biggan(cls, orthogonal=0.0).generator_loss(fake, fake)


class Iterations(Callback):
    """Callback that counts the passes of both networks in training mode."""

    def __init__(self) -> None:
        self.passes = {"d": 0, "g": 0}

    def on_train_start(self, trainer: Any, model: zoo.GAN) -> None:
        for name, network in (("d", model.discriminator), ("g", model.generator)):
            network.register_forward_hook(lambda *_, n=name: self.passes.update({n: self.passes[n] + 1}))


def test_two_discriminator_steps_and_one_generator_step_are_three_joined_passes(tmp_path: Path) -> None:
    model, count_passes = tiny_biggan(critic_steps=2), Iterations()
    train(model, 2, tmp_path, callbacks=[count_passes])
    assert count_passes.passes == {"d": 3, "g": 3}


def test_micro_batches_train_and_iterate_once_each(tmp_path: Path) -> None:
    model, count_passes = tiny_biggan(micro_batches=4), Iterations()
    train(model, 1, tmp_path, callbacks=[count_passes], loader=Noise((1, 16, 16), 8, 3))
    assert count_passes.passes == {"d": 8, "g": 8}


@BOTH
def test_training_in_bf16_stays_finite(cls: Any, tmp_path: Path) -> None:
    model = tiny_biggan(cls, average_halflife=100)
    start = weights(model)
    train(model, 50, tmp_path, Noise((1, 16, 16), 4, 3), precision="bf16-mixed")
    model.assert_finite()
    assert all(tensor.isfinite().all() for tensor in weights(model).values())
    assert not equal(start, weights(model))
    assert model.generator.stem.weight.dtype == torch.float32


class Later(Noise):
    """Return the batch that `Noise` yields after this number of batches."""

    def __init__(self, after: int) -> None:
        super().__init__((1, 16, 16), classes=3)
        self.after = after

    def __iter__(self) -> Iterator[zoo.Batch]:
        return islice(super().__iter__(), self.after, None)


@BOTH
def test_a_resumed_run_ends_with_the_same_bits(cls: Any, tmp_path: Path) -> None:
    settings = {"critic_steps": 2, "average_start": 24, "micro_batches": 2}
    whole = tiny_biggan(cls, **settings)
    train(whole, 8, tmp_path)
    first = tiny_biggan(cls, **settings)
    train(first, 5, tmp_path).save_checkpoint(tmp_path / "state.ckpt")
    second = tiny_biggan(cls, **settings)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=2,
        limit_train_batches=3,
        default_root_dir=tmp_path,
    )
    trainer.fit(second, Later(5), ckpt_path=tmp_path / "state.ckpt")
    assert second.images_seen == whole.images_seen == 64
    assert equal(weights(whole), weights(second))


@pytest.mark.parametrize("objective", ["hinge", "non_saturating"])
def test_a_gradient_penalty_goes_through_every_layer(objective: str, tmp_path: Path) -> None:
    model = tiny_biggan(r1=10.0, objective=objective)
    train(model, 2, tmp_path, log_every_n_steps=1)
    assert model.last_terms["d/r1"] > 0


@BOTH
def test_what_is_not_offered_is_refused(cls: Any) -> None:
    for name, value in (("resolution", 48), ("attention", 48), ("initialisation", "xavier")):
        with pytest.raises(ValueError, match=rf"{name} of a {cls.__name__} is .*; got '?{value}"):
            cls(**{name: value})
    with pytest.raises(ValueError, match="skip_latents=False"):
        zoo.BigGAN(shared_dim=0)
    with pytest.raises(ValueError, match="multiple of 4; got 6"):
        zoo.BigGANDeep(width=6)


def test_the_average_of_networks_whose_estimates_wander_keeps_its_scale(tmp_path: Path) -> None:
    """Averaged singular vectors are shorter than 1, which must not scale up the output of the averaged network."""
    model = tiny_biggan(average_halflife=1000)
    train(model, 20, tmp_path)
    twin = copy.deepcopy(model.average)
    for layer in twin.modules():
        if isinstance(layer, Spectral):
            layer.v.mul_(0.5)
    z, labels = latents(model)
    torch.testing.assert_close(twin(z, labels), model.average(z, labels))
