"""WGAN-GP compared with the paper and its authors' code."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

import zoo
from tests.helpers.training import Noise, equal, train, weights
from zoo.io.run_folder import checkpoints_in
from zoo.models.wgan_gp_networks import BatchNorm, Block, LayerNorm, stage_widths

ARCHITECTURES = ["resnet", "layer_norm", "convolutional"]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny(**settings: Any) -> zoo.WGANGP:
    torch.manual_seed(0)
    plain: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
    return zoo.WGANGP(**{**plain, "architecture": "convolutional", **settings})


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "generator", "critic"),
    [
        ({"resolution": 32, "width": 128}, 1_204_483, 1_053_825),
        ({"resolution": 64, "width": 64}, 8_540_483, 7_491_841),
        # gan_cifar.py by hand: linear, three transposed 5x5 convolutions, batch norm; three convolutions, linear
        (
            {"architecture": "convolutional"},
            129 * 8192 + 2 * 8192 + (512 * 256 + 256 * 128 + 128 * 3) * 25 + 3 * 256 + 3 * 128 + 3,
            (3 * 128 + 128 * 256 + 256 * 512) * 25 + 128 + 256 + 512 + 8193,
        ),
        # gan_mnist.py by hand
        (
            {"architecture": "convolutional", "resolution": 28, "channels": 1, "width": 64, "batch_norm": False},
            129 * 4096 + (256 * 128 + 128 * 64 + 64) * 25 + 128 + 64 + 1,
            (64 + 64 * 128 + 128 * 256) * 25 + 64 + 128 + 256 + 4097,
        ),
    ],
)
def test_parameters_are_those_of_the_authors_networks(settings: dict[str, Any], generator: int, critic: int) -> None:
    with torch.device("meta"):
        model = zoo.WGANGP(**settings)
    assert (count(model.generator), count(model.discriminator)) == (generator, critic)


def test_classes_add_scales_and_offsets_in_the_blocks_and_one_readout() -> None:
    with torch.device("meta"):
        model = zoo.WGANGP(num_classes=10)
    assert count(model.generator) == 1_204_483 + 6 * 9 * 2 * 128  # six norms in blocks; the last has no classes
    assert count(model.discriminator) == 1_053_825 + 10 * 129


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize(
    ("architecture", "resolution"),
    [(a, r) for a in ARCHITECTURES for r in (16, 32, 64, 128)] + [("convolutional", 28)],
)
def test_every_architecture_works_at_every_resolution(architecture: Any, resolution: int, num_classes: int) -> None:
    model = zoo.WGANGP(
        resolution, channels=2, width=2, latent_dim=3, architecture=architecture, num_classes=num_classes
    )
    images = model.sample(2, seed=0)
    assert images.shape == (2, 2, resolution, resolution)
    assert model.score(zoo.Batch(images)).shape == (2,)


def test_auto_is_the_papers_network_for_each_size() -> None:
    with torch.device("meta"):
        small, large = zoo.WGANGP(32, width=8), zoo.WGANGP(64, width=8)
    assert not any(isinstance(m, LayerNorm) for m in small.discriminator.modules())
    assert sum(isinstance(m, LayerNorm) for m in large.discriminator.modules()) == 8
    assert [(b.resampling, b.pixels) for b in small.discriminator.modules() if isinstance(b, Block)] == [
        ("halve", True),
        ("halve", False),
        ("keep", False),
        ("keep", False),
    ]
    assert stage_widths(64, 64) == [512, 256, 128, 64]
    assert stage_widths(128, 64) == [512, 512, 256, 128, 64]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_score_of_an_image_does_not_depend_on_the_others(architecture: Any) -> None:
    torch.manual_seed(0)
    model = zoo.WGANGP(32, channels=1, width=4, architecture=architecture)
    assert not model.couples_batch
    assert not any(isinstance(m, (BatchNorm, nn.BatchNorm2d)) for m in model.discriminator.modules())
    images = torch.randn(6, 1, 32, 32)
    together = model.score(zoo.Batch(images))
    alone = torch.cat([model.score(zoo.Batch(image[None])) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def deviations(network: nn.Module) -> dict[str, tuple[float, float]]:
    """Return for each layer the standard deviation of its weights, and the largest weight over sqrt(3) times that."""
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            weight = module.weight.detach()
            found[name] = (weight.std().item(), weight.abs().max().item() / (weight.std().item() * math.sqrt(3)))
            assert module.bias is None or (module.bias == 0).all()
    return found


def test_weights_start_as_in_the_authors_code() -> None:
    """Uniform with deviation sqrt(4 / (fan_in + fan_out)); with 2 for shortcuts, linear layers and some last layers."""
    torch.manual_seed(0)
    c, w = 3, 64
    resnet = zoo.WGANGP(32, c, width=w, num_classes=10)
    large = zoo.WGANGP(64, c, width=16)
    small = zoo.WGANGP(32, c, width=w, architecture="convolutional")
    expected = {
        (resnet.generator, "stem"): 2 / (128 + 16 * w),
        (resnet.generator, "blocks.1.convolution1"): 4 / (9 * (w + w)),
        (resnet.generator, "blocks.1.convolution2"): 4 / (9 * (w + w)),
        (resnet.generator, "blocks.1.shortcut"): 2 / (w + w),
        (resnet.generator, "last"): 2 / (9 * (w + c)),
        (resnet.discriminator, "body.0.convolution1"): 4 / (9 * (c + w)),
        (resnet.discriminator, "body.0.convolution2"): 4 / (9 * (w + w)),
        (resnet.discriminator, "body.0.shortcut"): 2 / (c + w),
        (resnet.discriminator, "readout"): 2 / (w + 1),
        (resnet.discriminator, "classifier"): 2 / (w + 10),
        (large.generator, "last"): 4 / (9 * (16 + c)),
        (large.discriminator, "body.0"): 2 / (9 * (c + 16)),
        (large.discriminator, "body.2.convolution2"): 4 / (9 * (32 + 64)),
        (small.generator, "doublings.0"): 4 / (25 * (4 * w / 4 + 2 * w)),
        (small.discriminator, "body.2"): 4 / (25 * (w + 2 * w / 4)),
    }
    for (network, name), variance in expected.items():
        deviation, reach = deviations(network)[name]
        assert deviation == pytest.approx(variance**0.5, rel=0.1), name
        assert 0.85 < reach < 1.01 or deviation == pytest.approx(variance**0.5, rel=0.02), name
    for norm in (m for m in resnet.generator.modules() if isinstance(m, BatchNorm)):
        assert norm.norm.eps == 1e-5


def test_layer_norm_is_over_channels_and_positions_with_a_scale_for_each_channel() -> None:
    torch.manual_seed(0)
    layer, x = LayerNorm(3), torch.randn(4, 3, 5, 5) * 3 + 1
    nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
    mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0)
    expected = (x - mean) / (var + 1e-5).sqrt() * layer.weight[:, None, None] + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), expected)


def test_batch_norm_with_classes_starts_as_batch_norm_and_gives_each_image_its_classs_scale() -> None:
    torch.manual_seed(0)
    layer, x, labels = BatchNorm(3, 5), torch.randn(4, 3, 6, 6), torch.tensor([4, 0, 0, 2])
    plain = nn.BatchNorm2d(3)(x)
    torch.testing.assert_close(layer(x, labels), plain)
    nn.init.normal_(layer.scale), nn.init.normal_(layer.offset)
    expected = torch.stack(
        [plain[i] * layer.scale[k][:, None, None] + layer.offset[k][:, None, None] for i, k in enumerate(labels)]
    )
    torch.testing.assert_close(layer(x, labels), expected)


def test_what_is_not_offered_is_refused_with_what_is() -> None:
    for settings, text in [
        ({"resolution": 48}, r"resolution of a convolutional WGANGP is one of 16, 28, 32, .*; got 48"),
        ({"resolution": 28, "architecture": "resnet"}, r"resolution of a resnet WGANGP is one of 16, 32, .*; got 28"),
        ({"architecture": "mlp"}, "auto, resnet, layer_norm or convolutional; got 'mlp'"),
        ({"batch_norm": False, "num_classes": 3}, "batch_norm=False is for the unconditional"),
        ({"generator_batch": 0}, "generator_batch must be at least 1; got 0"),
        ({"penalty": -1.0}, "must be at least 0; got -1"),
    ]:
        with pytest.raises(ValueError, match=text):
            tiny(**settings)


# --- training --------------------------------------------------------------------------------------------------------


class Calls(Callback):
    """Record the sizes of the critic's batches in each round."""

    def on_train_start(self, trainer: Any, model: Any) -> None:
        self.sizes: list[list[int]] = []
        model.discriminator.register_forward_hook(lambda module, given, out: self.sizes[-1].append(len(given[0])))

    def on_train_batch_start(self, *args: Any) -> None:
        self.sizes.append([])


