"""The format of a release: everything that is needed to sample and score with a trained model, without code.

The file `model.safetensors` is sufficient: its header contains the part of `config.json` that builds the model. The
folder adds digests, card, numbers and grid. The averaged generator and the discriminator are stored, with all other
tensors of the model except those of the live generator; the live generator of a loaded model equals its average.
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

# Re-exported: they belong to the format, and stand in a file of their own for code that must not import torch.
from zoo.releases.file_names import AUDIT as AUDIT
from zoo.releases.file_names import AUDIT_PAGE as AUDIT_PAGE
from zoo.releases.file_names import CARD as CARD
from zoo.releases.file_names import CONFIG as CONFIG
from zoo.releases.file_names import GRID as GRID
from zoo.releases.file_names import METRICS as METRICS
from zoo.releases.file_names import RECIPE as RECIPE
from zoo.releases.file_names import WEIGHTS as WEIGHTS
from zoo.sampling.protocol import GenerativeModel

FORMAT = "gan-zoo release"
VERSION = 1
"""Version of the format; it is increased when older code could not read what newer code writes."""

OPTIONAL = (METRICS, RECIPE, AUDIT, AUDIT_PAGE)
HEADER_KEY = "gan-zoo"
LIVE, AVERAGE = "generator.", "average."  # prefixes of tensor names
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
BUILDING = (
    "format",
    "version",
    "class",
    "arguments",
    "class_names",
    "images_seen",
    "rounds",
    "images_undone",
    "dtype",
    "origin",
)
"""Keys of `config.json` that are also in the header of the weights."""

CLOCK = ("images_seen", "rounds", "images_undone")
STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
DEEPEST = 20
"""Largest accepted number of levels of nested arguments; those of a mixture have two."""


class ReleasableModel(GenerativeModel, Protocol):
    """The attributes and methods of a model that a release needs besides drawing images; every `zoo.GAN` has them."""

    origin: dict[str, Any] | None
    generator: nn.Module
    discriminator: nn.Module
    class_names: tuple[str, ...]

    @property
    def hparams(self) -> Any:
        """The arguments of the constructor."""

    def clock_state(self) -> dict[str, int]:
        """Return images seen, rounds and images undone."""

    def state_dict(self) -> dict[str, Any]:
        """Return all parameters and buffers by name."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load parameters and buffers by name."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock and the names of the classes."""

    def eval(self) -> Any:
        """Switch all modules to evaluation mode."""


# --- from a model to files -------------------------------------------------------------------------------------------


def header_config(model: ReleasableModel, dtype: str) -> dict[str, Any]:
    """Return the part of the configuration that builds the model, as plain values for JSON.

    Args:
        model: the model to release.
        dtype: type of the stored weights, a key of `STORED`.

    Raises:
        ReleaseError: if the model's arguments are not known or not plain, or the dtype is unknown.
    """
    if dtype not in STORED:
        raise ReleaseError(f"dtype of a release is one of {', '.join(STORED)}; got {dtype!r}")
    return {
        "format": FORMAT,
        "version": VERSION,
        "class": class_path(type(model)),
        "arguments": arguments_of(model),
        **({"class_names": list(model.class_names)} if model.class_names else {}),
        **model.clock_state(),
        "dtype": dtype,
        "origin": model.origin,
    }


def arguments_of(model: ReleasableModel) -> dict[str, Any]:
    """Return the arguments that the model's class was called with, including defaults, which may change later.

    Raises:
        ReleaseError: if an argument is missing or is not a plain value.
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
    """Return the tensors to store by name, those of floating type in the type of storage.

    Args:
        model: the model to release.
        dtype: type of the stored weights, a key of `STORED`.

    Raises:
        ReleaseError: if a value is not finite in this type.
    """
    state = model.state_dict()
    tensors = {}
    for name, tensor in state.items():
        if name.startswith(LIVE) and AVERAGE + name.removeprefix(LIVE) in state:
            continue
        stored = tensor.to(STORED[dtype]) if tensor.is_floating_point() else tensor
        if not bool(torch.isfinite(stored).all()):
            remedy = "The model has diverged" if not bool(torch.isfinite(tensor).all()) else "Use dtype=bfloat16"
            raise ReleaseError(f"{name} has values that are not finite in {dtype}. {remedy}")
        tensors[name] = stored
    return tensors


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8.

    Raises:
        ReleaseError: if it cannot be written.
    """
    try:
        with atomic_write(path) as scratch:
            scratch.write_text(text, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        raise ReleaseError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


# --- from files to a model -------------------------------------------------------------------------------------------


def read_config(path: Path) -> dict[str, Any]:
    """Read `config.json` and check it as far as possible without building the model.

    Raises:
        ReleaseError: if it is missing, damaged, or not of this format.
    """
    try:
        if path.stat().st_size > weights.LARGEST_HEADER:
            raise ReleaseError(f"{path} is refused: {path.stat().st_size:,} bytes are too many for a configuration")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"cannot read {path}: {first_line(error)}") from error
    config = parse_config(text, str(path))
    if not isinstance(config.get("files"), dict) or WEIGHTS not in config["files"]:
        raise ReleaseError(f"{path.parent} is refused: its {CONFIG} has no digest of {WEIGHTS}")
    return config


def parse_config(text: str, where: str) -> dict[str, Any]:
    """Parse and check the configuration of a release.

    Args:
        text: JSON, from `config.json` or from the header of the weights.
        where: the file, for error messages.

    Raises:
        ReleaseError: if it is damaged, not of this format, or of a later version of it.
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
    config.setdefault("images_undone", 0)  # missing in releases that were made before rollbacks existed
    for key, kind in (("class", str), ("arguments", dict), *((key, int) for key in CLOCK)):
        if type(config.get(key)) is not kind or (kind is int and config[key] < 0):
            raise ReleaseError(f"{where} is refused: {key} is {config.get(key)!r}")
    if config["images_undone"] > config["images_seen"]:
        raise ReleaseError(f"{where} is refused: images_undone is {config['images_undone']}, more than images_seen")
    dtype = config.get("dtype")
    if not isinstance(dtype, str) or dtype not in STORED:
        raise ReleaseError(f"{where} is refused: dtype is {repr(dtype)[:100]}, not one of {', '.join(STORED)}")
    _check_plain(config["arguments"], where)
    _check_class_names(config.get("class_names") or [], where)
    for key in ("origin", "about"):
        if not isinstance(config.get(key, {}), (dict, NoneType)):
            raise ReleaseError(f"{where} is refused: {key} is {config[key]!r}, no mapping")
    return config


