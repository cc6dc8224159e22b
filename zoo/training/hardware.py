"""Choice of device, numerical precision and multi-device strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy, Strategy

from zoo.errors import UserError
from zoo.training.replicas import Replicas


def choose_precision(trainer: Mapping[str, Any]) -> str:
    """Return the precision of a trainer; "auto" is bf16-mixed where the device has bf16 arithmetic, else 32-true."""
    asked = str(trainer.get("precision", "auto"))
    if asked != "auto":
        return asked
    accelerator = str(trainer.get("accelerator", "auto"))
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator in ("auto", "cpu") and not torch.backends.mps.is_available():
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return "bf16-mixed"
    return "32-true"


def choose_strategy(trainer: Mapping[str, Any]) -> Any:
    """Return the strategy of a trainer; `Replicas` where Lightning would choose its `ddp` for several devices."""
    asked = trainer.get("strategy", "auto")
    if is_single_device(trainer) or not isinstance(asked, str):
        return asked
    strategy = lightning_strategy(trainer)
    return Replicas(strategy._start_method) if type(strategy) is DDPStrategy else asked


def is_single_device(trainer: Mapping[str, Any]) -> bool:
    """Return whether a trainer is to use one device of one machine, whatever this machine has."""
    asked = (trainer.get("strategy", "auto"), str(trainer.get("devices", "auto")), trainer.get("num_nodes", 1))
    return asked == ("auto", "1", 1)


def is_one_process(trainer: Mapping[str, Any]) -> bool:
    """Return whether a trainer is for one process, where `devices=auto` counts as one, which it is on a CPU."""
    processes = str(trainer.get("devices", "auto")), str(trainer.get("num_nodes", 1))
    return processes in (("auto", "1"), ("1", "1"))


def lightning_strategy(trainer: Mapping[str, Any]) -> Strategy:
    """Return the strategy that Lightning chooses for a trainer on this machine."""
    devices = {key: trainer[key] for key in ("accelerator", "devices", "num_nodes") if key in trainer}
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(strategy=trainer.get("strategy", "auto"), enable_model_summary=False, **devices, **quiet).strategy


def select_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is a GPU if there is one, else the CPU.

    Raises:
        UserError: for an unknown name, or `cuda` on a machine without a GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device: auto, cpu or cuda; got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda was asked for, but torch sees no GPU. Use device=cpu or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
