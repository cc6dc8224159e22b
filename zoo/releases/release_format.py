"""A release: everything that is needed to sample and score with a trained model, in files that cannot run code.

`model.safetensors` alone is enough: its header holds `config.json`'s part that builds the model. The folder around it
adds the digests, the card, the numbers and the grid. The generator's average and the discriminator are kept, with
whatever else the model has; the live generator is not, and a loaded model's generator starts as its average.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zoo.config.class_names import class_path
from zoo.config.settings import check_settings, settings_of
from zoo.errors import ReleaseError, first_line
from zoo.io.files import atomic_write, sha256_of
from zoo.releases import references, weights
from zoo.sampling.protocol import GenerativeModel

FORMAT = "gan-zoo release"
VERSION = 1
"""Of the format; raised when older code could not read what newer code writes."""

CONFIG, WEIGHTS, CARD, METRICS, GRID, RECIPE = (
    "config.json",
    "model.safetensors",
    "README.md",
    "metrics.json",
    "grid.png",
    "recipe.yaml",
)
AUDIT, AUDIT_PAGE = "audit.json", "audit.html"  # where the release was audited
OPTIONAL = (METRICS, RECIPE, AUDIT, AUDIT_PAGE)
HEADER_KEY = "gan-zoo"
LIVE, AVERAGE = "generator.", "average."  # prefixes of tensor names
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
BUILDING = ("format", "version", "class", "arguments", "images_seen", "rounds", "images_undone", "dtype", "origin")
"""The part of `config.json` that is in the header of the weights too."""

CLOCK = ("images_seen", "rounds", "images_undone")
STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
DEEPEST = 20
"""Levels of nested arguments; a mixture's base has two."""


class ReleasableModel(GenerativeModel, Protocol):
    """What a release needs of a model beside drawing images; every `zoo.GAN` has it."""

    origin: dict[str, Any] | None
    generator: nn.Module
    discriminator: nn.Module

    @property
    def hparams(self) -> Any:
        """Arguments of the constructor."""

    def clock_state(self) -> dict[str, int]:
        """Return images seen, rounds and images undone."""

    def state_dict(self) -> dict[str, Any]:
        """Return all parameters and buffers by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take over parameters and buffers."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock."""

    def eval(self) -> Any:
        """Switch all modules to evaluation mode."""


# --- from a model to files -------------------------------------------------------------------------------------------


def building_part(model: ReleasableModel, dtype: str) -> dict[str, Any]:
    """What builds the model again, as plain values for JSON.

    Raises:
        ReleaseError: for a model whose arguments are not known or not plain, or an unknown dtype.
    """
    if dtype not in STORED:
        raise ReleaseError(f"dtype of a release is one of {', '.join(STORED)}; got {dtype!r}")
    return {
        "format": FORMAT,
        "version": VERSION,
        "class": class_path(type(model)),
        "arguments": arguments_of(model),
        **model.clock_state(),
        "dtype": dtype,
        "origin": model.origin,
    }


def arguments_of(model: ReleasableModel) -> dict[str, Any]:
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


def tensors_of(model: ReleasableModel, dtype: str) -> dict[str, Tensor]:
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
        with atomic_write(path) as scratch:
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
    config.setdefault("images_undone", 0)  # which releases before that of rollbacks do not say
    for key, kind in (("class", str), ("arguments", dict), *((key, int) for key in CLOCK)):
        if type(config.get(key)) is not kind or (kind is int and config[key] < 0):
            raise ReleaseError(f"{where} is refused: {key} is {config.get(key)!r}")
    if config["images_undone"] > config["images_seen"]:
        raise ReleaseError(f"{where} is refused: images_undone is {config['images_undone']}, more than images_seen")
    if config.get("dtype") not in STORED:
        raise ReleaseError(f"{where} is refused: dtype is {config.get('dtype')!r}, not one of {', '.join(STORED)}")
    _check_plain(config["arguments"], where)
    for key in ("origin", "about"):
        if not isinstance(config.get(key, {}), (dict, NoneType)):
            raise ReleaseError(f"{where} is refused: {key} is {config[key]!r}, no mapping")
    return config