def _check_class_names(names: Any, where: str) -> None:
    """Check the names of the classes, which releases before 0.2.0 do not have.

    Raises:
        ReleaseError: if they are no list of texts.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ReleaseError(f"{where} is refused: class_names is {str(names)[:100]}, no list of names")


def _check_plain(value: Any, where: str, depth: int = 0) -> None:
    """Check that arguments are values, not expressions: OmegaConf replaces `${oc.env:...}` by a variable's value.

    Raises:
        ReleaseError: for an expression, or values that are nested too deeply.
    """
    if depth > DEEPEST:
        raise ReleaseError(f"{where} is refused: its arguments are nested more than {DEEPEST} deep")
    if isinstance(value, str) and "${" in value:
        raise ReleaseError(f"{where} is refused: {value!r} among its arguments is an expression, not a value")
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_plain(part, where, depth + 1)


def recorded_sha256(config: Mapping[str, Any], name: str) -> str | None:
    """Return the SHA-256 digest that a configuration records for a file, or None."""
    files = config.get("files")
    entry = files.get(name) if isinstance(files, dict) else None
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    return digest if isinstance(digest, str) else None


def read_header_config(file: Path, config: dict[str, Any] | None = None) -> tuple[dict[str, Any], weights.Header]:
    """Read the configuration in the header of a `model.safetensors`, and the header; no tensor is read.

    Args:
        file: the weights.
        config: the content of the `config.json` beside them, which must agree; None where there is none.

    Raises:
        ReleaseError: if the file is no release, or `config` or the types of its tensors disagree with it.
    """
    header = weights.read_header(file)
    if HEADER_KEY not in header.texts:
        raise ReleaseError(f"{file} is no release of the zoo: its header does not say which model its tensors are for")
    stored = parse_config(header.texts[HEADER_KEY], str(file))
    for key in BUILDING if config is not None else ():
        if config is not None and config.get(key) != stored.get(key):
            raise ReleaseError(
                f"{file.parent} is refused: {CONFIG} says {key}={config.get(key)!r}, "
                f"{file.name} says {stored.get(key)!r}"
            )
    for name, (dtype, _) in header.tensors.items():
        if dtype.is_floating_point and dtype is not STORED[stored["dtype"]]:
            raise ReleaseError(f"{file} is refused: {name} is {dtype}, the release says {stored['dtype']}")
    return stored, header


def named_classes(config: Mapping[str, Any]) -> list[str]:
    """Return the names of all classes that a release names: the model's, and those within its arguments."""
    return [str(config["class"]), *_classes_within(config["arguments"])]


