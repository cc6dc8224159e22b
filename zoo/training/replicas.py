"""Data-parallel training of two players: replicas that start equal and step by the mean of their gradients.

Lightning's `ddp` wraps the module in `DistributedDataParallel`, whose reducer expects every backward pass to train all
parameters. A frozen player, a second derivative in a gradient penalty, one micro-batch of several, or the unused blocks
of a growing network each break it or make it reduce too often. Here no module is wrapped. Weights and buffers are
copied from rank 0 once; then the two-player loop averages one player's gradients when they are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal

import torch
import torch.distributed as dist
from pytorch_lightning import Trainer
from pytorch_lightning.plugins.layer_sync import LayerSync, TorchSyncBatchNorm
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn

from zoo.layers.synchronised import desynchronise, joined_batches, synchronise
from zoo.training.roll_call import RollCall, delay_observer


class JoinedLayers(LayerSync):
    """Lightning's `sync_batchnorm` for two players: batches joined over processes, see `zoo.layers.synchronised`."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Make all batch norms of a model synchronised ones."""
        return synchronise(model)

    def revert(self, model: nn.Module) -> nn.Module:
        """Make them plain ones again."""
        return desynchronise(model)


class Replicas(DDPStrategy):
    """One process for each device, each with the whole model and its own share of every batch.

    Use it as `Trainer(devices=2, strategy=zoo.Replicas())`; `zoo.fit` does. With `Trainer(sync_batchnorm=True)` layers
    that couple the images of a batch couple those of all processes, and all have the same running statistics. Without,
    each process has statistics of its own share; checkpoints and pictures use those of rank 0.

    Args:
        start_method: how the other processes are started: `popen` runs the same command again, `spawn` and `fork`
            start them from this process.
        process_group_backend: backend of torch.distributed; by default nccl on GPUs and gloo on CPUs.
        timeout: time after which a process stops waiting for another.
    """

    def __init__(
        self,
        start_method: Literal["popen", "spawn", "fork", "forkserver"] = "popen",
        process_group_backend: str | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        super().__init__(start_method=start_method, process_group_backend=process_group_backend, **options)
        self._host_group: Any = None
        self.roll_call: RollCall | None = None

    def setup_distributed(self) -> None:
        """Join the process group of the devices and a second one of the CPUs."""
        super().setup_distributed()
        self._host_group = dist.new_group(backend="gloo")
        self.roll_call = RollCall(self.global_rank, self.num_nodes * self.num_processes, self._host_group)
        delay_observer()

    def setup(self, trainer: Trainer) -> None:
        """Set up the model, with joined layers where Lightning would choose SyncBatchNorm, which needs GPUs."""
        if isinstance(self._layer_sync, TorchSyncBatchNorm):
            self._layer_sync = JoinedLayers()
        super().setup(trainer)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Play a round, on the joined batch of all processes if so set."""
        with joined_batches(isinstance(self._layer_sync, JoinedLayers)):
            return super().training_step(*args, **kwargs)

    def configure_ddp(self) -> None:
        """Copy weights and buffers from rank 0, where Lightning would wrap the module."""
        assert self.model is not None
        copy_from_first([*self.model.parameters(), *self.model.buffers()])

    def largest(self, number: int) -> int:
        """Return the largest number of all processes, reduced over gloo on the CPU, so that no GPU is synchronised."""
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MAX, group=self._host_group)
        return int(value)


@torch.no_grad()
def copy_from_first(tensors: Sequence[Tensor]) -> None:
    """Set tensors of all processes to the values they have on rank 0; one broadcast for each dtype."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same_dtype = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in same_dtype])
        dist.broadcast(flat, src=0)
        for tensor, part in zip(same_dtype, torch.split(flat, [tensor.numel() for tensor in same_dtype])):
            tensor.copy_(part.view(tensor.shape))


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes, with one all-reduce.

    A parameter without a gradient in any process keeps none, so that its optimizer does not move it; a gradient that is
    missing in some processes counts as zero there.
    """
    present = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.float32)
    # In memory order: to read and write the weights of channels_last convolutions in another takes several times as
    # long as the exchange itself.
    orders = [sorted(range(w.ndim), key=w.stride, reverse=True) for w in parameters]
    gradients = [
        w.new_zeros(w.numel()) if w.grad is None else w.grad.permute(order).reshape(-1)
        for w, order in zip(parameters, orders)
    ]
    sizes = [len(parameters), *(gradient.numel() for gradient in gradients)]
    flat = _buffer(sum(sizes), parameters[0].dtype, parameters[0].device)
    torch.cat([present.to(flat.device, flat.dtype, non_blocking=True), *gradients], out=flat)
    dist.all_reduce(flat)
    counts, *totals = torch.split(flat, sizes)
    # The counts are read from the device only if a gradient is missing in this process.
    elsewhere = [True] * len(parameters) if bool(present.all()) else counts.gt(0).tolist()
    for parameter, order, total, anywhere in zip(parameters, orders, totals, elsewhere):
        if parameter.grad is None and not anywhere:
            continue
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        own = parameter.grad.permute(order)
        torch.div(total.view(own.shape), dist.get_world_size(), out=own)


@lru_cache(maxsize=2)
def _buffer(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a vector that is kept for the next round: to be given new memory takes as long as to fill it."""
    return torch.empty(size, dtype=dtype, device=device)
