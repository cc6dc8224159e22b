"""Check, before anything is read, that the processes of a run can be started and are as many as the trainer expects."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.strategies import DDPStrategy

import __main__
from zoo.errors import UserError, first_line
from zoo.training.hardware import is_single_device, lightning_strategy


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
    world_size = getattr(strategy, "num_processes", 1) * getattr(strategy, "num_nodes", 1)
    _check_number(world_size)
    environment = getattr(strategy, "cluster_environment", None)
    if isinstance(strategy, DDPStrategy):
        _check_start(strategy, started_outside=bool(environment and environment.creates_processes_externally))


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
