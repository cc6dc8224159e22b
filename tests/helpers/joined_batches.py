"""A program for `test_synchronised.py`: trains every variant on digits with `sync_batchnorm`, on one process or two.

    python -m tests.helpers.joined_batches FOLDER PROCESSES [ROUNDS=4]

Every process leaves FOLDER/NAME-RANK.pt. All that is random is drawn for the joined batch, of which each process takes
its rows; and computed in double precision, since Adam makes whole steps of the rounding errors of gradients that are 0.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning import Callback
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

import zoo
from tests.helpers.training import train
from zoo.data import Digits, digits
from zoo.layers.conditional_norm import UnconditionalBatchNorm
from zoo.layers.synchronised import joined_batches, mean_over_processes, synchronise
from zoo.training.replicas import Replicas

BATCH = 12
"""Images in a round of all processes together."""
DRAWS = (torch.rand, torch.randn, torch.randint, torch.rand_like, torch.randn_like)


class DrawnByPosition(TorchFunctionMode):
    """Draws for the joined batch, of which this process gets its rows.

    Args:
        rank: rank of this process.
        processes: number of processes.
        members: generators among which a batch is divided, each process's share as the joined one.
    """

    def __init__(self, rank: int, processes: int, members: int = 1) -> None:
        super().__init__()
        self.rank, self.processes, self.members, self.count = rank, processes, members, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace a draw; leave everything else."""
        kwargs = dict(kwargs or {})
        if func not in DRAWS or "generator" in kwargs:
            return func(*args, **kwargs)
        self.count += 1
        generator = torch.Generator().manual_seed(self.count)
        if func in (torch.rand_like, torch.randn_like):
            shape, func = tuple(args[0].shape), torch.rand if func is torch.rand_like else torch.randn
            kwargs, ends = {"dtype": args[0].dtype}, ()
        elif func is torch.randint:
            *ends, shape = args
        else:
            shape, ends = args if isinstance(args[0], int) else tuple(args[0]), ()
        own = BATCH // self.processes
        where = next((i for i, size in enumerate(shape) if size in (own, 2 * own)), None)
        if where is None:  # a draw for all
            return func(*ends, shape, generator=generator, **kwargs)
        joined = [size * self.processes if i == where else size for i, size in enumerate(shape)]
        drawn = func(*ends, joined, generator=generator, **kwargs).tensor_split(self.members, where)
        return torch.cat([part.tensor_split(self.processes, where)[self.rank] for part in drawn], where)


