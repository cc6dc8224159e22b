"""A release: everything that is needed to sample and score with a trained model, in files that cannot run code.

`model.safetensors` alone is enough: its header holds `config.json`'s part that builds the model. The folder around it
adds the digests, the card, the numbers and the grid. The generator's average and the discriminator are kept, with
whatever else the model has; the live generator is not, and a loaded model's generator starts as its average.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from zoo.classes import class_path, find_class, without_imports
from zoo.errors import ReleaseError, UserError, first_line, nearest
from zoo.files import whole
from zoo.gan import GAN
from zoo.hub import weights
from zoo.settings import check_settings, settings_of

FORMAT = "gan-zoo release"
VERSION = 1
"""Of the format; raised when older code could not read what newer code writes."""

CONFIG, WEIGHTS, CARD, METRICS, GRID, RECIPE = (
    "config.json", "model.safetensors", "README.md", "metrics.json", "grid.png", "recipe.yaml",
)  # fmt: skip
AUDIT, AUDIT_PAGE = "audit.json", "audit.html"  # where the release was audited
HEADER_KEY = "gan-zoo"
BUILDING = ("format", "version", "class", "arguments", "images_seen", "rounds", "dtype", "origin")
"""The part of `config.json` that is in the header of the weights too."""

STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
LIVE, AVERAGE = "generator.", "average."


# --- from a model to files -------------------------------------------------------------------------------------------


def building_part(model: GAN, dtype: str) -> dict[str, Any]:
    """What builds the model again, as plain values for JSON.

    Raises:
        ReleaseError: for a model whose arguments are not known or not plain, or an unknown dtype.
    """
    if dtype not in STORED:
        raise ReleaseError(f"dtype of a release is one of {', '.join(STORED)}; got {dtype!r}")
    return {
        "format": FORMAT, "version": VERSION, "class": class_path(type(model)), "arguments": arguments_of(model),
        "images_seen": model.images_seen, "rounds": model.rounds, "dtype": dtype, "origin": model.origin,
    }  # fmt: skip


def arguments_of(model: GAN) -> dict[str, Any]:
    """The arguments that the model's class was called with, defaults written out: later defaults may be others.

    Raises:
        ReleaseError: when one is missing or no plain value.
    """
    name = type(model).__name__
    given = {key: value for key, value in dict(model.hparams).items() if key in settings_of(type(model))}
    values, faults = check_settings(type(model), given, "")
    if faults:
        raise ReleaseError(
            f"{name} cannot be released, its arguments are not known: {'; '.join(faults)}. A variant's constructor "
            "takes plain values and ends with self.save_hyperparameters(logger=False)"
        )
    for key, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ReleaseError(f"{name} cannot be released: its {key}={value!r} is no plain, finite value") from error
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def tensors_of(model: GAN, dtype: str) -> dict[str, Tensor]:
    """The tensors that are kept, floating ones in the dtype of storage.

    Raises:
        ReleaseError: when a value is too large for it.
    """
    state = model.state_dict()
    found = {}
    for name, tensor in state.items():
        if name.startswith(LIVE) and AVERAGE + name.removeprefix(LIVE) in state:
            continue
        stored = tensor.to(STORED[dtype]) if tensor.is_floating_point() else tensor
        if not bool(torch.isfinite(stored).all()):
            remedy = "The model has diverged" if not bool(torch.isfinite(tensor).all()) else "Use dtype=bfloat16"
            raise ReleaseError(f"{name} has values that are not finite in {dtype}. {remedy}")
        found[name] = stored
    return found


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        ReleaseError: when it cannot be written.
    """
    try:
        with whole(path) as scratch:
            scratch.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReleaseError(f"cannot write {path}: {error.strerror or error}") from error


# --- from files to a model -------------------------------------------------------------------------------------------


def read_config(path: Path) -> dict[str, Any]:
    """`config.json`, checked as far as it can be without building anything.

    Raises:
        ReleaseError: when it is missing, damaged, or not of this format.
    """
    try:
        if path.stat().st_size > weights.LARGEST_HEADER:
            raise ReleaseError(f"{path} is refused: {path.stat().st_size:,} bytes are too many for a configuration")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"cannot read {path}: {first_line(error)}") from error
    return parse_config(text, str(path))


