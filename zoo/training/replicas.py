"""Several processes that train one model: copies that start equal and move by the mean of their gradients.

Lightning's `ddp` wraps the whole module in `DistributedDataParallel`, whose reducer takes every backward pass for the
training of every parameter: a frozen player, a second derivative in a gradient penalty, one micro-batch of several or
the unused blocks of a growing network each break it or make it reduce too often. Here nothing is wrapped. Weights and
buffers are copied from the first process once; after that the two-player loop asks for one mean, of one player's
gradients, where these are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn


class Replicas(DDPStrategy):
    """One process for each device, each with the whole model and its own share of every batch.

    Use it as `Trainer(devices=2, strategy=zoo.Replicas())`; `zoo.fit` does. Buffers that batch norm gathers are each
    process's own; checkpoints and pictures hold those of the first.

    Args:
        start_method: of the other processes: `popen` runs the same command again, `spawn` and `fork` start from here.
        process_group_backend: of torch.distributed; by default nccl on GPUs and gloo on CPUs.
        timeout: after which a process that waits in vain for another gives up.
    """

    def __init__(
        self,
        start_method: Literal["popen", "spawn", "fork", "forkserver"] = "popen",
        process_group_backend: str | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        waits: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        super().__init__(start_method=start_method, process_group_backend=process_group_backend, **waits)
        self._hosts: Any = None

    def setup_distributed(self) -> None:
        """Join the other processes, once on the devices' network and once among the hosts."""
        super().setup_distributed()
        self._hosts = dist.new_group(backend="gloo")

    def configure_ddp(self) -> None:
        """Start from the first process's weights, where Lightning would wrap the module."""
        assert self.model is not None
        copy_from_first([*self.model.parameters(), *self.model.buffers()])

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers. Hosts talk past their devices, so none waits for its own."""
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MAX, group=self._hosts)
        return int(value)


@torch.no_grad()
def copy_from_first(tensors: Sequence[Tensor]) -> None:
    """Give tensors of all processes the values they have in the first one; one broadcast for each dtype."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        alike = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in alike])
        dist.broadcast(flat, src=0)
        for tensor, part in zip(alike, torch.split(flat, [tensor.numel() for tensor in alike])):
            tensor.copy_(part.view(tensor.shape))


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes, with one all-reduce.

    A parameter that has a gradient in no process keeps none, so that its optimizer leaves it alone; one that has a
    gradient in some processes counts as zero in the others.
    """
    present = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.float32)
    gradients = [w.new_zeros(w.numel()) if w.grad is None else w.grad.reshape(-1) for w in parameters]
    flat = torch.cat([present.to(parameters[0].device, non_blocking=True), *gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    counts, *means = torch.split(flat, [len(parameters), *(parameter.numel() for parameter in parameters)])
    # The device is asked only where a gradient is missing here; where all are there, nothing has to be known.
    elsewhere = [True] * len(parameters) if bool(present.all()) else counts.gt(0).tolist()
    for parameter, mean, anywhere in zip(parameters, means, elsewhere):
        if parameter.grad is not None:
            parameter.grad.copy_(mean.view(parameter.shape))
        elif anywhere:
            parameter.grad = torch.empty_like(parameter).copy_(mean.view(parameter.shape))