@pytest.mark.parametrize("num_classes", [0, 3])
def test_the_critic_is_called_once_for_both_kinds_and_once_for_the_penalty(num_classes: int, tmp_path: Path) -> None:
    calls, model = Calls(), tiny(num_classes=num_classes)
    train(model, 5, tmp_path, callbacks=[calls], log_every_n_steps=5)
    assert calls.sizes == [[16, 8]] * 4 + [[16, 8, 16]]  # the generator's step has twice the images
    named = {"d/adversarial", "d/gradient_penalty", "g/adversarial"}
    assert set(model.last_terms) == named | ({"d/classification", "g/classification"} if num_classes else set())


class Watched(zoo.WGANGP):
    """Model that records the batches its losses receive."""

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Any:
        self.handed.append((real, fake))
        return super().discriminator_loss(real, fake)

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Any:
        self.drawn = fake
        return super().generator_loss(real, fake)


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_generated_images_of_the_critics_step_have_the_labels_of_the_real_ones(
    micro_batches: int, tmp_path: Path
) -> None:
    model = Watched(16, 1, 5, 4, num_classes=7, architecture="convolutional", micro_batches=micro_batches)
    model.handed = []
    train(model, 5, tmp_path)
    real, fake = (torch.cat([pair[i].labels for pair in model.handed]) for i in (0, 1))
    batches = iter(Noise((1, 16, 16), classes=7))
    assert torch.equal(real, fake)
    assert torch.equal(real, torch.cat([next(batches).labels for _ in range(5)]))
    assert not torch.equal(model.drawn.labels[: len(real)], real[: len(model.drawn.labels)])


