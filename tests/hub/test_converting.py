"""Tests of converters: a converted model computes the same as its source to 1e-5, or is refused with a reason."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers import peer_networks as peer
from zoo import hub
from zoo.errors import ReleaseError, UserError
from zoo.hub.converting.tensors import read_file
from zoo.integrations import lightning_bolts as bolts


def close(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def images(n: int, channels: int, size: int) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def latents(n: int, length: int) -> Tensor:
    return torch.randn(n, length, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_the_dcgan_of_the_tutorial() -> None:
    g, d = peer.randomised(peer.tutorial_generator(7, 4, 1)), peer.randomised(peer.tutorial_discriminator(6, 1), 1)
    prefixed = {f"module.{name}": tensor for name, tensor in g.state_dict().items()}  # as DataParallel saves it
    model = hub.convert({"netG": prefixed, "netD": d.state_dict()}, "pytorch-tutorial-DCGAN")
    assert (model.resolution, model.channels, model.latent_dim) == (64, 1, 7)
    z, x = latents(3, 7), images(3, 1, 64)
    close(model.generate(model.average, z, None), g.main(z[:, :, None, None]))
    close(torch.sigmoid(model.score(zoo.Batch(x))), d.main(x).flatten())
    alone = hub.convert(g.state_dict(), "pytorch-tutorial-DCGAN", latent="uniform")
    assert alone.origin == {"source": "pytorch-tutorial-DCGAN", "missing": "a discriminator"}
    assert float(alone.sample_latent(100).abs().max()) <= 1


@pytest.mark.parametrize("depth", [1, 2, 3])
@torch.no_grad()
def test_the_dcgan_of_gan_zoo(depth: int) -> None:
    g = peer.randomised(peer.gan_zoo_dcgan_generator(5, 4, 3, depth))
    average = peer.randomised(peer.gan_zoo_dcgan_generator(5, 4, 3, depth), 3)
    d = peer.randomised(peer.gan_zoo_dcgan_discriminator(4, 3, depth), 1)
    parts = {"netG": g.state_dict(), "netD": d.state_dict(), "avgG": average.state_dict(), "config": object()}
    model = hub.convert(parts, "pytorch_GAN_zoo-DCGAN")
    z, x = latents(3, 5), images(3, 3, model.resolution)
    assert model.resolution == 2 ** (depth + 3)
    close(model.generate(model.generator, z, None), g(z))
    close(model.generate(model.average, z, None), average(z))
    close(model.score(zoo.Batch(x)), d(x).flatten())


@torch.no_grad()
def test_the_dcgan_of_lightning_bolts() -> None:
    if importlib.util.find_spec("pl_bolts") is None:
        pytest.skip("pip install --no-deps lightning-bolts")
    bolts.enable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pl_bolts.models.gans import DCGAN

        theirs = peer.randomised(DCGAN(feature_maps_gen=4, feature_maps_disc=3, image_channels=1, latent_dim=6))
    model = hub.convert({"state_dict": theirs.state_dict(), "epoch": 3}, "lightning-bolts-DCGAN")
    z, x = latents(3, 6), images(3, 1, 64)
    close(model.generate(model.average, z, None), theirs(z))
    close(torch.sigmoid(model.score(zoo.Batch(x))), theirs.discriminator(x))


DEPTHS = [16, 16, 8]


@pytest.mark.parametrize(
    ("n", "deviation", "classes", "alpha", "old"),
    [
        (1, True, 0, 0.0, False),
        (3, True, 0, 0.0, False),
        (8, True, 0, 0.0, False),
        (6, True, 0, 0.0, False),
        (8, True, 0, 0.0, True),
        (3, False, 0, 0.0, False),
        (4, True, 2, 0.0, False),
        (8, True, 2, 0.3, False),
        (2, True, 0, 0.999, True),
    ],
)
@torch.no_grad()
def test_the_progressive_gan_of_gan_zoo(n: int, deviation: bool, classes: int, alpha: float, old: bool) -> None:
    """Row M9: minibatch stddev as in the source's last commit or as before July 2019, and moments within a fade."""
    g = peer.randomised(peer.GanZooGenerator(6 + classes, DEPTHS, 3))
    g.toRGBLayers[-1].module.weight.mul_(0.2)  # images of about [-1, 1], to which 1e-5 refers
    d = peer.randomised(peer.GanZooDiscriminator(DEPTHS, 3, 1 + classes, deviation, old), 1)
    g.alpha = d.alpha = alpha
    state = {name.replace(".module.", "."): tensor for name, tensor in g.state_dict().items()}  # older files
    facts: dict[str, Any] = {"num_classes": classes} if classes else {}
    facts |= ({"alpha": alpha} if alpha else {}) | ({"before_july_2019": True} if old else {})
    model = hub.convert({"netG": state, "netD": d.state_dict()}, "pytorch_GAN_zoo-PGAN", **facts)
    assert isinstance(model, zoo.ProGAN)
    assert (model.resolution, model.stage.resolution, model.num_classes) == (16, 16, classes)
    assert model.stage.alpha == pytest.approx(1 - alpha, abs=1e-6)
    z, x = latents(n, 6), images(n, 3, 16)
    labels = torch.arange(n) % classes if classes else None
    latents_and_classes = z if labels is None else torch.cat([z, torch.eye(classes)[labels]], 1)
    close(model.generate(model.average, z, labels), g(latents_and_classes))
    expected = d(x)
    torch.testing.assert_close(model.logits(zoo.Batch(x, labels)), expected, rtol=0, atol=1e-5)
    assert expected.abs().max() > 1e-3


