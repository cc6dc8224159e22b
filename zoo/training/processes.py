"""The processes of a run on several devices: whether they can be started, are as many as expected, and are there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch.distributed as dist
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy

import __main__
from zoo.errors import UserError, first_line
from zoo.training.hardware import is_single_device, lightning_strategy
from zoo.training.roll_call import RollCall


def check_processes(trainer: Mapping[str, Any]) -> None:
    """Check that the processes of a trainer are those that a launcher started, or can be started from this program.

    Args:
        trainer: arguments of Lightning's Trainer.

    Raises:
        UserError: if a launcher such as torchrun started another number of processes, or if the other processes of the
            run cannot be started from a prompt, a notebook, standard input or `python -c`.
    """
    if is_single_device(trainer):
        _check_number(1)
        return
    try:
        strategy = lightning_strategy(trainer)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"trainer: Lightning refuses these arguments: {first_line(error)}") from error
    _check_number(_world_size(strategy))
    environment = getattr(strategy, "cluster_environment", None)
    if isinstance(strategy, DDPStrategy):
        _check_start(strategy, started_outside=bool(environment and environment.creates_processes_externally))


def refuse_several(trainer: Mapping[str, Any], what: str) -> None:
    """Check that a trainer uses one process, where several could lose step with each other.

    Args:
        trainer: arguments of Lightning's Trainer.
        what: description of what needs one process, such as "a group of runs".

    Raises:
        UserError: if it uses several.
    """
    if not is_single_device(trainer) and (count := _world_size(lightning_strategy(trainer))) > 1:
        raise UserError(
            f"trainer.devices: {what} trains on one device; got {count}. Give trainer.devices=1, or one command for "
            f"each run, such as python -m zoo.fit recipe=NAME seed=1 trainer.devices={count}"
        )


def _world_size(strategy: Any) -> int:
    """Return the number of processes of a strategy on all machines."""
    return int(getattr(strategy, "num_processes", 1) * getattr(strategy, "num_nodes", 1))


def _check_number(expected: int) -> None:
    """Check the number of processes that torchrun, or another launcher that numbers its processes, has started.

    Args:
        expected: number of processes of the trainer.
    """
    if TorchElasticEnvironment.detect():
        started = int(os.environ["WORLD_SIZE"])
        if started != expected:
            here = int(os.environ.get("LOCAL_WORLD_SIZE", started))
            machines = f" trainer.num_nodes={started // here}" if started > here else ""
            raise UserError(
                f"trainer: torchrun started {started} processes, but these settings are for {expected}, so they would "
                f"not train together. Give trainer.devices={here}{machines}"
            )
    elif expected == 1 and (rank := getattr(rank_zero_only, "rank", 0)):
        raise UserError(
            f"trainer: a launcher started several processes, of which this is number {rank + 1}, but these settings "
            "are for one, so each would train by itself. Give trainer.devices=PROCESSES_OF_ONE_MACHINE and "
            "trainer.num_nodes=MACHINES"
        )


def _check_start(strategy: DDPStrategy, started_outside: bool) -> None:
    """Check that the other processes of a strategy can be started by running the same program again."""
    command = f"python -m zoo.fit recipe=NAME trainer.devices={strategy.num_processes}"
    remedy = f"Put the call into a file and run that, or use the command: {command}"
    if strategy._start_method != "popen":
        raise UserError(
            f"trainer: with these settings Lightning starts the processes by {strategy._start_method}, which it also "
            "chooses at a prompt and in a notebook, and the trained model would be lost with them. Leave "
            f"trainer.strategy out. {remedy}"
        )
    is_first = not started_outside and not getattr(rank_zero_only, "rank", 0)
    is_file = __main__.__spec__ is not None or os.path.isfile(sys.argv[0] if sys.argv else "")
    if strategy.num_processes > 1 and is_first and not is_file:
        raise UserError(
            "trainer: the processes of the other devices run the same program again, and a program from a prompt, from "
            f"standard input or from python -c cannot be run again. {remedy}"
        )


def describe_lost_process(error: BaseException, trainer: Trainer) -> str | None:
    """Describe which other process of a run is gone, from the error that its absence caused in this one.

    Args:
        error: the error that ended the training.
        trainer: the trainer of this process.

    Returns:
        Such as "process 1 of 2 (counted from 0) is gone, killed by SIGKILL"; None if the error has another cause.
    """
    if trainer.world_size < 2 or not is_connection_error(error):
        return None
    roll_call = getattr(trainer.strategy, "roll_call", None)
    others = [rank for rank in range(trainer.world_size) if rank != trainer.global_rank]
    missing = others if roll_call is None else roll_call.missing()
    children = getattr(trainer.strategy.launcher, "procs", [])
    codes = {rank: code for rank, child in zip(others, children) if (code := _exit_code(child)) is not None}
    gone = sorted(set(codes) | (set(missing) if roll_call is not None or not codes else set()))
    numbers = f"{', '.join(map(str, gone))} of {trainer.world_size} (counted from 0)"
    where = f" on {_machines(trainer, roll_call, gone)}" if getattr(trainer, "num_nodes", 1) > 1 else ""
    how = ", " + " and ".join(_describe_exit(code) for code in sorted(set(codes.values()))) if codes else ""
    if len(gone) == 1:
        return f"process {numbers}{where} is gone{how}"
    if roll_call is None and not codes:
        return f"one of the processes {numbers} is gone"
    return f"processes {numbers}{where} are gone{how}"


def _machines(trainer: Trainer, roll_call: RollCall | None, ranks: Sequence[int]) -> str:
    """Return the numbers and names of the machines of some processes, such as "machine 1 of 2 (node-b)"."""
    numbers = sorted({rank * trainer.num_nodes // trainer.world_size for rank in ranks})
    names = "" if roll_call is None else f" ({', '.join(roll_call.machines(ranks))})"
    return f"machine{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))} of {trainer.num_nodes}{names}"


def is_connection_error(error: BaseException) -> bool:
    """Return whether an error of torch.distributed says that another process does not answer."""
    text = str(error).lower()
    is_distributed = isinstance(error, dist.DistError) or "gloo" in text or "nccl" in text
    return is_distributed and any(word in text for word in ("connection", "closed", "reset", "timed out", "remote"))


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code of a child; a moment is given to one whose connections are closed already."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout=0.5)
    return None


def _describe_exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