def test_several_generated_images_for_a_real_one_stay_beside_it() -> None:
    """A micro-batch must contain the generated images that belong to its real ones."""
    model, real = tiny(num_classes=7), zoo.Batch(torch.zeros(3, 1, 16, 16), torch.tensor([4, 0, 6]))
    critic, generator = model.players()
    assert (critic.fakes, critic.real_labels, generator.fakes, generator.real_labels) == (1, True, 2, False)
    twice = zoo.Player("d", model.discriminator, model.discriminator_loss, 1e-3, fakes=2, real_labels=True)
    labels = model._labels(twice, real)
    assert labels is not None
    assert labels.tolist() == [4, 4, 0, 0, 6, 6]


def test_labels_of_the_data_do_not_disturb_an_unconditional_model(tmp_path: Path) -> None:
    train(tiny(), 5, tmp_path, loader=Noise((1, 16, 16), classes=7))


def test_classes_reach_the_generator_and_are_learnt_from_real_images_alone() -> None:
    model = tiny(num_classes=3)
    for module in model.generator.modules():
        if isinstance(module, BatchNorm) and not module.norm.affine:
            nn.init.normal_(module.scale)
    model.average.load_state_dict(model.generator.state_dict())
    assert not torch.equal(model.sample(2, seed=0, labels=0), model.sample(2, seed=0, labels=1))
    real = zoo.Batch(torch.randn(6, 1, 16, 16), torch.arange(6) % 3)
    other = zoo.Batch(torch.randn(6, 1, 16, 16), torch.arange(6) % 3)
    terms = [model.discriminator_loss(real, fake)["classification"] for fake in (real, other)]
    torch.testing.assert_close(*terms)
    logits = model.discriminator(real.images)[:, 1:]
    torch.testing.assert_close(terms[0], nn.functional.cross_entropy(logits, real.labels))
    generators = model.generator_loss(real, real)["classification"]
    torch.testing.assert_close(generators, 0.1 * terms[0])