def user_class_paths(config: Mapping[str, Any]) -> list[str]:
    """Return the import paths of the user's classes that a release names, each once."""
    return list(dict.fromkeys(name for name in named_classes(config) if "." in name))


def _classes_within(arguments: Any) -> Iterator[str]:
    """Yield the names of classes in nested arguments, such as the base of a mixture."""
    for key, value in arguments.items() if isinstance(arguments, dict) else ():
        if key in ("base", "class") and isinstance(value, str):  # a base without arguments is stored as its class
            yield value
        yield from _classes_within(value)


def check_files(folder: Path, config: dict[str, Any], only: str | None = None) -> None:
    """Compare the files of a release with the digests in its configuration.

    Args:
        folder: folder of the release.
        config: configuration of the release.
        only: name of the one file to compare; None for all files.

    Raises:
        ReleaseError: for a file that differs or is missing, or a name that leads out of the folder.
    """
    for name in config["files"]:
        if not re.fullmatch(references.NAME, name) or ".." in name:
            raise ReleaseError(f"{folder} is refused: {CONFIG} names the file {name!r}, which is not one inside it")
        if only not in (None, name):
            continue
        path = folder / name
        if not path.is_file():
            pickles = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
            note = f" Its {pickles[0]} is a pickle, which is never read: it can run code" if pickles else ""
            raise ReleaseError(f"{folder} is incomplete: it has no {name}.{note}")
        digest, expected = sha256_of(path), recorded_sha256(config, name)
        if digest != expected:
            raise ReleaseError(f"{path} is damaged or was changed: its sha256 is {digest}, {CONFIG} says {expected}")


def fill(
    model: ReleasableModel, tensors: Mapping[str, Tensor], config: Mapping[str, Any], assign: bool = False
) -> None:
    """Load a release's tensors and clock into a model, and switch it to evaluation mode.

    Args:
        model: a model of the class and arguments that the release names.
        tensors: the stored tensors by name; the live generator gets those of the average.
        config: configuration of the release.
        assign: whether to replace the model's tensors instead of copying into them.
    """
    state = model.state_dict()
    loaded = {name: tensor.to(state[name].dtype, copy=True) for name, tensor in tensors.items()}
    for name in state:
        if name not in loaded:
            loaded[name] = loaded[AVERAGE + name.removeprefix(LIVE)].clone()
    model.load_state_dict(loaded, assign=assign)
    names = config.get("class_names") or []
    model.on_load_checkpoint({"zoo": {**{key: config[key] for key in CLOCK}, "class_names": names}})
    model.origin = config.get("origin")
    model.eval()
