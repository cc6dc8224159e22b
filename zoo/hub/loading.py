"""Building the model that a release speaks of, from arguments that came from outside.

Nothing that a release says is imported. A class of the zoo is first built without memory and its tensors are held
against the file's; a class that was handed over is its owner's code, and is built as its owner would.
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
from zoo.releases.release_format import AVERAGE, LIVE, fill, named_classes, read_own

UserClasses = type[GAN] | str | Sequence[type[GAN] | str]
"""Classes of a user's own, or their import paths: of the model, or of what a mixture mixes."""


def user_classes(cls: UserClasses | None) -> tuple[type[GAN], ...]:
    """What was handed over as `cls`, as a tuple. Import paths are followed: they are the user's word, not a release's.

    Raises:
        ReleaseError: for anything but classes of GANs.
        UserError: for a path that leads nowhere.
    """
    several = cls if isinstance(cls, (tuple, list)) else () if cls is None else (cls,)
    classes = tuple(find_class(each, GAN) if isinstance(each, str) else each for each in several)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, GAN)):
            raise ReleaseError(f"cls must be a class that extends zoo.GAN; got {each!r}")
    return classes


def class_of(config: Mapping[str, Any], own: tuple[type[GAN], ...], where: object) -> type[GAN]:
    """The class a release is built with: one of the zoo, or one that was handed over.

    Raises:
        ReleaseError: for any other name, or a class handed over that the release does not name.
    """
    name = str(config["class"])
    named = {text.rpartition(".")[2] for text in named_classes(config)}
    for each in own:
        if each.__name__ not in named:
            raise ReleaseError(f"{where} holds a {name}, but cls is {each.__name__}")
        if each.__name__ == name.rpartition(".")[2]:
            return each
    if "." in name:
        raise ReleaseError(
            f"{where} holds a {name}, which is no class of the zoo, and a release never chooses what code is "
            f"imported. If it is yours, hand the class over: zoo.from_pretrained(..., cls={name.rpartition('.')[2]}), "
            f"or cls={name} after a command"
        )
    try:
        found = find_class(name, GAN)
    except UserError as error:
        raise ReleaseError(f"{where}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, GAN)) or found is GAN:
        raise ReleaseError(f"{where} is refused: {name} is no variant of a GAN")
    return found


def built(config: dict[str, Any], header: weights.Header, file: Path, own: tuple[type[GAN], ...]) -> tuple[GAN, bool]:
    """The model, and whether it is empty: built on torch's meta device, which has shapes but no memory.

    So tensors are held against what the class would have before memory is taken, initialisation costs nothing, and no
    random number is drawn. A class that keeps tensors outside its state is then built for real, and so is every class
    of a user's own: only by its own constructor are its tied weights tied and its other tensors there.
    """
    with without_imports(*own), torch.random.fork_rng(devices=[]):
        target = class_of(config, own, file)
        values, faults = check_settings(target, config["arguments"], "", complete=False)
        if faults:
            raise ReleaseError(f"{file} does not fit this version of {target.__name__}: {'; '.join(faults[:3])}")
        try:
            with _at_most(10 * len(header.tensors) + 1_000):
                model = target(**values) if own else _sketch(target, values)
            _check_tensors(model, header, file)
            if own:
                return model, False
            return (target(**values), False) if _keeps_tensors_elsewhere(model) else (model, True)
        except UserError as error:
            raise error if isinstance(error, ReleaseError) else ReleaseError(f"{file}: {error}") from error
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            raise ReleaseError(f"{file}: {target.__name__} refuses its arguments: {first_line(error)}") from error


def _sketch(target: type[GAN], values: dict[str, Any]) -> GAN:
    """The model on the meta device."""
    with torch.device("meta"):
        return target(**values)


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
        name: tensor
        for name, tensor in mine.items()
        if not (name.startswith(LIVE) and AVERAGE + name.removeprefix(LIVE) in mine)
    }
    faults = [f"{name} is missing" for name in needed if name not in header.tensors]
    for name, (dtype, shape) in header.tensors.items():
        if name not in needed:
            faults.append(f"{name} is not in the model.{did_you_mean(name, needed) if len(needed) < 20 else ''}")
        elif shape != tuple(needed[name].shape):
            faults.append(f"{name} is {shape}, the model's {tuple(needed[name].shape)}")
        elif dtype.is_floating_point != needed[name].is_floating_point():
            faults.append(f"{name} is {dtype}, the model's {needed[name].dtype}")
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ReleaseError(
            f"{file} is refused, its tensors are not those of {type(model).__name__} with its arguments: "
            + "; ".join(faults[:3])
            + more
        )


def _keeps_tensors_elsewhere(model: GAN) -> bool:
    """Whether a module has tensors that its state does not hold: buffers that are not saved, or plain attributes."""
    state = model.state_dict()
    if any(name not in state for name, _ in model.named_buffers()):
        return True
    return any(isinstance(value, Tensor) for module in model.modules() for value in vars(module).values())


def from_pretrained(where: str | Path, revision: str | None = None, cls: UserClasses | None = None) -> GAN:
    """A trained model, in eval mode on the CPU: `zoo.from_pretrained("dcgan_digits").sample(16)`.

    Args:
        where: the name of one of our releases (`zoo.pretrained()`), `org/name` of the Hugging Face hub, a path
            (`./folder`, or a file ending in .safetensors), or `https://...#sha256=...`, the address of such a file with
            its digest. `zoo:NAME` and `hf:ORG/NAME` say which is meant where a folder has the same name.
        revision: branch, tag or commit of a hub repository.
        cls: the class of a model of your own, or of the base of a mixture (of both: a tuple), or its import path.
            Without it only classes of the zoo are built; nothing that a release says is ever imported.

    Raises:
        ReleaseError: when there is nothing there, it is ambiguous, or it is refused, with the reason.
    """
    return load(*find(where, revision), cls)


def pretrained() -> list[str]:
    """Names of our releases, each for `from_pretrained`."""
    return references.release_names()


def load(file: Path, config: dict[str, Any] | None = None, cls: UserClasses | None = None) -> GAN:
    """The model of a `model.safetensors`, in eval mode on the CPU.

    Args:
        file: the weights.
        config: what `config.json` says beside it; None where there is none.
        cls: the class of a user's own model, or of a mixture's base; several in a tuple.

    Raises:
        ReleaseError: when file and configuration disagree, or name or hold anything that the class does not have.
    """
    own, header = read_own(file, config)
    model, is_empty = built(own, header, file, user_classes(cls))
    fill(model, weights.read(file), own, assign=is_empty)
    if is_empty:  # what was built had shapes only; strides are as the constructor would have left them
        model.to(torch.device("cpu"))
        for network in (model.generator, model.discriminator, model.average):
            network.to(memory_format=torch.channels_last)
    return model
