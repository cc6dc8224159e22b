"""What a recipe leaves to the machine: how precisely it computes, and how several devices work together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy

from zoo.errors import UserError
from zoo.training.replicas import Replicas


def choose_precision(trainer: Mapping[str, Any]) -> str:
    """The precision asked for; "auto" is bf16-mixed where the device computes in bf16 natively, else 32-true."""
    asked = str(trainer.get("precision", "auto"))
    if asked != "auto":
        return asked
    accelerator = str(trainer.get("accelerator", "auto"))
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator in ("auto", "cpu") and not torch.backends.mps.is_available():
        has = torch.cpu.get_capabilities()
        if has.get("avx512_bf16") or has.get("amx_bf16"):
            return "bf16-mixed"
    return "32-true"


def choose_strategy(trainer: Mapping[str, Any]) -> Any:
    """What is asked for; `Replicas` where Lightning would train on several devices with its `ddp`."""
    asked = trainer.get("strategy", "auto")
    alone = asked == "auto" and str(trainer.get("devices", "auto")) == "1" and trainer.get("num_nodes", 1) == 1
    if alone or not isinstance(asked, str):
        return asked
    where = {key: trainer[key] for key in ("accelerator", "devices", "num_nodes") if key in trainer}
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    found = Trainer(strategy=asked, enable_model_summary=False, **where, **quiet).strategy
    return Replicas(found._start_method) if type(found) is DDPStrategy else asked


def select_device(name: str) -> torch.device:
    """The device asked for; `auto` is a GPU where there is one.

    Raises:
        UserError: for another name, or a GPU that is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device: auto, cpu or cuda; got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda was asked for, but torch sees no GPU. Use device=cpu or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
