"""WGAN-GP's networks and penalty, and spectral normalisation, against torch-mimicry, an independent implementation.

    pip install --no-deps torch-mimicry==0.1.16     (what it names as its requirements includes TensorFlow)

In two things the peer departs from the authors' code, and is brought back to it here: its generator upsamples
bilinearly, and its critic's ReLUs work in place, so that the shortcuts of later blocks see rectified maps.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import types
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import zoo
from zoo.layers.spectral import SpectralConv2d, SpectralLinear
from zoo.training.batch import Batch

FOUND = importlib.util.find_spec("torch_mimicry")
if FOUND is None:
    pytest.skip("pip install --no-deps torch-mimicry==0.1.16", allow_module_level=True)

NAMES = (  # theirs and ours, applied one after the other
    (r"^l1\.", "stem."),
    (r"^b5\.", "norm.norm."),
    (r"^c5\.", "last."),
    (r"^l5\.", "readout."),
    (r"\.c1\.", ".convolution1."),
    (r"\.c2\.", ".convolution2."),
    (r"\.c_sc\.", ".shortcut."),
    (r"\.b1\.", ".first.norm."),
    (r"\.b2\.", ".second.norm."),
)


def peer(module: str) -> Any:
    """Import a module of mimicry without its `__init__`, which imports TensorFlow."""
    assert FOUND is not None
    package = types.ModuleType("torch_mimicry")
    package.__path__ = list(FOUND.submodule_search_locations or [])
    sys.modules.setdefault("torch_mimicry", package)
    return importlib.import_module(f"torch_mimicry.{module}")


def converted(theirs: nn.Module, blocks: str, first: int) -> dict[str, Tensor]:
    """Rename mimicry's state dict to our names; its blocks are counted from `first`."""

    def renamed(name: str) -> str:
        for old, new in NAMES:
            name = re.sub(old, new, name)
        return re.sub(r"^block(\d)", lambda digit: f"{blocks}.{int(digit[1]) - first}", name)

    return {renamed(name): tensor for name, tensor in theirs.state_dict().items()}


def filled(network: nn.Module) -> nn.Module:
    """Randomise all weights of a network, biases and scales included."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if name.endswith("running_var") else tensor.normal_(0.02, 0.1)
    return network


@pytest.mark.parametrize("training", [True, False])
def test_the_generator_draws_what_the_peers_draws(training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    module = peer("nets.wgan_gp.wgan_gp_32")
    monkeypatch.setattr(
        module.GBlock, "_upsample_conv", lambda self, x, layer: layer(interpolate(x, scale_factor=2, mode="nearest"))
    )
    theirs = filled(module.WGANGPGenerator32(ngf=16)).train(training)
    ours = zoo.WGANGP(resolution=32, width=16).generator.train(training)
    ours.load_state_dict(converted(theirs, "blocks", first=2))
    z = torch.randn(6, 128)
    torch.testing.assert_close(ours(z), theirs(z), rtol=1e-4, atol=1e-5)


def critics() -> tuple[zoo.WGANGP, Any]:
    """Return our network and mimicry's with the same weights."""
    theirs = filled(peer("nets.wgan_gp.wgan_gp_32").WGANGPDiscriminator32(ndf=16))
    for layer in theirs.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    ours = zoo.WGANGP(resolution=32, width=16)
    ours.discriminator.load_state_dict(converted(theirs, "body", first=1))
    return ours, theirs


def test_the_critic_and_its_losses_are_the_peers() -> None:
    ours, theirs = critics()
    real, fake = Batch(torch.rand(6, 3, 32, 32) * 2 - 1), Batch(torch.rand(6, 3, 32, 32) * 2 - 1)
    torch.testing.assert_close(ours.score(real), theirs(real.images)[:, 0], rtol=1e-4, atol=1e-5)

    torch.manual_seed(3)
    terms = ours.discriminator_loss(real, fake)
    torch.manual_seed(3)  # the peer counts the position on the line from the other end
    penalty = theirs.compute_gradient_penalty_loss(real_images=fake.images, fake_images=real.images, gp_scale=10.0)
    torch.testing.assert_close(terms["gradient_penalty"], penalty, rtol=1e-4, atol=1e-5)
    adversarial = theirs.compute_gan_loss(output_real=theirs(real.images), output_fake=theirs(fake.images))
    torch.testing.assert_close(terms["adversarial"], adversarial, rtol=1e-4, atol=1e-5)

    penalty.backward()  # second derivatives
    terms["gradient_penalty"].backward()
    named = dict(ours.discriminator.named_parameters())
    for name, gradient in converted_gradients(theirs).items():
        own = named[name].grad
        # a penalty on rectifiers does not depend on biases: theirs are zeros, ours is none
        torch.testing.assert_close(torch.zeros_like(gradient) if own is None else own, gradient, rtol=1e-3, atol=1e-5)


def converted_gradients(theirs: nn.Module) -> dict[str, Tensor]:
    """Return mimicry's gradients by our names; biases may have no gradient of a penalty."""
    names = dict(zip(theirs.state_dict(), converted(theirs, "body", first=1)))
    return {names[name]: weight.grad for name, weight in theirs.named_parameters() if weight.grad is not None}


def test_the_critic_has_as_many_parameters_at_the_papers_width() -> None:
    theirs = peer("nets.wgan_gp.wgan_gp_32").WGANGPDiscriminator32(ndf=128)
    ours = zoo.WGANGP(resolution=32, width=128).discriminator
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters()) == 1_053_825


@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_spectral_normalisation_has_the_peers_values_after_some_iterations(kind: str) -> None:
    module = peer("modules.spectral_norm")
    if kind == "convolution":
        ours, theirs, x = SpectralConv2d(5, 7), module.SNConv2d(5, 7, 3, padding=1), torch.randn(2, 5, 6, 6)
    else:
        ours, theirs, x = SpectralLinear(5, 7), module.SNLinear(5, 7), torch.randn(2, 5)
    ours.load_state_dict({**ours.state_dict(), "weight": theirs.weight, "bias": theirs.bias})
    for _ in range(60):  # the iterations start from other vectors and meet
        mine, peers = ours(x), theirs(x)
    torch.testing.assert_close(mine, peers, rtol=1e-4, atol=1e-5)