class Gradients(Callback):
    """Keeps the gradients of every player's first and latest step."""

    def __init__(self) -> None:
        self.first: dict[str, Tensor] = {}
        self.latest: dict[str, Tensor] = {}

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Copy them."""
        for name, weight in pl_module.named_parameters():
            if weight.grad is not None:
                self.latest[name] = weight.grad.clone()
                self.first.setdefault(name, self.latest[name])


IDEAS = ("lecam LeCamGAN", "top_k TopKGAN", "diffusion_gan DiffusionGAN", "reacgan ReACGAN", "fastgan FastGAN")
"""Examples with layers or losses that couple a batch: the file and the class."""


def idea(file: str, name: str) -> zoo.GAN:
    """A model of the gallery at its smallest."""
    further: dict[str, dict[str, Any]] = {
        "TopKGAN": {"decay": 0.7, "epoch": 2 * BATCH},
        "DiffusionGAN": {"speed": 1000},
        "ReACGAN": {"latent_dim": 9, "num_classes": 10, "attention": 0, "critic_steps": 1, "embedding_dim": 5},
    }
    settings = {**SMALL, "latent_dim": 5, **further.get(name, {})}
    model: zoo.GAN = getattr(import_module(f"examples.ideas.{file}"), name)(**settings)
    return model


SMALL: dict[str, Any] = {"resolution": 16, "channels": 1, "width": 4}
BIGGAN: dict[str, Any] = {**SMALL, "latent_dim": 9, "num_classes": 10, "shared_dim": 5, "attention": 8}
LONGER = {"progan with ada": 20}
"""Rounds of a variant that needs more, until its adaptive augmentation moves."""
ADA: dict[str, Any] = {"augment": "adaptive", "ada_speed": 200, "ada_target": -0.99}
VARIANTS: dict[str, Callable[[], zoo.GAN]] = {
    "dcgan": lambda: zoo.DCGAN(**SMALL, latent_dim=5, num_classes=10, generator_steps=2),
    "dcgan with penalties": lambda: zoo.DCGAN(**SMALL, latent_dim=5, r1=1.0, r2=0.5),
    "dcgan with ada": lambda: zoo.DCGAN(**SMALL, latent_dim=5, **ADA),
    "dcgan of packs": lambda: zoo.DCGAN(**SMALL, latent_dim=5, packing=2, kernel_size=5),
    "vanilla": lambda: zoo.VanillaGAN(16, 1, 5, layers=2, width=8, batch_norm=True, dropout=0.0),
    "wgan_gp": lambda: zoo.WGANGP(**SMALL, latent_dim=5, num_classes=10, critic_steps=2),
    "wgan_gp convolutional": lambda: zoo.WGANGP(**SMALL, latent_dim=5, architecture="convolutional", critic_steps=2),
    "wgan_gp with ada": lambda: zoo.WGANGP(**SMALL, latent_dim=5, critic_steps=2, **ADA),
    "progan": lambda: zoo.ProGAN(16, 1, 6, width=4, width_base=16, hold_images=48, fade_images=48),
    "progan with ada": lambda: zoo.ProGAN(16, 1, 6, width=4, width_base=16, initial_resolution=16, **ADA),
    "biggan": lambda: zoo.BigGAN(**BIGGAN, critic_steps=2),
    "biggan_deep": lambda: zoo.BigGANDeep(**BIGGAN, critic_steps=1),
    "r3gan": lambda: zoo.R3GAN(16, 1, 4, width=8, blocks=1, num_classes=10),
    "r3gan with ada": lambda: zoo.R3GAN(16, 1, 4, width=8, blocks=1, **ADA),
    "mix": lambda: zoo.MixGAN({"class": "DCGAN", **SMALL, "latent_dim": 5}, 2, payoff="full", weight_lr=0.1),
    "mix of progans": lambda: zoo.MixGAN(
        {"class": "ProGAN", "resolution": 8, "channels": 1, "latent_dim": 6, "width": 4, "width_base": 16},
        2,
        payoff="full",
    ),
    **{name: partial(idea, *name.split()) for name in IDEAS},
    "mix of shares": lambda: zoo.MixGAN({"class": "DCGAN", **SMALL, "latent_dim": 5}, 2, weight_lr=0.0),
}

IN_SINGLE_PRECISION = ("dcgan", "dcgan with penalties", "wgan_gp", "progan", "biggan")


def trained(name: str, rounds: int, folder: Path, rank: int, processes: int) -> dict[str, Any]:
    """What becomes of a variant."""
    torch.manual_seed(0)
    model = VARIANTS[name]()
    data = Digits(resolution=model.resolution, channels=1, batch_size=BATCH // processes)
    gradients = Gradients()
    how: dict[str, Any] = {"devices": processes, "strategy": Replicas()} if processes > 1 else {"devices": 1}
    how |= {"sync_batchnorm": True, "callbacks": [gradients], "log_every_n_steps": rounds}
    with DrawnByPosition(rank, processes, members=2 if name == "mix of shares" else 1):
        train(model, rounds, folder, data, use_distributed_sampler=False, **how)
    state: dict[str, Any] = {"weights": dict(model.state_dict()), "terms": model.last_terms}
    if name in ("dcgan", "biggan"):
        with zoo.standing_statistics(model, passes=2):
            state["standing"] = {key: each.clone() for key, each in model.average.named_buffers()}
    state |= {"first": gradients.first, "latest": gradients.latest, "strength": model.augment_strength}
    return state


def norms(rank: int, processes: int) -> dict[str, Tensor]:
    """Outputs, statistics and derivatives of batch norms, of this process's rows; process 0 has more than process 1."""
    found: dict[str, Tensor] = {}
    kinds: dict[str, tuple[_BatchNorm, tuple[int, ...]]] = {
        "1d": (nn.BatchNorm1d(3), (8, 3)),
        "1d of sequences": (nn.BatchNorm1d(3), (8, 3, 2)),
        "2d": (nn.BatchNorm2d(3, momentum=None), (8, 3, 2, 2)),
        "without gain": (nn.BatchNorm2d(3, affine=False), (8, 3, 2, 2)),
        "without statistics": (nn.BatchNorm2d(3, track_running_stats=False), (8, 3, 2, 2)),
        "of a class": (UnconditionalBatchNorm(3), (8, 3, 2, 2)),
    }
    for name, (norm, shape) in kinds.items():
        torch.manual_seed(1)
        joined, outer = torch.randn(shape) * 3 + 100, torch.randn(shape)
        if norm.weight is not None:
            nn.init.normal_(norm.weight)
        rows = slice(None) if processes == 1 else (slice(0, 5), slice(5, 8))[rank]
        x, weights = joined[rows].clone().requires_grad_(), outer[rows].clone().requires_grad_()
        if processes > 1:
            synchronise(norm)
        with joined_batches(processes > 1):
            y = norm(norm(x) * 2 + 1)
        (first,) = torch.autograd.grad((y.square() * weights).sum(), x, create_graph=True)
        (plain,) = torch.autograd.grad((y.square() * weights).sum(), x, retain_graph=True)
        by = [x, weights, *norm.parameters()]
        second = torch.autograd.grad(first.square().sum() + first.pow(3).sum(), by)
        found |= {f"{name}: y": y.detach(), f"{name}: first": first.detach(), f"{name}: plain": plain}
        found |= {f"{name}: second {i}": each for i, each in enumerate(second)}
        found |= {f"{name}: {key}": buffer for key, buffer in norm.named_buffers()}
    return found


def main(folder: Path, processes: int, rounds_each: int = 4) -> None:
    """Train every variant and leave what came of it."""
    torch.set_num_threads(1)
    digits.load_digits = functools.cache(digits.load_digits)  # decoding takes longer than most variants train
    rank = int(os.environ.get("LOCAL_RANK", 0))
    for dtype, rounds, names in ((torch.float64, rounds_each, VARIANTS), (torch.float32, 1, IN_SINGLE_PRECISION)):
        torch.set_default_dtype(dtype)
        for name in names:
            state = trained(name, max(rounds, LONGER.get(name, 0)) if rounds > 1 else 1, folder, rank, processes)
            torch.save(state, folder / f"{name} {str(dtype).removeprefix('torch.')}-{rank}.pt")
    torch.set_default_dtype(torch.float64)
    torch.save(norms(rank, processes), folder / f"norms-{rank}.pt")
    if processes > 1:
        with joined_batches():
            mean = mean_over_processes(torch.tensor(float(rank)))
        torch.save({"mean": mean, "alone": mean_over_processes(torch.tensor(float(rank)))}, folder / f"mean-{rank}.pt")
        dist.barrier()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
