"""A program for `test_replicas.py`: trains small models on as many processes as it is told, which Lightning starts.

    python -m tests.helpers.two_replicas FOLDER PROCESSES

Every process leaves FOLDER/MODEL-RANK.pt: what it was shown, what it drew, and the weights it ended with.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn

import zoo
from tests.helpers.training import TINY_MLP, tiny_mlp, train
from zoo.training.objectives import Wasserstein
from zoo.training.penalties import Scores, input_gradient
from zoo.training.replicas import Replicas, average_gradients
from zoo.training.seeding import derive_seed

JOINED = 8
ROUNDS = 3


class Comparable(zoo.GAN):
    """Draws by the position in the joined batch, so that two processes together draw what one draws alone."""

    draws = 0

    def joined(self, n: int, *shape: int) -> Tensor:
        """This process's n rows of a draw for all processes."""
        self.draws += 1
        generator = torch.Generator().manual_seed(derive_seed("test", self.draws))
        return torch.rand(n * self.trainer.world_size, *shape, generator=generator)[self.global_rank * n :][:n]

    def sample_latent(self, n: int) -> Tensor:
        """Latents (n, Z)."""
        return self.joined(n, self.latent_dim) * 2 - 1


class Vanilla(Comparable, zoo.VanillaGAN):
    """Without dropout: no layer draws or couples anything."""


class Penalised(Comparable, zoo.WGANGP):
    """The penalty's points are drawn by position, too."""

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> dict[str, Tensor]:
        """As the paper has it."""
        self.objective = FixedPositions(self)
        return super().discriminator_loss(real, fake)


class Rising(Comparable, zoo.R3GAN):
    """All its schedules move within three rounds."""


class FixedPositions(Wasserstein):
    """Takes the points between real and generated images from the model."""

    def __init__(self, model: Comparable) -> None:
        super().__init__()
        self.model = model

    def gradient_penalty(self, scores: Scores, real: zoo.Batch, fake: zoo.Batch) -> Tensor:
        """The two-sided penalty."""
        where = self.model.joined(len(real), 1, 1, 1)
        between = zoo.Batch(real.images + where * (fake.images.detach() - real.images))
        return 10 * (input_gradient(scores, between).flatten(1).norm(dim=1) - 1).square().mean()


class Row(LightningDataModule):
    """The k-th batch of all processes together is the same for any number of them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.shown: list[Tensor] = []

    def train_dataloader(self) -> Any:
        """An endless row of noise."""
        return self

    def __iter__(self) -> Iterator[zoo.Batch]:
        assert self.trainer is not None
        generator = torch.Generator().manual_seed(1)
        while True:
            images = torch.rand(JOINED, *self.shape, generator=generator) * 2 - 1
            self.shown.append(images.chunk(self.trainer.world_size)[self.trainer.global_rank])
            yield zoo.Batch(self.shown[-1])


class Drawing(zoo.VanillaGAN):
    """Remembers its latents."""

    def sample_latent(self, n: int) -> Tensor:
        """As ever."""
        self.drawn = super().sample_latent(n)
        return self.drawn


class Divided(Vanilla):
    """Adapts its augmentation; the first process calls all images real, the others none."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(augment="adaptive", ada_speed=100, ada_target=-0.5, **settings)
        assert self.augmentation.adaptive is not None
        self.augmentation.adaptive.interval = 2

    def score(self, batch: zoo.Batch) -> Tensor:
        """All alike, with the gradient that the scores have."""
        scores = super().score(batch)
        return scores - scores.detach() + (1.0 if self.global_rank == 0 else -1.0)


class Broken(Vanilla):
    """Its loss is not a number, in one process only."""

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> dict[str, Tensor]:
        """Not finite in the last process."""
        last = self.global_rank == self.trainer.world_size - 1
        return {"adversarial": super().discriminator_loss(real, fake)["adversarial"] * (torch.nan if last else 1)}


def gradients(rank: int) -> list[Tensor | None]:
    """What becomes of gradients in both processes, in the last only, and in none."""
    weights = [nn.Parameter(torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last)) for _ in range(3)]
    values = torch.arange(96.0).view(2, 3, 4, 4) * (rank + 1)
    weights[0].grad = values.to(memory_format=torch.channels_last)
    if rank:
        weights[1].grad = values.clone()
    average_gradients(weights)
    return [weight.grad for weight in weights]


def models(rank: int) -> dict[str, zoo.GAN]:
    """Small models; their weights differ between the processes until training begins."""
    torch.manual_seed(rank)
    wgan = Penalised(
        16, 1, 5, width=4, architecture="convolutional", batch_norm=False, dequantise=False, critic_steps=1
    )
    return {
        "vanilla": Vanilla(**TINY_MLP),
        "micro": Vanilla(**TINY_MLP, micro_batches=2, clip_norm=0.01),
        "penalised": wgan,
        "mixture": zoo.MixGAN(
            {"class": "tests.helpers.two_replicas.Vanilla", **TINY_MLP}, 2, payoff="full", weight_lr=0.1
        ),
        "r3gan": Rising(8, 1, 4, width=8, blocks=1, average_halflife=60, decay_images=32),
        "drawing": Drawing(**TINY_MLP),
        "divided": Divided(**TINY_MLP),
        "progan": zoo.ProGAN(8, 1, 4, width=4, width_base=16, hold_images=8, fade_images=8),  # in mid-fade at the end
        "biggan": zoo.BigGAN(16, 1, 12, width=2, num_classes=0, shared_dim=0, attention=8, critic_steps=1),
    }


def main(folder: Path, processes: int) -> None:
    """Train each model and leave what came of it."""
    refused = ""
    if processes > 1:
        try:
            train(tiny_mlp(), 1, folder, devices=processes, strategy="ddp")
        except ValueError as error:
            refused = str(error)
    rank = int(os.environ.get("LOCAL_RANK", 0))
    for name, model in models(rank).items():
        data = Row((model.channels, model.resolution, model.resolution))
        how: dict[str, Any] = {"devices": processes, "strategy": Replicas()} if processes > 1 else {}
        train(model, ROUNDS, folder, data, log_every_n_steps=1, **how)
        state = {
            "weights": dict(model.state_dict()),
            "shown": torch.stack(data.shown[:ROUNDS]),
            "drawn": getattr(model, "drawn", None),
            "seen": model.images_seen,
            "terms": model.last_terms,
            "strength": model.augment_strength,
            "refused": refused,
        }
        if model.augmentation.adaptive is not None:
            state["adaptive"] = model.augmentation.adaptive.state(model.trainer.strategy.reduce)
        torch.save(state, folder / f"{name}-{model.global_rank}.pt")
    if processes > 1:
        run = zoo.fit(
            "dcgan_digits",
            out=folder / f"run{rank}",
            images=128,
            model={"width": 4},
            trainer={"accelerator": "cpu", "devices": processes},
        )
        folders = str(run.folder), run.model.trainer.default_root_dir
        torch.save({"folders": folders, "seen": run.model.images_seen}, folder / f"fit-{rank}.pt")
        try:
            train(Broken(**TINY_MLP), 2, folder, log_every_n_steps=1, devices=processes, strategy=Replicas())
        except zoo.NonFiniteLossError as error:
            torch.save({"raised": str(error), "gradients": gradients(rank)}, folder / f"broken-{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
