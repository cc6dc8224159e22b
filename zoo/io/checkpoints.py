"""Checkpoints: the complete state of a run, written atomically and read without running code."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from zoo.errors import CheckpointError, first_line
from zoo.io.files import atomic_write
from zoo.io.records import check_records
from zoo.layers.wrappers import plain_name

PICKLE = b"\x80"
"""First byte of a plain pickle; a file of torch.save begins with that of a zip archive."""


class CheckpointFiles(TorchCheckpointIO):
    """A Lightning plugin that writes checkpoints atomically and reads them without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint atomically and flush it to the disk.

        Args:
            checkpoint: the state to save.
            path: the file to write.
            storage_options: unused; part of Lightning's interface.

        Raises:
            CheckpointError: if the file cannot be written; an earlier file at `path` is then unchanged.
        """
        try:
            # A file object, not a path: torch.save writes the file's name into the file.
            with atomic_write(Path(path), sync=True) as scratch, open(scratch, "wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
            reason = error.__cause__ or error.__context__ or error
            raise CheckpointError(
                f"cannot write {path}: {reason}. The checkpoints written before are intact. Make room or choose "
                "another folder with out=FOLDER"
            ) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint with `read_checkpoint`; `map_location` and `weights_only` are ignored."""
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Only tensors and plain values are accepted, so no code can run.

    The content is compared with the checksums in the file, which torch itself does not do.

    Raises:
        CheckpointError: if the file is missing or damaged, contains Python objects, or is not a checkpoint of a run.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    try:
        if _start_of(path) != PICKLE:  # a plain pickle has no checksums; torch refuses it below
            check_records(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it holds Python objects beyond tensors and plain values, and reading those could run "
            "code, or it was not written by torch.save"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({path.stat().st_size:,} bytes; {first_line(error)}). {_remedy(path)}"
        ) from error
    if not isinstance(content, dict) or "zoo" not in content or "state_dict" not in content:
        raise CheckpointError(f"{path} is not a checkpoint of a zoo run: it has no weights, or no clock beside them")
    fault = _fault_of_record(content["zoo"]) or _fault_of_tensors(content["state_dict"])
    if fault := fault or _fault_of_counts(content.get("loops")):
        raise CheckpointError(
            f"{path} is refused: {fault}. Its content was changed since it was written. {_remedy(path)}"
        )
    return content


