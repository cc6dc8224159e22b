"""Networks of the gallery of ideas: norms, attention, frozen features, reconstruction and excitation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from tests.helpers.ideas import Returns, idea, number, tiny
from tests.helpers.training import train, weights
from zoo.layers.attention import SelfAttention
from zoo.layers.spectral import Spectral, as_matrix


def test_no_layer_of_sngan_stretches_anything() -> None:
    model = tiny("sngan.SNGAN")
    layers = [layer for layer in model.discriminator.modules() if isinstance(layer, Spectral)]
    assert len(layers) == 6  # two for each halving, one on 4x4 maps, the readout
    with torch.no_grad():
        for layer in layers:
            for _ in range(300):
                layer.normalised_weight()
            largest = number(torch.linalg.svdvals(as_matrix(layer.normalised_weight()))[0])
            assert 0.99 < largest < 1.001
    assert not model.couples_batch
    assert tiny("sngan.SNGAN", discriminator_channels=6).discriminator.body[0].weight.shape[0] == 6
    with pytest.raises(ValueError, match=r"resolution of an SNGAN is 16, 32, 64, 128 or 256; got 28"):
        tiny("sngan.SNGAN", resolution=28, kernel_size=5)


@pytest.mark.parametrize("name", ["acgan.ACGAN", "infogan.InfoGAN"])
def test_a_second_readout_covers_the_maps_of_28_pixels_too(name: str, tmp_path: Path) -> None:
    train(tiny(name, resolution=28, kernel_size=5), 1, tmp_path)


def test_sagan_starts_as_the_network_without_attention() -> None:
    model = tiny("sagan.SAGAN").eval()
    assert model.attention_shares().tolist() == [0.0, 0.0]  # one in each network
    batch = zoo.Batch(torch.rand(4, 1, 16, 16), torch.arange(4) % 3)
    scores, images = model.score(batch), model.generate(model.generator, torch.ones(2, 9), torch.tensor([0, 1]))
    for network in (model.generator, model.discriminator):
        for module in list(network.modules()):
            for name, layer in list(module.named_children()):
                if isinstance(layer, SelfAttention):
                    setattr(module, name, nn.Identity()) if not isinstance(module, nn.ModuleDict) else module.update(
                        {name: nn.Identity()}
                    )
    torch.testing.assert_close(model.score(batch), scores)
    torch.testing.assert_close(model.generate(model.generator, torch.ones(2, 9), torch.tensor([0, 1])), images)
    with pytest.raises(ValueError, match=r"attention=64: the networks for 16 px have no maps of that size"):
        tiny("sagan.SAGAN", attention=64)


def test_projected_features_are_frozen_and_let_gradients_through(tmp_path: Path) -> None:
    model = tiny("projected.ProjectedGAN")
    before = weights(model.discriminator)
    train(model, 2, tmp_path)
    changed = {name.split(".")[0] for name, now in weights(model.discriminator).items() if not now.equal(before[name])}
    assert changed == {"judges"}
    images = torch.zeros(2, 1, 16, 16, requires_grad=True)
    maps = model.discriminator.projections(images)
    assert [tuple(x.shape[1:]) for x in maps] == [(4, 8, 8), (4, 4, 4), (4, 2, 2), (4, 1, 1)]
    (gradient,) = torch.autograd.grad(maps[0].sum(), images)
    assert gradient.abs().sum() > 0
    with pytest.raises(ValueError, match=r"size must be a multiple of 32, by which the features are smaller; got 40"):
        tiny("projected.ProjectedGAN", size=40)


def test_the_projected_loss_is_the_hinge_of_all_logits() -> None:
    model = tiny("projected.ProjectedGAN")
    logits = torch.tensor([[0.5, 3.0], [1.0, -1.0]])
    model.discriminator = nn.Identity()
    real, fake = zoo.Batch(logits), zoo.Batch(logits - 1)
    of_real = (0.5 + 0 + 0 + 2) / 4
    of_fake = (0.5 + 3 + 1 + 0) / 4
    model.couples_batch = True  # the logits are given as images, each batch for itself
    assert number(model.discriminator_loss(real, fake)["adversarial"]) == pytest.approx(of_real + of_fake)
    assert number(model.generator_loss(real, fake)["adversarial"]) == pytest.approx(-number((logits - 1).mean()))
    assert real.scores.tolist() == [1.75, 0.0]


def test_fastgan_pays_for_what_it_cannot_reconstruct() -> None:
    model = tiny("fastgan.FastGAN")
    real, fake = zoo.Batch(torch.rand(3, 1, 16, 16)), zoo.Batch(torch.rand(3, 1, 16, 16))
    assert model.discriminator.decode(model.discriminator(real.images)[1]).shape == real.images.shape
    assert model.discriminator(real.images)[1].shape[2:] == (8, 8)
    model.discriminator.decode = Returns(real.images)
    assert number(model.discriminator_loss(real, fake)["reconstruction"]) == 0
    model.discriminator.decode = Returns(real.images + 0.25)
    assert number(model.discriminator_loss(real, fake)["reconstruction"]) == pytest.approx(0.25)
    with pytest.raises(ValueError, match=r"resolution of a FastGAN is one of \[16, 32, .*\]; got 48"):
        idea("fastgan.FastGAN")(resolution=48)
    with pytest.raises(ValueError, match=r"num_classes=3: a FastGAN knows none; set model.num_classes=0"):
        tiny("fastgan.FastGAN", num_classes=3)


def test_skip_layer_excitation_weights_the_channels_of_a_map_four_times_as_large() -> None:
    generator = tiny("fastgan.FastGAN").eval().generator
    (excitation,) = generator.excitations
    z = torch.randn(2, 5)
    stem, after = generator.stem(z), generator.doublings
    middle = after[0](stem)
    for weight in (excitation(stem), torch.full((2, 4, 1, 1), 0.5)):
        assert weight.shape == (2, 4, 1, 1)
        torch.testing.assert_close(generator(z), generator.to_image(after[1](middle) * weight))
        generator.excitations[0] = Returns(torch.full((2, 4, 1, 1), 0.5))