@pytest.mark.parametrize(
    ("resolution", "width", "latent", "kind", "attention", "eps"),
    [
        (32, 4, 12, "hier", 0, 1e-5),
        (32, 4, 8, "classes", 0, 1e-5),
        (32, 4, 8, "shared", 0, 1e-5),
        (64, 8, 15, "hier", 16, 1e-3),
        (32, 4, 10, "deep", 16, 1e-5),
        (64, 8, 10, "deep", 32, 1e-4),
    ],
)
@torch.no_grad()
def test_biggan_and_biggan_deep_of_the_authors(
    resolution: int, width: int, latent: int, kind: str, attention: int, eps: float
) -> None:
    def generator(seed: int) -> Any:
        torch.manual_seed(seed)
        return peer.randomised(peer.BrockGenerator(resolution, width, latent, 5, 6, kind, attention, eps), seed)

    g, ema = generator(0), generator(1)
    d = peer.randomised(peer.BrockDiscriminator(resolution, width, 5, kind == "deep", attention), 2)
    parts = {"G": g.state_dict(), "D": d.state_dict(), "G_ema": ema.state_dict()}
    model = hub.convert(parts, "BigGAN-PyTorch", epsilon=eps)
    assert type(model) is (zoo.BigGANDeep if kind == "deep" else zoo.BigGAN)
    z, labels, x = latents(3, latent), torch.tensor([0, 4, 2]), images(3, 3, resolution)
    close(model.generate(model.generator, z, labels), g(z, labels))
    close(model.generate(model.average, z, labels), ema(z, labels))
    theirs = d(x, labels)
    torch.testing.assert_close(model.score(zoo.Batch(x, labels)), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["stored", "running"])
@torch.no_grad()
def test_the_other_batch_norms_of_the_authors_keep_their_statistics_under_other_names(kind: str) -> None:
    g = peer.randomised(peer.BrockGenerator(32, 4, 12, 5, 6, "hier"))
    state = {}
    for name, tensor in g.state_dict().items():
        owner, _, last = name.rpartition(".")
        state[f"{owner}.bn.{kind}_{last[7:]}" if last.startswith("stored_") else name] = tensor
    if kind == "stored":  # of the one that counts while it gathers standing statistics
        state["blocks.0.0.bn1.bn.accumulation_counter"] = torch.zeros(1)
    model = hub.convert(state, "BigGAN-PyTorch", images_seen=7e1)  # as `facts.images_seen=1e6` is read
    assert model.images_seen == 70
    assert type(model.images_seen) is int
    z, labels = latents(3, 12), torch.tensor([0, 4, 2])
    close(model.generate(model.average, z, labels), g(z, labels))


def test_what_is_left_over_or_missing_is_refused() -> None:
    g, d = peer.tutorial_generator(7, 4, 1).state_dict(), peer.tutorial_discriminator(4, 1).state_dict()
    source = "pytorch-tutorial-DCGAN"
    with pytest.raises(
        ReleaseError, match=r"has no place for: extra.weight. Without them it would compute something else"
    ):
        hub.convert({**g, "extra.weight": torch.zeros(1)}, source)
    with pytest.raises(ReleaseError, match=r"the generator of .* has no main.4.bias; these are other tensors"):
        hub.convert({name: tensor for name, tensor in g.items() if name != "main.4.bias"}, source)
    with pytest.raises(ReleaseError, match=r"there is no generator among these"):
        hub.convert({"netD": d}, source)
    with pytest.raises(
        ReleaseError, match=r"there is no converter for 'pytorch-tutorial-DCGAM'. Did you mean pytorch-tut"
    ):
        hub.convert(g, "pytorch-tutorial-DCGAM")
    with pytest.raises(ReleaseError, match=r"widht is no fact that is asked for. Did you mean width\?"):
        hub.convert(g, source, widht=3)
    with pytest.raises(ReleaseError, match=r"netG: epoch is a int, not a tensor|main.0.weight is a int, not a tensor"):
        hub.convert({"main.0.weight": 3}, source)
    with pytest.raises(ReleaseError, match=r"a state dict is a mapping"):
        hub.convert([1], source)  # type: ignore[arg-type]