def _fault_of_record(record: Any) -> str:
    """Return what is wrong with what a checkpoint says about its run; "" for nothing.

    Those of earlier versions have no `images_undone` and no `class_names`.
    """
    if not isinstance(record, dict):
        return f"its record is a {type(record).__name__}, no mapping"
    defaults = {"images_undone": 0}
    for name in ("images_seen", "rounds", "images_undone"):
        count = record.get(name, defaults.get(name))
        if type(count) is not int or count < 0:
            return f"{name} is {repr(count)[:40]}, no whole number from 0"
    if record.get("images_undone", 0) > record["images_seen"]:
        return f"images_undone is {record['images_undone']}, more than images_seen, {record['images_seen']}"
    if not isinstance(record.get("class"), str):
        return f"its class is {repr(record.get('class'))[:40]}, no name"
    names = record.get("class_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return f"class_names is {repr(names)[:40]}, no list of names"
    terms = record.get("terms", {})
    if not isinstance(terms, dict):
        return f"terms is {repr(terms)[:40]}, no mapping"
    for name, term in terms.items():  # sum and number of rounds of each
        if not (isinstance(term, list | tuple) and len(term) == 2 and all(type(part) in (int, float) for part in term)):
            return f"the term {name} is {repr(term)[:40]}, no sum and number of rounds"
    return _fault_of_adaptive(record.get("adaptive", {}))


def _fault_of_adaptive(state: Any) -> str:
    """Return what is wrong with the state of an adaptive augmentation; an empty text if nothing is."""
    if not isinstance(state, dict):
        return f"the state of its augmentation is a {type(state).__name__}, no mapping"
    for name, length in {"p": 1, "images": 1, "rounds": 1, "sums": 2, "unread": 3}.items():
        value = state.get(name)
        numbers = value if length > 1 and isinstance(value, list | tuple) else [value]
        finite = all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
        if value is not None and not (finite and len(numbers) == length):
            return f"{name} of its augmentation is {repr(value)[:40]}, not {length} finite number{'s' * (length > 1)}"
    return ""


def _fault_of_counts(loops: Any) -> str:
    """Return what is wrong with the counts in the state of Lightning's loops; an empty text if nothing is.

    The states of the loaders, `combined_loader`, are a list with one for each.
    """
    for key, value in loops.items() if isinstance(loops, dict) else ():
        if key == "combined_loader" and not isinstance(value, list):
            return f"the states of the loaders are a {type(value).__name__}, no list"
        if key in ("ready", "started", "processed", "completed") and (type(value) is not int or value < 0):
            return f"the count {key} of a loop is {repr(value)[:40]}, no whole number from 0"
        if fault := _fault_of_counts(value):
            return fault
    return ""


def _fault_of_tensors(state: Any) -> str:
    """Return what is wrong with the weights of a checkpoint, whatever their model; an empty text if nothing is."""
    if not isinstance(state, dict):
        return f"its weights are a {type(state).__name__}, no mapping"
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            return f"the weight {str(name)[:80]} is a {type(tensor).__name__}"
        if tensor.is_meta or tensor.layout is not torch.strided:  # a tensor without numbers loads as if it had some
            return f"the weight {name} has no plain numbers ({tensor.layout} on {tensor.device})"
    return ""


def _start_of(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1)


def _remedy(path: Path) -> str:
    """Name the checkpoint before a damaged one."""
    earlier = [each for each in path.parent.glob(f"[!.]*{path.suffix}") if each.name < path.name]
    return f"The one before it: {max(earlier)}" if earlier else "There is no earlier one beside it"


def load_weights(model: torch.nn.Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Load the weights of a checkpoint into a model.

    Args:
        model: a model of the architecture that was saved.
        checkpoint: the content of the checkpoint, as `read_checkpoint` returns it.
        path: the file of the checkpoint, for error messages.

    Raises:
        CheckpointError: if the weights belong to another architecture; the model is then unchanged.
    """
    current = model.state_dict()
    saved = {plain_name(name): tensor for name, tensor in checkpoint["state_dict"].items()}  # without torch.compile's
    faults = [f"{name} is missing" for name in current if name not in saved]
    faults += [f"{name} is not in the model" for name in saved if name not in current]
    faults += [
        f"{name} is {tuple(saved[name].shape)}, the model's {tuple(current[name].shape)}"
        for name in current
        if name in saved and saved[name].shape != current[name].shape
    ]
    faults += [
        f"{name} is {saved[name].dtype}, the model's {current[name].dtype}"
        for name in current
        if name in saved and not _same_kind(saved[name], current[name])
    ]
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise CheckpointError(
            f"{path} belongs to another architecture than {type(model).__name__} with these settings: "
            + "; ".join(faults[:3])
            + more
            + _about_parametrisations(model, saved)
        )
    model.load_state_dict(saved)


def _same_kind(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Return whether two tensors have the same type, or both floating numbers of different precision."""
    return one.dtype == two.dtype or (one.is_floating_point() and two.is_floating_point())


def _about_parametrisations(model: torch.nn.Module, saved: dict[str, Any]) -> str:
    """Say what to do if the saved network had parametrisations, such as weight norm, that the model does not have."""
    if not any(".parametrizations." in name for name in saved.keys() - model.state_dict().keys()):
        return ""
    return (
        ". It was saved with a parametrisation of torch.nn.utils.parametrizations; apply that in the __init__ of "
        f"{type(model).__name__}, so that every model of the class has it"
    )
