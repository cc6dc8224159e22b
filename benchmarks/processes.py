"""What several processes gain, and what it costs to exchange gradients: two processes of one thread each against one.

    python benchmarks/processes.py [case=dcgan turns=12 rounds=8 batch_size=0 sync=true overlapped=true]

Two processes are started on this machine, and all programs take turns in them, in one run: the same model, the same
loop and equally many images in each process.

- *one*: a single process trains; the other waits.
- *zoo*: `zoo.Replicas`, one all-reduce of a player's gradients after its last backward pass.
- *without exchange*: both processes train, each for itself. The time that the others take beyond this is their
  overhead; what it takes beyond *one* is the price of sharing a machine.
- *ddp*: Lightning's `ddp_find_unused_parameters_true`, the only form of its `ddp` in which two players can take turns.
- *overlapped*: buckets of gradients are reduced while the backward pass goes on.
- *sync*: `zoo` with `sync_batchnorm`.

The exchange costs the same for any number of images: with `batch_size=2` it is a large part of a round and is measured
best; the gain of a second process is measured with batches as they are used.
On a machine with other work a process waits for the other at every exchange, which is no cost of the exchange. So the
overhead is given in processor time as well, of one process with all its threads, in which waiting does not count.
Before the times are believed, the weights of *zoo*, *ddp* and *overlapped* are compared: they have to be equal.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from turns import Loader, batches_for, leave, machine

import zoo
import zoo.gan
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.training.replicas import Replicas, average_gradients

Exchange = Callable[[Sequence[nn.Parameter]], None]
CASES: dict[str, tuple[Callable[[], zoo.GAN], int]] = {
    "digits": (lambda: zoo.DCGAN(16, 1, 64, width=32, num_classes=10), 64),
    "dcgan": (lambda: zoo.DCGAN(32, 3, 100, width=64), 64),
    "biggan": (
        lambda: zoo.BigGAN(
            32, 3, 128, width=32, num_classes=10, shared_dim=0, skip_latents=False, attention=0, critic_steps=1
        ),
        16,
    ),
}
"""A function that builds the model, and the batch size of a process."""
BUCKET = 250_000
"""Gradients in a bucket of *overlapped*: 1 MB, as the first of DDP's."""


class Overlapped:
    """Buckets of gradients, from the last layer to the first, each reduced as soon as all of them are there."""

    def __init__(self) -> None:
        self._players: dict[int, dict[str, Any]] = {}

    def __call__(self, parameters: Sequence[nn.Parameter]) -> None:
        """Wait for the buckets of a player; in its first step, reduce all at once and watch from then on."""
        if id(parameters[0]) not in self._players:
            self._watch(parameters)
            average_gradients(parameters)
            return
        player = self._players[id(parameters[0])]
        assert player["next"] == len(player["buckets"]), "a parameter got no gradient"
        for work, flat, gradients in player["work"]:
            work.wait()
            flat /= dist.get_world_size()
            torch._foreach_copy_(gradients, list(torch.split(flat, [each.numel() for each in gradients])))
        player |= {"work": [], "next": 0, "left": [len(bucket) for bucket in player["buckets"]]}

    def _watch(self, parameters: Sequence[nn.Parameter]) -> None:
        buckets: list[list[nn.Parameter]] = [[]]
        for parameter in reversed(parameters):
            if sum(each.numel() for each in buckets[-1]) >= BUCKET:
                buckets.append([])
            buckets[-1].append(parameter)
        player: dict[str, Any] = {"buckets": buckets, "work": [], "next": 0, "left": [len(each) for each in buckets]}
        self._players[id(parameters[0])] = player
        for number, bucket in enumerate(buckets):
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                    lambda _, i=number: self._arrived(player, i)
                )

    @torch.no_grad()
    def _arrived(self, player: dict[str, Any], number: int) -> None:
        player["left"][number] -= 1
        while player["next"] < len(player["buckets"]) and player["left"][player["next"]] == 0:
            gradients = [in_memory_order(parameter) for parameter in player["buckets"][player["next"]]]
            flat = torch.cat(gradients)
            player["work"].append((dist.all_reduce(flat, async_op=True), flat, gradients))
            player["next"] += 1


def in_memory_order(parameter: nn.Parameter) -> Tensor:
    """View a gradient as a vector."""
    assert parameter.grad is not None
    return parameter.grad.permute(sorted(range(parameter.ndim), key=parameter.grad.stride, reverse=True)).view(-1)


