"""Load a release: check what it names and holds, build the model, and fill in the weights.

A release is untrusted input. No class that it names is imported. A class of this library is first built without memory,
and its tensors are compared with those of the file. A class that the user passes is the user's own code and is built
normally.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from zoo.config.class_names import find_class, without_imports
from zoo.config.settings import check_settings
from zoo.errors import ReleaseError, UserError, did_you_mean, first_line
from zoo.gan import GAN
from zoo.hub.finding import find
from zoo.releases import references, weights
from zoo.releases.references import parse_reference
from zoo.releases.release_format import AVERAGE, LIVE, fill, named_classes, read_header_config

UserClasses = type[GAN] | str | Sequence[type[GAN] | str]
"""Classes that a user wrote, or their import paths: of the model, or of the members of a mixture."""


def user_classes(cls: UserClasses | None) -> tuple[type[GAN], ...]:
    """Return the argument `cls` as a tuple of classes, importing those that are given by path.

    Importing is safe here: the paths were written by the user, not by a release.

    Raises:
        ReleaseError: for anything but classes that extend `zoo.GAN`.
        UserError: for a path that cannot be imported.
    """
    several = cls if isinstance(cls, (tuple, list)) else () if cls is None else (cls,)
    classes = tuple(find_class(each, GAN) if isinstance(each, str) else each for each in several)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, GAN)):
            raise ReleaseError(f"cls must be a class that extends zoo.GAN; got {each!r}")
    return classes


def class_of(config: Mapping[str, Any], allowed: tuple[type[GAN], ...], file: Path) -> type[GAN]:
    """Return the class to build a release with: a class of this library, or one that the user passed.

    Args:
        config: configuration of the release.
        allowed: classes that the user passed.
        file: the weights, for error messages.

    Raises:
        ReleaseError: for any other class, or if the user passed a class that the release does not name.
    """
    name = str(config["class"])
    names = {path.rpartition(".")[2] for path in named_classes(config)}
    for each in allowed:
        if each.__name__ not in names:
            raise ReleaseError(f"{file} holds a {name}, but cls is {each.__name__}")
        if each.__name__ == name.rpartition(".")[2]:
            return each
    if "." in name:
        raise ReleaseError(
            f"{file} holds a {name}, which is no class of the zoo, and a release never chooses what code is "
            f"imported. If it is yours, pass the class: zoo.from_pretrained(..., cls={name.rpartition('.')[2]}), "
            f"or cls={name} after a command"
        )
    try:
        target = find_class(name, GAN)
    except UserError as error:
        raise ReleaseError(f"{file}: {error}") from error
    if not (isinstance(target, type) and issubclass(target, GAN)) or target is GAN:
        raise ReleaseError(f"{file} is refused: {name} is no variant of a GAN")
    return target


def build_model(
    config: dict[str, Any], header: weights.Header, file: Path, allowed: tuple[type[GAN], ...]
) -> tuple[GAN, bool]:
    """Build the model of a release, without its weights, and check it against the file.

    The model is built on torch's meta device, where tensors have shapes but no memory. The file's tensors are thus
    compared with those of the class before any memory is allocated, initialisation costs nothing, and no random number
    is drawn. A class that keeps tensors outside its state dict is then built again with memory. So is every class that
    the user passed: only its own constructor ties its weights and creates its other tensors.

    Args:
        config: configuration of the release.
        header: header of the weights.
        file: the weights, for error messages.
        allowed: classes that the user passed.

    Returns:
        The model, and whether it is still on the meta device.

    Raises:
        ReleaseError: if class, arguments or tensors are refused.
    """
    with without_imports(*allowed), torch.random.fork_rng(devices=[]):
        target = class_of(config, allowed, file)
        values, faults = check_settings(target, config["arguments"], "", complete=False)
        if faults:
            raise ReleaseError(f"{file} does not fit this version of {target.__name__}: {'; '.join(faults[:3])}")
        try:
            with _limited_parameters(10 * len(header.tensors) + 1_000):
                model = target(**values) if allowed else _on_meta_device(target, values)
            _check_tensors(model, header, file)
            if allowed:
                return model, False
            return (target(**values), False) if _has_tensors_outside_state(model) else (model, True)
        except UserError as error:
            raise error if isinstance(error, ReleaseError) else ReleaseError(f"{file}: {error}") from error
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise ReleaseError(f"{file}: {target.__name__} refuses its arguments: {first_line(error)}") from error


def _on_meta_device(target: type[GAN], values: dict[str, Any]) -> GAN:
    with torch.device("meta"):
        return target(**values)


@contextmanager
def _limited_parameters(limit: int) -> Iterator[None]:
    """Stop the construction of a model after a number of parameters: a small file can ask for a million layers.

    Raises:
        ReleaseError: if more parameters than `limit` are registered in this thread.
    """
    thread, count = threading.get_ident(), 0

    def count_parameter(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += threading.get_ident() == thread
        if count > limit and threading.get_ident() == thread:
            raise ReleaseError(f"its arguments ask for more than {limit:,} tensors, many times those in the file")

    hook = register_module_parameter_registration_hook(count_parameter)
    try:
        yield
    finally:
        hook.remove()


def _check_tensors(model: GAN, header: weights.Header, file: Path) -> None:
    """Compare the names, shapes and kinds of the file's tensors with those of the model.

    Raises:
        ReleaseError: naming up to three tensors that differ.
    """
    state = model.state_dict()
    expected = {
        name: tensor
        for name, tensor in state.items()
        if not (name.startswith(LIVE) and AVERAGE + name.removeprefix(LIVE) in state)
    }
    faults = [f"{name} is missing" for name in expected if name not in header.tensors]
    for name, (dtype, shape) in header.tensors.items():
        if name not in expected:
            faults.append(f"{name} is not in the model.{did_you_mean(name, expected) if len(expected) < 20 else ''}")
        elif shape != tuple(expected[name].shape):
            faults.append(f"{name} is {shape}, the model's {tuple(expected[name].shape)}")
        elif dtype.is_floating_point != expected[name].is_floating_point():
            faults.append(f"{name} is {dtype}, the model's {expected[name].dtype}")
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ReleaseError(
            f"{file} is refused, its tensors are not those of {type(model).__name__} with its arguments: "
            + "; ".join(faults[:3])
            + more
        )


def _has_tensors_outside_state(model: GAN) -> bool:
    """Return whether any module has tensors that are not in the state dict: unsaved buffers or plain attributes."""
    state = model.state_dict()
    if any(name not in state for name, _ in model.named_buffers()):
        return True
    return any(isinstance(value, Tensor) for module in model.modules() for value in vars(module).values())


def from_pretrained(where: str | Path, revision: str | None = None, cls: UserClasses | None = None) -> GAN:
    """Load a trained model, in eval mode on the CPU: `zoo.from_pretrained("dcgan_digits").sample(16)`.

    Args:
        where: the name of a release of this library (`zoo.pretrained()` lists them), `org/name` of the Hugging Face
            hub, a path (`./folder`, or a file ending in .safetensors), or `https://...#sha256=...`, the URL of such a
            file with its digest. `zoo:NAME` and `hf:ORG/NAME` are unambiguous where a folder has the same name.
        revision: a branch, tag or commit of a hub repository.
        cls: the class of a model that you wrote, or of the members of a mixture (of both: a tuple), or its import
            path. Without it only classes of this library are built; no class that a release names is ever imported.

    Raises:
        ReleaseError: if there is no such release, the name is ambiguous, or the release is refused; the text says why.

    Example:
        >>> import zoo
        >>> model = zoo.from_pretrained("dcgan_digits")
        >>> model.sample(2, seed=0).shape
        torch.Size([2, 1, 16, 16])
    """
    files = find(parse_reference(where, revision))
    return load(files.weights, files.config, cls)


def pretrained() -> list[str]:
    """Return the names of this library's releases, each an argument for `from_pretrained`.

    Example:
        >>> import zoo
        >>> "dcgan_digits" in zoo.pretrained()
        True
    """
    return references.release_names()


def load(file: Path, config: dict[str, Any] | None = None, cls: UserClasses | None = None) -> GAN:
    """Load the model of a `model.safetensors`, in eval mode on the CPU.

    Args:
        file: the weights.
        config: the content of the `config.json` beside them; None where there is none.
        cls: the class of a model that the user wrote, or of the members of a mixture; several in a tuple.

    Raises:
        ReleaseError: if file and configuration disagree, or name or hold anything that the class does not have.
    """
    header_config, header = read_header_config(file, config)
    model, is_on_meta_device = build_model(header_config, header, file, user_classes(cls))
    fill(model, weights.read(file), header_config, assign=is_on_meta_device)
    if is_on_meta_device:  # tensors were replaced by the file's; strides become those that the constructor makes
        model.to(torch.device("cpu"))
        for network in (model.generator, model.discriminator, model.average):
            network.to(memory_format=torch.channels_last)
    return model
