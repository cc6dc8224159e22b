"""Tests of releases: a loaded model equals the saved one bit for bit, and faults are refused with a reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.helpers.training import equal, tiny_biggan, tiny_dcgan, tiny_mlp, train, weights
from zoo import hub
from zoo.errors import ReleaseError
from zoo.releases import release_format


class Odd(zoo.DCGAN):
    """A class that a user wrote, with a setting, a buffer that is not saved, and a third network."""

    def __init__(self, shift: float = 0.25, pair: tuple[int, int] = (1, 2), **dcgan: Any) -> None:
        super().__init__(**dcgan)
        self.shift, self.pair = shift, pair
        self.encoder = torch.nn.Linear(3, 2)
        self.register_buffer("constant", torch.full((1,), 0.5), persistent=False)
        self.save_hyperparameters(logger=False)

    def score(self, batch: zoo.Batch) -> torch.Tensor:
        return super().score(batch) + self.shift * self.constant + self.encoder.weight.sum()


def odd() -> Odd:
    torch.manual_seed(1)
    return Odd(shift=0.5, pair=(3, 4), resolution=16, channels=1, latent_dim=5, width=4)


class Shifted(zoo.DCGAN):
    """A class that a user wrote, which can be the base of a mixture."""

    def __init__(self, shift: float = 0.25, **dcgan: Any) -> None:
        super().__init__(**dcgan)
        self.shift = shift
        self.save_hyperparameters(logger=False)

    def score(self, batch: zoo.Batch) -> torch.Tensor:
        return super().score(batch) + self.shift


class Free(zoo.DCGAN):
    """A class that a user wrote, whose constructor reads values and ties weights, which the meta device cannot do."""

    def __init__(self, rate: float = 0.5, **dcgan: Any) -> None:
        super().__init__(**dcgan)
        self.rates = [x.item() for x in torch.linspace(0, rate, 3)]
        self.prior = torch.distributions.Normal(0.0, rate)
        self.shifts = [torch.zeros(1), torch.ones(1)]
        self.one, self.two = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
        self.two.weight = self.one.weight
        self.save_hyperparameters(logger=False)

    def score(self, batch: zoo.Batch) -> torch.Tensor:
        return super().score(batch) + self.shifts[1] * self.rates[2] + self.two.weight.sum()


def free() -> Free:
    torch.manual_seed(2)
    return Free(resolution=16, channels=1, latent_dim=5, width=4)


def progan() -> zoo.ProGAN:
    torch.manual_seed(0)
    model = zoo.ProGAN(resolution=16, channels=1, latent_dim=6, width=8, width_base=64, hold_images=100, fade_images=50)
    model.set_clock(330, rounds=19, images_undone=200)  # in the middle of a fade, after a rollback
    return model


SHIFTED = f"{__name__}.Shifted"
MODELS = {
    "vanilla": tiny_mlp,
    "dcgan": tiny_dcgan,
    "dcgan 5x5, conditional": lambda: tiny_dcgan(kernel_size=5, num_classes=3),
    "wgan_gp": lambda: zoo.WGANGP(resolution=32, width=4, latent_dim=6),
    "progan": progan,
    "biggan": tiny_biggan,
    "biggan_deep": lambda: tiny_biggan(zoo.BigGANDeep),
    "r3gan": lambda: zoo.R3GAN(resolution=16, latent_dim=6, width=8, num_classes=3),
    "mix": lambda: zoo.MixGAN({"class": "DCGAN", "resolution": 16, "width": 4, "num_classes": 3}, components=2),
    "own": odd,
    "own, built freely": free,
    "mix of own": lambda: zoo.MixGAN({"class": SHIFTED, "resolution": 16, "width": 4}, components=2),
}
OWN = {"own": Odd, "own, built freely": Free, "mix of own": Shifted}


def answers(model: zoo.GAN) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples, and the discriminator's scores of fixed images."""
    images = model.sample(5, seed=3)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(images.shape, generator=generator) * 2 - 1
    labels = torch.arange(5) % model.num_classes if model.num_classes else None
    with torch.no_grad():
        return images, model.score(zoo.Batch(noise, labels))