class Program(Callback):
    """A training in a thread of its own, which plays when it is told to.

    Args:
        name: its name, see the module's docstring.
        case: name of the model.
        rounds: rounds in a turn.
        batch_size: images in a round of each process.
    """

    def __init__(self, name: str, case: str, rounds: int, batch_size: int) -> None:
        self.rounds = rounds
        exchanges: dict[str, Exchange] = {
            "without exchange": lambda _: None,
            "ddp": lambda _: None,  # it has done so in the backward pass
            "overlapped": Overlapped(),
        }
        self.exchange = exchanges.get(name, average_gradients)
        self._go, self._done = threading.Event(), threading.Event()
        torch.manual_seed(0)
        self.model = CASES[case][0]()
        data = Loader([zoo.Batch(*batch) for batch in batches_for(self.model, 8, batch_size)])
        strategy: Any = "auto" if name == "one" else DDPStrategy(find_unused_parameters=True)
        if name not in ("one", "ddp"):
            strategy = Replicas()
        trainer = Trainer(
            accelerator="cpu",
            devices=1 if name == "one" else 2,
            strategy=strategy,
            sync_batchnorm=name == "sync",
            max_epochs=-1,
            callbacks=[self],
            log_every_n_steps=10**9,
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        vars(zoo.gan)["average_gradients"] = self.exchange

        def train() -> None:
            try:
                trainer.fit(self.model, data)
            finally:  # it goes on until the end of the benchmark, unless it fails
                traceback.print_exc()
                os._exit(1)

        threading.Thread(target=train, daemon=True).start()
        self._done.wait()

    def play(self) -> None:
        """Play a turn."""
        vars(zoo.gan)["average_gradients"] = self.exchange
        self._done.clear()
        self._go.set()
        self._done.wait()

    def _pause(self) -> None:
        self._done.set()
        self._go.wait()
        self._go.clear()

    def on_train_start(self, *args: Any) -> None:
        """Wait for the first turn."""
        self._pause()

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Wait for the next turn."""
        if model.rounds % self.rounds == 0:
            self._pause()


def measure(case: str, turns: int, rounds: int, batch_size: int, names: Sequence[str]) -> dict[str, Any]:
    """Let all programs play in turn, and return times and ratios; called in both processes."""
    vars(zoo.gan)["check_trainer"] = lambda trainer: None  # which refuses ddp
    rank = int(os.environ["RANK"])
    programs = {name: Program(name, case, rounds, batch_size) for name in names if name != "one" or rank == 0}
    taken: dict[str, list[float]] = {name: [] for name in names}
    worked: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns + 1):  # the first one warms up
        for name in names:
            dist.barrier()
            began, worked_before = time.perf_counter(), time.process_time()
            if name in programs:
                programs[name].play()
            if turn:
                taken[name].append(1000 * (time.perf_counter() - began) / rounds)
                worked[name].append(1000 * (time.process_time() - worked_before) / rounds)
            dist.barrier()
    same = [programs[name].model.state_dict() for name in ("zoo", "ddp", "overlapped") if name in programs]
    if case == "digits" or case == "dcgan":
        for other in same[1:]:
            assert all(torch.equal(same[0][key], value) for key, value in other.items()), "not the same weights"

    def medians(times: dict[str, list[float]], of: Sequence[str], against: str, ratio: bool) -> dict[str, float]:
        pairs = {name: zip(times[name], times[against]) for name in of}
        values = {name: [2 * b / a if ratio else a - b for a, b in each] for name, each in pairs.items()}
        return {name: round(statistics.median(each), 2) for name, each in values.items()}

    two = [name for name in names if name != "one"]
    costly = [name for name in two if name != "without exchange"]
    waiting, working = (medians(times, costly, "without exchange", ratio=False) for times in (taken, worked))
    return {
        "milliseconds_per_round": {name: round(statistics.median(each), 2) for name, each in taken.items()},
        "images_per_second_relative_to_one": medians(taken, two, "one", ratio=True),
        "milliseconds_of_exchange_per_round": waiting,
        "exchange_relative_to_ddp": {name: round(cost / waiting["ddp"], 2) for name, cost in waiting.items()},
        "processor_milliseconds_of_exchange_per_round": working,
        "processor_time_of_exchange_relative_to_ddp": {
            name: round(cost / working["ddp"], 2) for name, cost in working.items()
        },
        "range_over_turns": {name: [round(min(each), 2), round(max(each), 2)] for name, each in taken.items()},
    }


def benchmark(
    case: str = "dcgan",
    turns: int = 12,
    rounds: int = 8,
    batch_size: int = 0,
    sync: bool = True,
    overlapped: bool = True,
) -> dict[str, Any] | None:
    """Start two processes that measure, or measure in one of them; rank 0 leaves the result.

    Args:
        case: `digits` (DCGAN 16x16), `dcgan` (32x32, width 64) or `biggan` (32x32, width 32).
        turns: number of turns of each program.
        rounds: rounds in a turn.
        batch_size: images in a round of each process; 0 for 64, and 16 of `biggan`.
        sync: whether to measure `sync_batchnorm` too.
        overlapped: whether to measure overlapped exchange too.
    """
    if case not in CASES:
        raise UserError(f"case: one of {', '.join(CASES)}; got {case!r}")
    if "RANK" not in os.environ:
        launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", *sys.argv]
        ended = subprocess.run([sys.executable, "-m", *launcher], env={**os.environ, "OMP_NUM_THREADS": "1"})
        if ended.returncode:
            raise UserError("one of the processes failed, see above")
        return None
    torch.set_num_threads(1)
    names = ["one", "zoo", "without exchange", "ddp", *["overlapped"] * overlapped, *["sync"] * sync]
    size = batch_size or CASES[case][1]
    result = measure(case, turns, rounds, size, names)
    result["protocol"] = {
        "case": case,
        "batch_size_of_a_process": size,
        "rounds_in_a_turn": rounds,
        "turns": turns,
        "processes": "one thread each, float32, gloo on one machine",
        "scheduling": f"policy {os.sched_getscheduler(0)} (2: real-time, before the other work of the machine)",
        **machine("cpu"),
    }
    if os.environ["RANK"] == "0":
        leave(result, f"processes_{case}{f'_batch{size}' if batch_size else ''}_cpu")
    dist.barrier()
    os._exit(0)  # the trainings wait for their next turn


def main(**words: Any) -> None:
    """Measure two processes against one: case=dcgan turns=12 rounds=8 batch_size=0 sync=true overlapped=true."""
    benchmark(**checked_arguments(benchmark, words))


if __name__ == "__main__":
    run_command("benchmarks.processes", main)