def _check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Arguments are values, not expressions: OmegaConf would put in a variable of the environment for `${oc.env:...}`.

    Raises:
        ReleaseError: for an expression, or values nested deeper than any model's.
    """
    if depth > DEEPEST:
        raise ReleaseError(f"{where} is refused: its arguments are nested more than {DEEPEST} deep")
    if isinstance(value, str) and "${" in value:
        raise ReleaseError(f"{where} is refused: {value!r} among its arguments is an expression, not a value")
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_plain(part, where, depth + 1)


def digest_of(config: Mapping[str, Any], name: str) -> str | None:
    """The digest of a file that a configuration gives, or None."""
    files = config.get("files")
    entry = files.get(name) if isinstance(files, dict) else None
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    return digest if isinstance(digest, str) else None


def read_own(file: Path, config: dict[str, Any] | None = None) -> tuple[dict[str, Any], weights.Header]:
    """What the header of a `model.safetensors` says of its model, and the header; no tensor is read.

    Raises:
        ReleaseError: when it is no release, or the `config.json` beside it says otherwise.
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
    return own, header


def named_classes(config: Mapping[str, Any]) -> list[str]:
    """The names of all classes that a release speaks of: the model's, and those within its arguments."""
    return [str(config["class"]), *_classes_within(config["arguments"])]


def user_class_paths(config: Mapping[str, Any]) -> list[str]:
    """Import paths of the classes of a user's own that a release speaks of, each once."""
    return list(dict.fromkeys(name for name in named_classes(config) if "." in name))


def _classes_within(arguments: Any) -> Iterator[str]:
    """Names of classes in nested arguments, such as a mixture's base."""
    for key, value in arguments.items() if isinstance(arguments, dict) else ():
        if key in ("base", "class") and isinstance(value, str):  # a base without arguments is its class alone
            yield value
        yield from _classes_within(value)


def check_files(folder: Path, config: dict[str, Any], only: str | None = None) -> None:
    """Hold files against the digests in the configuration.

    Args:
        folder: of the release.
        config: its configuration.
        only: one file, or None for all.

    Raises:
        ReleaseError: for a file that differs or is missing, or a name that leads out of the folder.
    """
    files = config.get("files")
    if not isinstance(files, dict) or WEIGHTS not in files:
        raise ReleaseError(f"{folder} is refused: its {CONFIG} has no digest of {WEIGHTS}")
    for name in files:
        if not re.fullmatch(references.NAME, name) or ".." in name:
            raise ReleaseError(f"{folder} is refused: {CONFIG} names the file {name!r}, which is not one inside it")
        if only not in (None, name):
            continue
        path = folder / name
        if not path.is_file():
            pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
            besides = f" Its {pickled[0]} is a pickle, which is never read: it can run code" if pickled else ""
            raise ReleaseError(f"{folder} is incomplete: it has no {name}.{besides}")
        found = sha256_of(path)
        expected = digest_of(config, name)
        if found != expected:
            raise ReleaseError(f"{path} is damaged or was changed: its sha256 is {found}, {CONFIG} says {expected}")


def fill(
    model: ReleasableModel, tensors: Mapping[str, Tensor], config: Mapping[str, Any], assign: bool = False
) -> None:
    """Load a release's tensors and clock into a model, and switch it to evaluation mode.

    Args:
        model: of the class and arguments that the release names.
        tensors: as stored; the live generator takes those of the average.
        config: the release's configuration.
        assign: replace the model's tensors instead of copying into them.
    """
    state = model.state_dict()
    loaded = {name: tensor.to(state[name].dtype, copy=True) for name, tensor in tensors.items()}
    for name in state:
        if name not in loaded:
            loaded[name] = loaded[AVERAGE + name.removeprefix(LIVE)].clone()
    model.load_state_dict(loaded, assign=assign)
    model.on_load_checkpoint({"zoo": {key: config[key] for key in CLOCK}})
    model.origin = config.get("origin")
    model.eval()
