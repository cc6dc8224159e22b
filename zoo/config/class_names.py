"""Classes by their names in recipes: public names of this library, or import paths of a user's own classes."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from zoo.errors import UserError, did_you_mean

PUBLIC = {
    # zoo
    "DualityGap": "zoo.evaluation.duality.DualityGap",
    "GAN": "zoo.gan.GAN",
    "Player": "zoo.training.player.Player",
    "BigGAN": "zoo.models.biggan.BigGAN",
    "BigGANDeep": "zoo.models.biggan_deep.BigGANDeep",
    "DCGAN": "zoo.models.dcgan.DCGAN",
    "MixGAN": "zoo.models.mix.mixgan.MixGAN",
    "ProGAN": "zoo.models.progan.ProGAN",
    "R3GAN": "zoo.models.r3gan.R3GAN",
    "VanillaGAN": "zoo.models.vanilla.VanillaGAN",
    "WGANGP": "zoo.models.wgan_gp.WGANGP",
    "Run": "zoo.runs.training_run.Run",
    "Batch": "zoo.training.batch.Batch",
    "Replicas": "zoo.training.replicas.Replicas",
    "NonFiniteLossError": "zoo.training.terms.NonFiniteLossError",
    # zoo.data
    "Digits": "zoo.data.digits.Digits",
    "StackedDigits": "zoo.data.digits.StackedDigits",
    "Arrays": "zoo.data.arrays.Arrays",
    "Folder": "zoo.data.folder.Folder",
    "Images": "zoo.data.images.Images",
    "Grid": "zoo.data.points.Grid",
    "Ring": "zoo.data.points.Ring",
    "Pool": "zoo.data.pool.Pool",
    "Split": "zoo.data.pool.Split",
    "HuggingFace": "zoo.data.hugging_face.HuggingFace",
    "LitData": "zoo.data.lit_data.LitData",
    "WebDataset": "zoo.data.webdataset.WebDataset",
    "StackedMNIST": "zoo.data.stacked_mnist.StackedMNIST",
    "CIFAR10": "zoo.data.torchvision_sets.CIFAR10",
    "CIFAR100": "zoo.data.torchvision_sets.CIFAR100",
    "LSUN": "zoo.data.torchvision_sets.LSUN",
    "MNIST": "zoo.data.torchvision_sets.MNIST",
    "STL10": "zoo.data.torchvision_sets.STL10",
    "SVHN": "zoo.data.torchvision_sets.SVHN",
    "CelebA": "zoo.data.torchvision_sets.CelebA",
    "FashionMNIST": "zoo.data.torchvision_sets.FashionMNIST",
    "ImageNet": "zoo.data.torchvision_sets.ImageNet",
    "Zip": "zoo.data.zip.Zip",
    # zoo.callbacks
    "Alarms": "zoo.alarms.callback.Alarms",
    "DualityGapEvery": "zoo.callbacks.duality.DualityGapEvery",
    "Every": "zoo.callbacks.every.Every",
    "SampleMetrics": "zoo.callbacks.metrics.SampleMetrics",
    "MixtureReport": "zoo.callbacks.mixture.MixtureReport",
    "RunProgress": "zoo.callbacks.progress.RunProgress",
    "SampleGrid": "zoo.callbacks.samples.SampleGrid",
    "SaveEvery": "zoo.callbacks.saving.SaveEvery",
    "StopAt": "zoo.callbacks.stopping.StopAt",
    "StopOnSignal": "zoo.callbacks.stopping.StopOnSignal",
    "MetricsTable": "zoo.callbacks.table.MetricsTable",
}
"""Import path of every public class, by its name in recipes, checkpoints and releases; a test keeps it complete."""

ADAPTERS = {"pl_bolts": "zoo.integrations.lightning_bolts"}
"""Modules that adapt the classes of another library, by the name of its package."""

_ALLOWED: ContextVar[tuple[type, ...] | None] = ContextVar("allowed", default=None)
"""The user's classes inside `without_imports`; None outside."""