def parse_config(text: str, where: str) -> dict[str, Any]:
    """The configuration of a release.

    Raises:
        ReleaseError: when it is damaged, not of this format, or of a later version of it.
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{where} is refused: it is no JSON ({first_line(error)})") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ReleaseError(f"{where} is no release of the zoo: a release says format={FORMAT!r}")
    version = config.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ReleaseError(
            f"{where} is of version {version!r} of the format, this zoo reads up to {VERSION}. Update gan-zoo"
        )
    for key, kind in (("class", str), ("arguments", dict), ("images_seen", int), ("rounds", int)):
        if type(config.get(key)) is not kind or (kind is int and config[key] < 0):
            raise ReleaseError(f"{where} is refused: {key} is {config.get(key)!r}")
    if config.get("dtype") not in STORED:
        raise ReleaseError(f"{where} is refused: dtype is {config.get('dtype')!r}, not one of {', '.join(STORED)}")
    return config


def digest_of(config: Mapping[str, Any], name: str) -> str | None:
    """The digest of a file that a configuration gives, or None."""
    files = config.get("files")
    entry = files.get(name) if isinstance(files, dict) else None
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    return digest if isinstance(digest, str) else None


def load(file: Path, config: dict[str, Any] | None = None, cls: type[GAN] | None = None) -> GAN:
    """The model of a `model.safetensors`, in eval mode on the CPU.

    Args:
        file: the weights.
        config: what `config.json` says beside it; None where there is none.
        cls: the class of a user's own model.

    Raises:
        ReleaseError: when file and configuration disagree, or name or hold anything that the class does not have.
    """
    header = weights.read_header(file)
    if HEADER_KEY not in header.texts:
        raise ReleaseError(f"{file} is no release of the zoo: its header does not say which model its tensors are for")
    own = parse_config(header.texts[HEADER_KEY], str(file))
    for key in BUILDING if config is not None else ():
        if config is not None and config.get(key) != own.get(key):
            raise ReleaseError(
                f"{file.parent} is refused: {CONFIG} says {key}={config.get(key)!r}, {file.name} says {own.get(key)!r}"
            )
    model, is_empty = _built(own, header, file, cls)
    state = model.state_dict()
    tensors = {name: tensor.to(state[name].dtype, copy=True) for name, tensor in weights.read(file).items()}
    for name in state:
        if name not in tensors:
            tensors[name] = tensors[AVERAGE + name.removeprefix(LIVE)].clone()
    model.load_state_dict(tensors, assign=is_empty)
    if is_empty:  # what was built had shapes only; strides are as the constructor would have left them
        model.to(torch.device("cpu"))
        for network in (model.generator, model.discriminator, model.average):
            network.to(memory_format=torch.channels_last)
    model.on_load_checkpoint({"zoo": {"images_seen": own["images_seen"], "rounds": own["rounds"]}})
    model.origin = own.get("origin")
    return model.eval()


def class_of(config: Mapping[str, Any], cls: type[GAN] | None, where: object) -> type[GAN]:
    """The class a release is built with: one of the zoo, or the one handed over.

    Raises:
        ReleaseError: for any other name.
    """
    name = str(config["class"])
    if cls is not None:
        if not (isinstance(cls, type) and issubclass(cls, GAN)):
            raise ReleaseError(f"cls must be a class that extends zoo.GAN; got {cls!r}")
        if cls.__name__ != name.rpartition(".")[2]:
            raise ReleaseError(f"{where} holds a {name}, but cls is {cls.__name__}")
        return cls
    if "." in name:
        raise ReleaseError(
            f"{where} holds a {name}, which is no class of the zoo, and a release never chooses what code is "
            f"imported. If it is yours, hand the class over: zoo.from_pretrained(..., cls={name.rpartition('.')[2]})"
        )
    try:
        found = find_class(name, GAN)
    except UserError as error:
        raise ReleaseError(f"{where}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, GAN)) or found is GAN:
        raise ReleaseError(f"{where} is refused: {name} is no variant of a GAN")
    return found


def _built(config: dict[str, Any], header: weights.Header, file: Path, cls: type[GAN] | None) -> tuple[GAN, bool]:
    """The model, and whether it is empty: built on torch's meta device, which has shapes but no memory.

    So tensors are held against what the class would have before memory is taken, initialisation costs nothing, and no
    random number is drawn. A class that keeps tensors outside its state is then built for real.
    """
    own = () if cls is None else (cls,)
    with without_imports(*own), torch.random.fork_rng(devices=[]):
        target = class_of(config, cls, file)
        values, faults = check_settings(target, config["arguments"], "", complete=False)
        if faults:
            raise ReleaseError(f"{file} does not fit this version of {target.__name__}: {'; '.join(faults[:3])}")
        try:
            with torch.device("meta"), _at_most(10 * len(header.tensors) + 1_000):
                model = target(**values)
            is_empty = not _keeps_tensors_elsewhere(model)
        except UserError as error:
            raise ReleaseError(f"{file}: {error}") from error
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise ReleaseError(f"{file}: {target.__name__} refuses its arguments: {first_line(error)}") from error
        _check_tensors(model, header, file)
        return (model, True) if is_empty else (target(**values), False)


@contextmanager
def _at_most(parameters: int) -> Iterator[None]:
    """Inside, building stops after so many parameters: a million layers fit into a small file's arguments.

    Raises:
        ReleaseError: when there are more.
    """
    thread, count = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += threading.get_ident() == thread
        if count > parameters and threading.get_ident() == thread:
            raise ReleaseError(f"its arguments ask for more than {parameters:,} tensors, many times those in the file")

    hook = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def _check_tensors(model: GAN, header: weights.Header, file: Path) -> None:
    """Hold the file's tensors against the model's.

    Raises:
        ReleaseError: naming the first that differ.
    """
    mine = model.state_dict()
    needed = {
        name: tensor for name, tensor in mine.items()
        if not (name.startswith(LIVE) and AVERAGE + name.removeprefix(LIVE) in mine)
    }  # fmt: skip
    faults = [f"{name} is missing" for name in needed if name not in header.tensors]
    for name, (dtype, shape) in header.tensors.items():
        if name not in needed:
            faults.append(f"{name} is not in the model.{nearest(name, needed) if len(needed) < 20 else ''}")
        elif shape != tuple(needed[name].shape):
            faults.append(f"{name} is {shape}, the model's {tuple(needed[name].shape)}")
        elif dtype.is_floating_point != needed[name].is_floating_point():
            faults.append(f"{name} is {dtype}, the model's {needed[name].dtype}")
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ReleaseError(
            f"{file} is refused, its tensors are not those of {type(model).__name__} with its arguments: "
            + "; ".join(faults[:3]) + more
        )  # fmt: skip


def _keeps_tensors_elsewhere(model: GAN) -> bool:
    """Whether a module has tensors that its state does not hold: buffers that are not saved, or plain attributes."""
    state = model.state_dict()
    if any(name not in state for name, _ in model.named_buffers()):
        return True
    return any(isinstance(value, Tensor) for module in model.modules() for value in vars(module).values())