def test_dequantisation_puts_each_level_at_its_place_and_spreads_it_over_its_width() -> None:
    levels = torch.tensor([0.0, 1.0, 100.0, 255.0]).view(1, 1, 2, 2).expand(1000, -1, -1, -1)
    prepared = tiny().prepare(zoo.Batch(levels / 127.5 - 1)).images
    noise = prepared - 2 * (levels / 256 - 0.5)  # gan_cifar_resnet.py's scale
    assert noise.min() > -1e-6
    assert noise.max() < 1 / 128 + 1e-6
    assert noise.std().item() == pytest.approx(1 / 128 / 12**0.5, rel=0.05)
    images = zoo.Batch(levels / 127.5 - 1)
    assert tiny(dequantise=False).prepare(images) is images


def penalty_gradient(model: zoo.WGANGP, tmp_path: Path, precision: str) -> list[Tensor]:
    """Callback that records the critic's gradient of the penalty alone in the first round, as the optimizer sees it."""
    found: list[Tensor] = []

    class Keep(Callback):
        def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Any) -> None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            found.extend(p.grad.clone() for p in parameters if p.grad is not None)  # none for the last bias

    def loss(real: zoo.Batch, fake: zoo.Batch) -> Any:
        assert torch.is_autocast_enabled("cpu") == (precision == "bf16-mixed")
        other = zoo.Batch(real.images.flip(0))  # no generator, whose bf16 images would differ
        return {"gradient_penalty": model.objective.gradient_penalty(model.scores, real, other)}

    model.discriminator_loss = loss  # type: ignore[method-assign]
    train(model, 1, tmp_path, callbacks=[Keep()], precision=precision)
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_both_backward_passes_of_the_penalty_are_float32_under_bf16_mixed(architecture: Any, tmp_path: Path) -> None:
    full, mixed = (
        penalty_gradient(tiny(architecture=architecture, width=8, penalty_precision="float32"), tmp_path, precision)
        for precision in ("32-true", "bf16-mixed")
    )
    assert len(full) == len(mixed) >= 3  # of weights; a penalty on rectifiers has none by biases
    for a, b in zip(full, mixed):
        assert (
            a - b
        ).norm() <= 1e-5 * a.norm() + 1e-7  # 1e-3 if autocast reached the last backward pass, 1e-2 all of it


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bf16_mixed_trains(architecture: Any, tmp_path: Path) -> None:
    model = tiny(architecture=architecture, num_classes=3, generator_lr=1e-3, discriminator_lr=1e-3)
    train(model, 30, tmp_path, precision="bf16-mixed", log_every_n_steps=5)
    model.assert_finite()
    assert model.sample(4, seed=0).isfinite().all()


def test_the_critic_learns_to_tell_real_from_generated(tmp_path: Path) -> None:
    model = tiny(width=8, generator_lr=0.0, discriminator_lr=1e-3, betas=(0, 0.9))
    train(model, 60, tmp_path, log_every_n_steps=10)
    assert model.last_terms["d/adversarial"] < -0.5
    assert model.last_terms["d/gradient_penalty"] < 5  # slopes went from near 0 (a penalty of 10) towards 1


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_resumed_in_the_middle_of_the_critics_steps_ends_with_the_same_bits(
    precision: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "images": 64 * 12,
        "model": {"width": 4},
        "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 448}},
        "trainer": {"accelerator": "cpu", "precision": precision},
    }
    whole = zoo.fit("wgan_gp_digits", out=tmp_path / "whole", **settings)
    half = shutil.copytree(whole.folder, tmp_path / "half")
    latest, earlier = checkpoints_in(half)
    latest.unlink()
    assert int(earlier.stem) == 448  # seven rounds: two after the generator's first step
    again = zoo.fit(resume=half)
    assert again.model.images_seen == whole.model.images_seen == 64 * 12
    assert equal(weights(again.model), weights(whole.model))