@contextmanager
def without_imports(*user_classes: type) -> Iterator[None]:
    """Restrict `find_class` to public names of this library and given classes, so that it imports no other module.

    Used for files from outside, such as a downloaded release: a name in such a file never decides what code runs.

    Args:
        user_classes: classes of the user that may be found by their bare name.
    """
    token = _ALLOWED.set(user_classes)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def find_class(name: str, kind: type = object) -> Any:
    """Return the class that a recipe names.

    Args:
        name: public name of this library, such as `DCGAN`, or import path of a user's class, such as `my_ideas.Mine`.
        kind: base class of the names that are suggested in place of a misspelt one.

    Raises:
        UserError: when there is no such class, or its module cannot be imported.
    """
    name = name.removeprefix("zoo.") if name.count(".") == 1 else name  # `zoo.DCGAN` is `DCGAN`
    if "." not in name:
        return public_class(name, kind, import_class)
    if _ALLOWED.get() is not None:
        return _user_class(name)
    module_name, _, class_name = name.rpartition(".")
    adapter = _adapter(module_name)
    if adapter is not None:
        adapter.enable()
    if str(Path.cwd()) not in sys.path:  # a user's own file lies where the command is given
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise UserError(_import_fault(module_name, error)) from error
        raise UserError(
            f"there is no module {error.name} to import {name} from (looked in {Path.cwd()} and among the installed "
            "packages)"
        ) from error
    except Exception as error:  # the user's own file has a fault
        raise UserError(_import_fault(module_name, error)) from error
    if not hasattr(module, class_name):
        raise UserError(f"{module_name} has no {class_name}.{did_you_mean(class_name, vars(module))}")
    named = getattr(module, class_name)
    return named if adapter is None else adapter.adapted(named)


def public_class(name: str, kind: type, load: Callable[[str], Any]) -> Any:
    """Return a public class of this library.

    Args:
        name: public name, such as `DCGAN`.
        kind: base class of the names that are suggested in place of a misspelt one.
        load: function that returns the class of an import path: `import_class`, or `stand_in`, which imports nothing.

    Raises:
        UserError: when there is no such class.
    """
    if name not in PUBLIC:
        known = [key for key, path in PUBLIC.items() if issubclass(load(path), kind)]
        raise UserError(
            f"the zoo has no class {name}.{did_you_mean(name, known)} One of your own is named by its path: "
            f"my_ideas.{name}"
        )
    return load(PUBLIC[name])


def import_class(path: str) -> Any:
    """Import a class by its import path, such as `zoo.models.dcgan.DCGAN`."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _user_class(name: str) -> Any:
    """Return one of the user's classes that are allowed inside `without_imports`.

    Raises:
        UserError: for any other name.
    """
    for user_class in _ALLOWED.get() or ():
        if user_class.__name__ == name.rpartition(".")[2]:  # its module may have another name by now
            return user_class
    raise UserError(
        f"{name} is refused: what comes from outside names public classes of the zoo only, since importing others "
        f"would run code that it chose. A class of your own is handed over with cls={name.rpartition('.')[2]}"
    )


def _import_fault(module_name: str, error: Exception) -> str:
    """Describe where an import failed: the last line of the traceback in the user's own files, if there is one."""
    if isinstance(error, SyntaxError):
        file, line = error.filename or module_name, error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        user_frames = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())] or list(frames)
        file, line = user_frames[-1].filename, user_frames[-1].lineno
    return f"importing {module_name} fails at {Path(file).name}, line {line}: {type(error).__name__}: {error}"


def class_path(target: Callable[..., Any]) -> str:
    """Return the name of a class in recipes: its bare name if it is public in this library, else its import path."""
    name = str(target.__name__)
    path = f"{target.__module__}.{target.__qualname__}"
    return name if PUBLIC.get(name) == path else path


def other_lightning(target: Any) -> str:
    """Return a fault for a class of the package `lightning`, whose classes are not those of `pytorch_lightning`.

    Args:
        target: what a recipe names; for anything else the fault is empty.
    """
    for owner in getattr(target, "__mro__", ()):
        package, _, rest = owner.__module__.partition(".")
        if package == "lightning":
            module = ".".join(["pytorch_lightning", *rest.removeprefix("pytorch").strip(".").split(".")]).strip(".")
            remedy = f"the zoo runs on pytorch_lightning: use {module}.{owner.__name__}"
            if owner is target:
                return f"{target.__name__} comes from `lightning`; {remedy}"
            return f"{target.__name__} extends {owner.__name__} of `lightning`; {remedy}"
    return ""


def _adapter(module_name: str) -> Any:
    """Import the adapter for classes of another library; return None where none is needed."""
    path = ADAPTERS.get(module_name.partition(".")[0])
    return None if path is None else importlib.import_module(path)
