"""Names in recipes and the classes they stand for: the zoo's public names, or import paths of a user's own."""

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
    "VanillaGAN": "zoo.models.vanilla.VanillaGAN",
    "WGANGP": "zoo.models.wgan_gp.WGANGP",
    "Run": "zoo.runs.run.Run",
    "Batch": "zoo.training.batch.Batch",
    "Replicas": "zoo.training.replicas.Replicas",
    "NonFiniteLossError": "zoo.training.terms.NonFiniteLossError",
    # zoo.data
    "Digits": "zoo.data.digits.Digits",
    "StackedDigits": "zoo.data.digits.StackedDigits",
    "Folder": "zoo.data.folder.Folder",
    "Images": "zoo.data.images.Images",
    "Grid": "zoo.data.points.Grid",
    "Ring": "zoo.data.points.Ring",
    "Pool": "zoo.data.pool.Pool",
    "Split": "zoo.data.pool.Split",
    "CIFAR10": "zoo.data.torchvision_sets.CIFAR10",
    "CIFAR100": "zoo.data.torchvision_sets.CIFAR100",
    "LSUN": "zoo.data.torchvision_sets.LSUN",
    "MNIST": "zoo.data.torchvision_sets.MNIST",
    "STL10": "zoo.data.torchvision_sets.STL10",
    "SVHN": "zoo.data.torchvision_sets.SVHN",
    "CelebA": "zoo.data.torchvision_sets.CelebA",
    "FashionMNIST": "zoo.data.torchvision_sets.FashionMNIST",
    "ImageNet": "zoo.data.torchvision_sets.ImageNet",
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
"""Import path of every public class, by its name in recipes, checkpoints and releases; a test holds it complete."""

ADAPTERS = {"pl_bolts": "zoo.integrations.lightning_bolts"}
"""Modules that make the classes of another library usable here, by the name of its package."""

_OWN: ContextVar[tuple[type, ...] | None] = ContextVar("own", default=None)


@contextmanager
def without_imports(*own: type) -> Iterator[None]:
    """Inside, `find_class` finds the zoo's public names and `own`, and imports nothing.

    For what comes from outside, such as a downloaded release: it never chooses what code runs, however deep the name of
    a class stands in it.
    """
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


def find_class(name: str, kind: type = object) -> Any:
    """The class that a recipe names: a public name of the zoo, or the import path of a user's own.

    Args:
        name: such as `DCGAN` or `my_ideas.Mine`.
        kind: what it should be; decides which names are suggested for a misspelt one.

    Raises:
        UserError: when there is none, or its module cannot be imported.
    """
    if "." not in name:
        found = _public(name)
        if found is None:
            known = [key for key in PUBLIC if issubclass(_public(key), kind)]
            raise UserError(
                f"the zoo has no class {name}.{did_you_mean(name, known)} One of your own is named by its path: "
                f"my_ideas.{name}"
            )
        return found
    if _OWN.get() is not None:
        return _handed_over(name)
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
    found = getattr(module, class_name)
    return found if adapter is None else adapter.adapted(found)


def _handed_over(name: str) -> Any:
    """A class that may be used where nothing is imported.

    Raises:
        UserError: for any other.
    """
    for own in _OWN.get() or ():
        if own.__name__ == name.rpartition(".")[2]:  # its module may have another name by now
            return own
    raise UserError(
        f"{name} is refused: what comes from outside names public classes of the zoo only, since importing others "
        f"would run code that it chose. A class of your own is handed over with cls={name.rpartition('.')[2]}"
    )


def _import_fault(module_name: str, error: Exception) -> str:
    """Where in the user's own files an import failed, without frames of ours or of libraries."""
    if isinstance(error, SyntaxError):
        place, line = error.filename or module_name, error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())] or list(frames)
        place, line = theirs[-1].filename, theirs[-1].lineno
    return f"importing {module_name} fails at {Path(place).name}, line {line}: {type(error).__name__}: {error}"


def class_path(target: Callable[..., Any]) -> str:
    """How a recipe names a class: by its bare name if it is the zoo's, else by its import path."""
    name = str(target.__name__)
    path = f"{target.__module__}.{target.__qualname__}"
    return name if PUBLIC.get(name) == path else path


def _public(name: str) -> Any:
    """Import a public class of the zoo; None for any other name."""
    if name not in PUBLIC:
        return None
    module, _, attribute = PUBLIC[name].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _adapter(module_name: str) -> Any:
    """Import the adapter for classes of another library; None where none is needed."""
    path = ADAPTERS.get(module_name.partition(".")[0])
    return None if path is None else importlib.import_module(path)
