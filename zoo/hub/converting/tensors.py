"""Read files of other libraries without running code, tell their networks apart, and account for every tensor."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ReleaseError, first_line
from zoo.gan import GAN
from zoo.io.files import with_home
from zoo.io.records import check_records
from zoo.releases import weights

ALIASES = {
    "generator": "generator",
    "G": "generator",
    "netG": "generator",
    "discriminator": "discriminator",
    "D": "discriminator",
    "netD": "discriminator",
    "average": "average",
    "G_ema": "average",
    "avgG": "average",
}
IGNORED = ("config", "tmp", "epoch", "iteration", "hyper_parameters")
"""Entries of the sources' files that are not networks; they do not affect what a network computes."""


class Tensors:
    """The tensors of one network, with a record of those that were taken.

    Args:
        state: the tensors by name; the prefix `module.` of DataParallel is removed.
        label: name of the network and its source, for error messages.
    """

    def __init__(self, state: Mapping[str, Any], label: str) -> None:
        plain = {str(name): value for name, value in state.items()}
        if plain and all(name.startswith("module.") for name in plain):
            plain = {name.removeprefix("module."): value for name, value in plain.items()}
        for name, value in plain.items():
            if not isinstance(value, Tensor):
                raise ReleaseError(f"{label}: {name} is a {type(value).__name__}, not a tensor")
        self.state: dict[str, Tensor] = plain
        self.label = label
        self._remaining = set(plain)

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def take(self, name: str) -> Tensor:
        """Return a tensor on the CPU, in float32 if its type is floating, and record that it was taken.

        Raises:
            ReleaseError: if there is no tensor with this name.
        """
        if name not in self.state:
            raise ReleaseError(f"{self.label} has no {name}; these are other tensors than that source's")
        self._remaining.discard(name)
        tensor = self.state[name].detach().cpu()
        return tensor.float() if tensor.is_floating_point() else tensor

    def rename(self, change: Callable[[str], str]) -> None:
        """Change every name; call this before any tensor is taken."""
        self.state = {change(name): tensor for name, tensor in self.state.items()}
        self._remaining = set(self.state)

    def drop(self, belongs: Callable[[str], bool]) -> None:
        """Record tensors as taken that do not affect what the network computes.

        Args:
            belongs: function from the name of a tensor to whether it is recorded.
        """
        self._remaining = {name for name in self._remaining if not belongs(name)}

    def batch_norm(self, source: str, target: str) -> dict[str, Tensor]:
        """Take the tensors of a batch norm with gain and bias.

        Args:
            source: name of the layer in the source.
            target: name of the layer in this library.

        Returns:
            The tensors by this library's names.
        """
        tensors = {
            f"{target}.{part}": self.take(f"{source}.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        }
        count = f"{source}.num_batches_tracked"  # missing in files that were written before torch 0.4.1
        return {**tensors, f"{target}.num_batches_tracked": self.take(count) if count in self else torch.tensor(0)}

    def check_all_taken(self) -> None:
        """Check that no tensor is left over.

        Raises:
            ReleaseError: naming up to three tensors that were not taken.
        """
        if self._remaining:
            names = sorted(self._remaining)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ReleaseError(
                f"{self.label} has tensors that the zoo's network has no place for: {', '.join(names[:3])}{more}. "
                "Without them it would compute something else, so it is not converted"
            )


@dataclass
class Networks:
    """The networks of a source.

    Args:
        generator: tensors of the live generator, or None.
        discriminator: tensors of the discriminator, or None.
        average: tensors of the averaged generator, or None.
    """

    generator: Tensors | None = None
    discriminator: Tensors | None = None
    average: Tensors | None = None

    def any_generator(self) -> Tensors:
        """Return the live generator, or the averaged one if there is no live one.

        Raises:
            ReleaseError: if there is neither.
        """
        generator = self.generator or self.average
        if generator is None:
            raise ReleaseError(
                "there is no generator among these tensors; a model cannot be made of a discriminator alone"
            )
        return generator

    def check_all_taken(self) -> None:
        """Check that no tensor of any network is left over.

        Raises:
            ReleaseError: naming up to three tensors that were not taken.
        """
        for network in (self.generator, self.discriminator, self.average):
            if network is not None:
                network.check_all_taken()


@dataclass
class Conversion:
    """A model of this library that computes the same as the source.

    Args:
        target: class of the model.
        arguments: arguments of the class that were read off the shapes.
        generator: tensors of the live generator by this library's names; None if the source has none.
        discriminator: tensors of the discriminator by this library's names; None if the source has none.
        average: tensors of the averaged generator by this library's names; None if the source has none.
        notes: facts for the card.
        images_seen: function from the model to the number of images that it counts as seen, which a ProGAN depends on.
    """

    target: type[GAN]
    arguments: dict[str, Any]
    generator: dict[str, Tensor] | None = None
    discriminator: dict[str, Tensor] | None = None
    average: dict[str, Tensor] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    images_seen: Callable[[Any], int] = field(default=lambda model: 0)


def split_networks(state: Mapping[str, Any], source: str) -> Networks:
    """Tell the networks of a source apart.

    Args:
        state: the tensors of a generator; or a mapping with the keys of `ALIASES`; or the tensors of one module with
            the prefixes `generator.` and `discriminator.`; or a Lightning checkpoint.
        source: name of the source, for error messages.

    Raises:
        ReleaseError: for anything else.
    """
    if not isinstance(state, Mapping) or not state:
        raise ReleaseError(f"a state dict is a mapping from names to tensors; got {type(state).__name__}")
    if isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    named = {ALIASES[key]: value for key, value in state.items() if key in ALIASES and isinstance(value, Mapping)}
    if named:
        others = [key for key in state if key not in ALIASES and key not in IGNORED]
        if others:
            raise ReleaseError(f"{others[0]} is no network; they are called {', '.join(ALIASES)}")
        return Networks(**{name: Tensors(value, f"the {name} of {source}") for name, value in named.items()})
    prefixes = [f"{side}." for side in ("generator", "discriminator")]
    if all(any(str(name).startswith(prefix) for name in state) for prefix in prefixes):  # one module that holds both
        split = {
            prefix[:-1]: {n.removeprefix(prefix): tensor for n, tensor in state.items() if n.startswith(prefix)}
            for prefix in prefixes
        }
        rest = {name: tensor for name, tensor in state.items() if not name.startswith(tuple(prefixes))}
        if rest:
            raise ReleaseError(f"{next(iter(rest))} belongs to neither generator nor discriminator of {source}")
        return Networks(**{name: Tensors(value, f"the {name} of {source}") for name, value in split.items()})
    return Networks(generator=Tensors(state, f"the generator of {source}"))


class _ConfigOfGanZoo:
    """A replacement for `models.utils.config.BaseConfig` in files of pytorch_GAN_zoo: plain values as attributes."""


def read_file(path: str | Path) -> Any:
    """Read a file of `torch.save` or safetensors with tensors and plain values; no code in it runs.

    Raises:
        ReleaseError: if the file is missing or damaged, or holds other Python objects.
    """
    path = with_home(path)
    if not path.is_file():
        raise ReleaseError(f"there is no file {path}")
    if path.suffix == ".safetensors":
        weights.read_header(path)
        return weights.read(path)
    replacements: list[Any] = [(_ConfigOfGanZoo, "models.utils.config.BaseConfig")]
    try:
        if zipfile.is_zipfile(path):  # files of torch before 1.6 are none and have no checksums
            check_records(path)
        with torch.serialization.safe_globals(replacements):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReleaseError(
            f"{path} is refused: it holds Python objects beyond tensors and plain values, and reading those could run "
            f"code ({first_line(error)[:200]}). Save only its state_dict() with the library that wrote it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ReleaseError(f"{path} is damaged, or no file of torch.save ({error!r:.200})") from error