def test_networks_that_the_zoo_cannot_compute_are_refused_with_the_reason() -> None:
    g, d = peer.gan_zoo_dcgan_generator(5, 4, 3, 3), peer.gan_zoo_dcgan_discriminator(4, 3, 3, outputs=11)
    with pytest.raises(ReleaseError, match=r"gives 11 numbers for each image, the zoo's DCGAN one"):
        hub.convert({"netG": g.state_dict(), "netD": d.state_dict()}, "pytorch_GAN_zoo-DCGAN")
    wide = peer.gan_zoo_dcgan_generator(5, 4, 3, 4)
    with pytest.raises(ReleaseError, match=r"widths \[64, 32, 16, 8, 4\].* at 128 px are \[32, 32, 16, 8, 4\]"):
        hub.convert(wide.state_dict(), "pytorch_GAN_zoo-DCGAN")
    growing = peer.GanZooGenerator(4, [8, 4, 8], 3).state_dict()
    with pytest.raises(ReleaseError, match=r"widths \[8, 4, 8\] from 4x4 on"):
        hub.convert(growing, "pytorch_GAN_zoo-PGAN")
    usual = peer.GanZooGenerator(4, DEPTHS, 3).state_dict()
    with pytest.raises(ReleaseError, match=r"alpha, the source's weight .*, lies in \[0, 1\]; got 2"):
        hub.convert(usual, "pytorch_GAN_zoo-PGAN", alpha=2)
    with pytest.raises(ReleaseError, match=r"alpha=0.5 is a moment in a fade, and these settings have none"):
        hub.convert(usual, "pytorch_GAN_zoo-PGAN", alpha=0.5, fade_images=0)
    with pytest.raises(ReleaseError, match=r"before_july_2019 is true or false; got 'yes'"):
        hub.convert(usual, "pytorch_GAN_zoo-PGAN", before_july_2019="yes")
    small = peer.GanZooGenerator(4, [8, 8], 3).state_dict(), peer.GanZooDiscriminator([8, 8], 3).state_dict()
    with pytest.raises(ReleaseError, match=r"from the fade to 8x8.*or the generator alone"):
        hub.convert(dict(zip(("netG", "netD"), small)), "pytorch_GAN_zoo-PGAN", alpha=0.5)
    classifier = peer.GanZooDiscriminator(DEPTHS, 3, 4).state_dict()
    with pytest.raises(
        ReleaseError, match=r"gives 4 numbers for each image; if 3 of them are classes.* give num_classes=3"
    ):
        hub.convert({"netG": usual, "netD": classifier}, "pytorch_GAN_zoo-PGAN")
    plain = peer.BrockGenerator(32, 4, 12, 5, 6, "hier").state_dict()
    without = {name: tensor for name, tensor in plain.items() if not name.endswith("u0")}
    with pytest.raises(ReleaseError, match=r"has no spectral norm"):
        hub.convert(without, "BigGAN-PyTorch")


class BaseConfig:
    """A class with the name of one in files of pytorch_GAN_zoo."""


@pytest.mark.parametrize(
    ("fact", "value", "kind"),
    [
        *(("images_seen", value, "a whole number from 0") for value in ("many", True, 1.5, -1, float("inf"))),
        *(("truncation", value, "a finite number") for value in ([1], False, float("nan"))),
        ("num_classes", "ten", "a whole number from 0"),
        ("before_july_2019", 1, "true or false"),
    ],
)
def test_facts_are_numbers(fact: str, value: Any, kind: str) -> None:
    with pytest.raises(ReleaseError, match=rf"{fact} is {kind}; got {re.escape(repr(value))}"):
        hub.convert({"main.0.weight": torch.zeros(2)}, "pytorch-tutorial-DCGAN", **{fact: value})


@pytest.mark.parametrize("content", [b"\x80\x02a.", b"hello, I am a text", b""])
def test_files_that_are_none_are_refused_without_a_traceback(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(ReleaseError, match=r"file.pth is (damaged, or no file of torch.save|refused)"):
        read_file(tmp_path / "file.pth")


def test_files_are_read_without_running_code(tmp_path: Path) -> None:
    state = {"main.0.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "plain.pth")
    assert torch.equal(read_file(tmp_path / "plain.pth")["main.0.weight"], state["main.0.weight"])
    BaseConfig.__module__, BaseConfig.__qualname__ = "models.utils.config", "BaseConfig"
    import sys
    from types import ModuleType

    names = ("models", "models.utils", "models.utils.config")
    try:
        for name in names:
            sys.modules[name] = ModuleType(name)
        sys.modules[names[-1]].BaseConfig = BaseConfig  # type: ignore[attr-defined]
        config = BaseConfig()
        config.alpha = 0.0  # type: ignore[attr-defined]
        torch.save({"netG": state, "config": config}, tmp_path / "gan_zoo.pth")
    finally:
        for name in names:
            del sys.modules[name]
    read = read_file(tmp_path / "gan_zoo.pth")
    assert type(read["config"]).__name__ == "_ConfigOfGanZoo"
    assert vars(read["config"]) == {"alpha": 0.0}

    class Runs:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"netG": Runs()}, tmp_path / "hostile.pth")
    with pytest.raises(UserError, match=r"hostile.pth is refused: it holds Python objects"):
        read_file(tmp_path / "hostile.pth")
    assert not (tmp_path / "touched").exists()
    with pytest.raises(UserError, match=r"there is no file"):
        read_file(tmp_path / "none.pth")