def scrambled(model: zoo.GAN) -> zoo.GAN:
    """Change a model as training does: average and live generator differ, and batch norms have statistics."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand_like(tensor))
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
def test_samples_and_scores_come_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    model = scrambled(MODELS[name]())
    expected = answers(model)
    before = torch.random.get_rng_state()
    model.save_pretrained(tmp_path / "it")
    loaded = zoo.from_pretrained(tmp_path / "it", cls=OWN.get(name))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert type(loaded) is type(model)
    assert loaded.clock_state() == model.clock_state()
    assert loaded.device == torch.device("cpu")
    for mine, theirs in zip(expected, answers(loaded)):
        assert torch.equal(mine, theirs)
    assert equal(weights(loaded.average), weights(model.average))
    assert equal(weights(loaded.generator), weights(model.average))
    assert release_format.arguments_of(loaded) == release_format.arguments_of(model)
    assert not any(module.training for module in loaded.modules())


def test_a_loaded_model_trains_on(tmp_path: Path) -> None:
    tiny_dcgan().save_pretrained(tmp_path / "it")
    model = zoo.from_pretrained(tmp_path / "it")
    before = weights(model)
    train(model.train(), 2, tmp_path)
    assert not equal(before, weights(model))
    assert all(p.requires_grad for p in model.generator.parameters())
    assert not any(p.requires_grad for p in model.average.parameters())


def test_strides_are_those_of_a_model_that_was_built(tmp_path: Path) -> None:
    model = tiny_biggan()
    model.save_pretrained(tmp_path / "it")
    loaded = dict(zoo.from_pretrained(tmp_path / "it").named_parameters())
    assert {k: v.stride() for k, v in loaded.items()} == {k: v.stride() for k, v in model.named_parameters()}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_smaller_file_gives_the_rounded_model(dtype: str, tmp_path: Path) -> None:
    model = scrambled(tiny_dcgan())
    folder = model.save_pretrained(tmp_path / "half", dtype=dtype)
    full = model.save_pretrained(tmp_path / "full")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.to(getattr(torch, dtype)))
    loaded = zoo.from_pretrained(folder)
    assert loaded.dtype == torch.float32
    for mine, theirs in zip(answers(model), answers(loaded)):
        assert torch.equal(mine, theirs)
    sizes = [(release / "model.safetensors").stat().st_size for release in (folder, full)]
    assert sizes[0] < 0.65 * sizes[1]
    assert f"stored as {dtype}" in (folder / "README.md").read_text()


def test_values_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    model = tiny_dcgan()
    with torch.no_grad():
        model.discriminator.readout.weight.fill_(1e5)
    with pytest.raises(
        ReleaseError, match=r"discriminator.readout.weight .* not finite in float16. Use dtype=bfloat16"
    ):
        model.save_pretrained(tmp_path / "it", dtype="float16")
    with pytest.raises(ReleaseError, match=r"one of float32, float16, bfloat16; got 'int8'"):
        model.save_pretrained(tmp_path / "it", dtype="int8")
    assert list(tmp_path.iterdir()) == []


def test_a_user_s_own_class_is_handed_over_or_refused(tmp_path: Path) -> None:
    odd().save_pretrained(tmp_path / "it")
    with pytest.raises(ReleaseError, match=r"holds a tests.releases.test_release.Odd, .* never chooses .* cls=Odd"):
        zoo.from_pretrained(tmp_path / "it")
    with pytest.raises(ReleaseError, match=r"holds a tests.releases.test_release.Odd, but cls is DCGAN"):
        zoo.from_pretrained(tmp_path / "it", cls=zoo.DCGAN)
    with pytest.raises(ReleaseError, match=r"must be a class that extends zoo.GAN"):
        zoo.from_pretrained(tmp_path / "it", cls=dict)  # type: ignore[arg-type]
    loaded = zoo.from_pretrained(tmp_path / "it", cls=(Odd,))
    assert isinstance(loaded, Odd)
    assert (loaded.shift, loaded.pair) == (0.5, (3, 4))


def test_the_base_of_a_mixture_is_handed_over_or_refused(tmp_path: Path) -> None:
    zoo.MixGAN({"class": SHIFTED, "resolution": 16, "width": 4}).save_pretrained(tmp_path / "it")
    with pytest.raises(ReleaseError, match=rf"{SHIFTED} is refused: .* handed over with cls=Shifted"):
        zoo.from_pretrained(tmp_path / "it")
    with pytest.raises(ReleaseError, match=r"holds a MixGAN, but cls is Free"):
        zoo.from_pretrained(tmp_path / "it", cls=Free)


def test_a_model_with_a_negative_seed_is_released(tmp_path: Path) -> None:
    tiny_dcgan(seed=-1).save_pretrained(tmp_path / "release")
    assert zoo.from_pretrained(tmp_path / "release").seed == -1


def test_the_base_of_a_mixture_may_be_named_with_its_package(tmp_path: Path) -> None:
    mixture = zoo.MixGAN({"class": "zoo.DCGAN", "resolution": 16, "channels": 1, "width": 4}, components=2)
    mixture.save_pretrained(tmp_path / "release")
    assert equal(weights(zoo.from_pretrained(tmp_path / "release")), weights(mixture))


def test_weights_that_a_user_tied_stay_tied(tmp_path: Path) -> None:
    free().save_pretrained(tmp_path / "it")
    loaded = zoo.from_pretrained(tmp_path / "it", cls=Free)
    assert isinstance(loaded, Free)
    assert loaded.two.weight is loaded.one.weight


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ReleaseError, match=r"holds something that is no release"):
        tiny_mlp().save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_release_is_overwritten_as_a_whole(tmp_path: Path) -> None:
    tiny_dcgan().save_pretrained(tmp_path / "it")
    model = tiny_mlp()
    model.save_pretrained(tmp_path / "it")
    assert type(zoo.from_pretrained(tmp_path / "it")) is zoo.VanillaGAN
    assert hub.verify(tmp_path / "it")
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_the_file_alone_is_enough(tmp_path: Path) -> None:
    model = scrambled(tiny_dcgan())
    model.save_pretrained(tmp_path / "it")
    shutil.copy(tmp_path / "it/model.safetensors", tmp_path / "alone.safetensors")
    loaded = zoo.from_pretrained(str(tmp_path / "alone.safetensors"))
    assert torch.equal(loaded.sample(3, seed=0), model.sample(3, seed=0))


FRESH = """
import sys, time
import zoo
load, known = zoo.from_pretrained, zoo.BigGAN  # modules are imported when a public name is first used
began = time.monotonic()
model = load(sys.argv[1])
seconds = time.monotonic() - began
from zoo.sampling.grids import draw
import json, pathlib
grid = json.loads((pathlib.Path(sys.argv[1]) / "config.json").read_text())["grid"]
draw(model, grid["rows"], grid["columns"], grid["seed"]).save(sys.argv[2])
print(seconds)
"""


def test_a_fresh_process_without_data_network_and_run_draws_the_card_s_grid(tmp_path: Path) -> None:
    tiny_biggan().save_pretrained(tmp_path / "it")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-c", FRESH, str(tmp_path / "it"), str(tmp_path / "again.png")]
        if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0
        else [sys.executable, "-c", FRESH, str(tmp_path / "it"), str(tmp_path / "again.png")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={
            "PYTHONPATH": str(Path(zoo.__file__).parent.parent),
            "OMP_NUM_THREADS": "1",
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "ZOO_CACHE": str(tmp_path / "empty"),
        },
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 2
    assert not (tmp_path / "empty").exists()
    pictures = [np.asarray(Image.open(path)) for path in (tmp_path / "it/grid.png", tmp_path / "again.png")]
    assert np.array_equal(*pictures)


def test_verifying_finds_what_was_changed(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    assert len(hub.verify(folder)) == 4

    def changed(name: str, text: str) -> None:
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(text.encode())
        try:
            hub.verify(folder)
        finally:
            path.write_bytes(before)

    with pytest.raises(ReleaseError, match=r"damaged or was changed"):
        changed("grid.png", "no picture")
    card = (folder / "README.md").read_text()
    with pytest.raises(ReleaseError, match=r"the first line that differs: Better than all"):
        changed("README.md", card.replace("None were measured.", "Better than all."))
    config = json.loads((folder / "config.json").read_text())
    config["grid"]["seed"] = 1
    with pytest.raises(ReleaseError, match=r"card|pixels differ"):
        changed("config.json", json.dumps(config))
    (folder / "optimizer.pt").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"holds optimizer.pt, a pickle"):
        hub.verify(folder)
