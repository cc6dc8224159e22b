"""Run-state files: everything a run needs to go on, written all or nothing and read without running code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from zoo.errors import CheckpointError, first_line


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's reading and writing of checkpoints, made atomic and safe."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write beside the target and rename, so that the target is the old file or the complete new one.

        Raises:
            CheckpointError: when the file cannot be written; what was there before is untouched.
        """
        target = Path(path)
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(scratch, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, target)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
            reason = error.__cause__ or error.__context__ or error
            raise CheckpointError(
                f"cannot write {target}: {reason}. The checkpoints written before are intact. Make room or choose "
                "another folder with out=FOLDER"
            ) from error
        finally:
            scratch.unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read with `read_checkpoint`, whatever the arguments."""
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a run-state file, on the CPU. Only tensors and plain values are read; no code can run.

    Raises:
        CheckpointError: when the file is missing, damaged, holds Python objects, or is no checkpoint of the zoo.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it holds Python objects beyond tensors and plain values, and reading those could run "
            "code, or it is no file of torch.save at all"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({path.stat().st_size:,} bytes; {first_line(error)}). Use an "
            "earlier checkpoint of the run"
        ) from error
    if not isinstance(content, dict) or "zoo" not in content or "state_dict" not in content:
        raise CheckpointError(f"{path} is not a checkpoint of a zoo run: it has no clock beside its weights")
    return content


def load_weights(model: torch.nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        CheckpointError: when they belong to another architecture; the model is then unchanged.
    """
    theirs, mine = checkpoint["state_dict"], model.state_dict()
    faults = [f"{name} is missing" for name in mine if name not in theirs]
    faults += [f"{name} is not in the model" for name in theirs if name not in mine]
    faults += [
        f"{name} is {tuple(theirs[name].shape)}, the model's {tuple(mine[name].shape)}"
        for name in mine
        if name in theirs and theirs[name].shape != mine[name].shape
    ]
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise CheckpointError(
            f"{path} belongs to another architecture than {type(model).__name__} with these settings: "
            + "; ".join(faults[:3])
            + more
        )
    model.load_state_dict(theirs)
