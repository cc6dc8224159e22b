"""Tiny models, a loader of noise, and training for a few rounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

import zoo
from zoo.alarms.healthy import roll_back
from zoo.io.checkpoints import read_checkpoint

SMALL_RUN: dict[str, Any] = {
    "images": 128,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu"},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None},
}
"""Overrides that make a run of `dcgan_digits` or `wgan_gp_digits` last a second."""
TINY_MLP: dict[str, Any] = {
    "resolution": 4,
    "channels": 1,
    "latent_dim": 3,
    "layers": 1,
    "width": 8,
    "discriminator_layers": 1,
    "discriminator_width": 6,
    "pieces": 2,
    "dropout": 0.0,
}
"""Settings of a `VanillaGAN` of about a thousand weights, without dropout and layers that couple a batch."""
TINY_DCGAN: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
TINY_BIGGAN: dict[str, Any] = {
    "resolution": 16,
    "channels": 1,
    "latent_dim": 9,
    "width": 4,
    "num_classes": 3,
    "shared_dim": 5,
    "attention": 8,
}
"""Settings of a conditional `BigGAN` or `BigGANDeep` with attention."""


class Noise:
    """Endless loader of random images, the same in every iteration."""

    def __init__(self, shape: tuple[int, ...], batch_size: int = 8, classes: int = 0, seed: int = 0) -> None:
        self.shape, self.batch_size, self.classes, self.seed = shape, batch_size, classes, seed

    def __iter__(self) -> Iterator[zoo.Batch]:
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            images = torch.rand(self.batch_size, *self.shape, generator=generator) * 2 - 1
            labels = torch.randint(self.classes, (self.batch_size,), generator=generator) if self.classes else None
            yield zoo.Batch(images, labels)


def train(model: zoo.GAN, rounds: int, folder: Path, loader: Any = None, **trainer: Any) -> Trainer:
    """Train for a number of rounds with a plain Lightning Trainer."""
    shape = (model.channels, model.resolution, model.resolution)
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "max_epochs": 1,
        "limit_train_batches": rounds,
        "default_root_dir": folder,
    }
    done = Trainer(**{**settings, **trainer})
    done.fit(model, loader or Noise(shape, classes=model.num_classes))
    return done


def tiny_mlp(**settings: Any) -> zoo.VanillaGAN:
    """Return a model of about a thousand weights, without dropout and layers that couple a batch."""
    torch.manual_seed(0)
    return zoo.VanillaGAN(**{**TINY_MLP, **settings})


def tiny_dcgan(**settings: Any) -> zoo.DCGAN:
    """Return a convolutional model with batch norm."""
    torch.manual_seed(0)
    return zoo.DCGAN(**{**TINY_DCGAN, **settings})


def tiny_biggan(cls: type[zoo.GAN] = zoo.BigGAN, **settings: Any) -> Any:
    """Return a conditional BigGAN or BigGANDeep with spectral norm, conditional batch norm and attention."""
    torch.manual_seed(0)
    return cls(**{**TINY_BIGGAN, "critic_steps": 1, **settings})


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copy a module's state."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Return whether two states have the same bits."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def bits(path: Path) -> dict[str, Any]:
    """Return the parts of a checkpoint that determine how training continues."""
    state = read_checkpoint(path)
    return {"weights": state["state_dict"], "optimizers": state["optimizer_states"], "clock": state["zoo"]}


def identical(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b))
    return bool(a == b)


class Dies(Callback):
    """Callback that simulates a kill in the middle of a round."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_before_optimizer_step(self, trainer: Any, model: zoo.GAN, optimizer: Any) -> None:
        if model.rounds > self.after:
            raise RuntimeError("killed")


class RollsBack(Callback):
    """Callback that rolls back to a checkpoint after a round, as `Alarms` does."""

    def __init__(self, after: int, to: str) -> None:
        self.after, self.to = after, Path(to)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.rounds == self.after:
            roll_back(trainer, pl_module, self.to)


class Breaks(Callback):
    """Callback that makes the weights, the average or an optimizer of a model infinite after a number of rounds."""

    def __init__(self, what: str, after: int) -> None:
        self.what, self.after = what, after

    def on_train_batch_end(self, trainer: Any, model: Any, *_: Any) -> None:
        if model.rounds == self.after:
            moments = list(trainer.optimizers[0].state.values())
            target = {
                "weights": next(model.discriminator.parameters()),
                "average": next(model.average.parameters()),
                "optimizer": moments[0]["exp_avg_sq"],
            }[self.what]
            target.data.fill_(float("inf"))
