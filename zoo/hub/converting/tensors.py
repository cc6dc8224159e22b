"""Tensors from elsewhere: files read without running code, networks told apart, every tensor accounted for."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ReleaseError, first_line
from zoo.gan import GAN
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
BESIDES = ("config", "tmp", "epoch", "iteration", "hyper_parameters")
"""What files of the sources hold beside networks, of no use for computing."""


class Tensors:
    """The tensors of one network; what is taken is ticked off.

    Args:
        state: by name; a leading `module.` of DataParallel is dropped.
        what: for messages.
    """

    def __init__(self, state: Mapping[str, Any], what: str) -> None:
        plain = {str(name): value for name, value in state.items()}
        if plain and all(name.startswith("module.") for name in plain):
            plain = {name.removeprefix("module."): value for name, value in plain.items()}
        for name, value in plain.items():
            if not isinstance(value, Tensor):
                raise ReleaseError(f"{what}: {name} is a {type(value).__name__}, not a tensor")
        self.state: dict[str, Tensor] = plain
        self.what = what
        self._left = set(plain)

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def take(self, name: str) -> Tensor:
        """One tensor, in float32 if it is floating.

        Raises:
            ReleaseError: when it is not there.
        """
        if name not in self.state:
            raise ReleaseError(f"{self.what} has no {name}; these are other tensors than that source's")
        self._left.discard(name)
        tensor = self.state[name].detach().cpu()
        return tensor.float() if tensor.is_floating_point() else tensor

    def rename(self, change: Callable[[str], str]) -> None:
        """Change every name; before anything is taken."""
        self.state = {change(name): tensor for name, tensor in self.state.items()}
        self._left = set(self.state)

    def drop(self, belongs: Callable[[str], bool]) -> None:
        """Tick off what is of no use for computing."""
        self._left = {name for name in self._left if not belongs(name)}

    def norm(self, theirs: str, ours: str) -> dict[str, Tensor]:
        """One batch norm with gain and bias."""
        found = {
            f"{ours}.{part}": self.take(f"{theirs}.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        }
        count = f"{theirs}.num_batches_tracked"  # not in files of before torch 0.4.1
        return {**found, f"{ours}.num_batches_tracked": self.take(count) if count in self else torch.tensor(0)}

    def all_taken(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            ReleaseError: naming some.
        """
        if self._left:
            names = sorted(self._left)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ReleaseError(
                f"{self.what} has tensors that the zoo's network has no place for: {', '.join(names[:3])}{more}. "
                "Without them it would compute something else, so it is not converted"
            )


@dataclass
class Networks:
    """What a source's files hold."""

    generator: Tensors | None = None
    discriminator: Tensors | None = None
    average: Tensors | None = None

    def any_generator(self) -> Tensors:
        """The generator, live or averaged.

        Raises:
            ReleaseError: when there is neither.
        """
        found = self.generator or self.average
        if found is None:
            raise ReleaseError(
                "there is no generator among these tensors; a model cannot be made of a discriminator alone"
            )
        return found

    def all_taken(self) -> None:
        """Refuse what nobody asked for."""
        for network in (self.generator, self.discriminator, self.average):
            if network is not None:
                network.all_taken()


@dataclass
class Found:
    """What a converter makes of them.

    Args:
        target: the zoo's class.
        arguments: that shapes tell.
        generator: tensors by the zoo's names.
        discriminator: the same; None where the source has none.
        average: the same.
        notes: for the card.
        images_seen: of the model, where its clock matters.
    """

    target: type[GAN]
    arguments: dict[str, Any]
    generator: dict[str, Tensor] | None = None
    discriminator: dict[str, Tensor] | None = None
    average: dict[str, Tensor] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    images_seen: Callable[[Any], int] = field(default=lambda model: 0)


def networks_of(state: Mapping[str, Any], source: str) -> Networks:
    """Tell the networks apart.

    Raises:
        ReleaseError: for what is neither tensors nor networks.
    """
    if not isinstance(state, Mapping) or not state:
        raise ReleaseError(f"a state dict is a mapping from names to tensors; got {type(state).__name__}")
    if isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    named = {ALIASES[key]: value for key, value in state.items() if key in ALIASES and isinstance(value, Mapping)}
    if named:
        others = [key for key in state if key not in ALIASES and key not in BESIDES]
        if others:
            raise ReleaseError(f"{others[0]} is no network; they are called {', '.join(ALIASES)}")
        return Networks(**{name: Tensors(value, f"the {name} of {source}") for name, value in named.items()})
    both = [f"{side}." for side in ("generator", "discriminator")]
    if all(any(str(name).startswith(prefix) for name in state) for prefix in both):  # one module that holds both
        split = {
            prefix[:-1]: {n.removeprefix(prefix): tensor for n, tensor in state.items() if n.startswith(prefix)}
            for prefix in both
        }
        rest = {name: tensor for name, tensor in state.items() if not name.startswith(tuple(both))}
        if rest:
            raise ReleaseError(f"{next(iter(rest))} belongs to neither generator nor discriminator of {source}")
        return Networks(**{name: Tensors(value, f"the {name} of {source}") for name, value in split.items()})
    return Networks(generator=Tensors(state, f"the generator of {source}"))


class _ConfigOfGanZoo:
    """Stands for `models.utils.config.BaseConfig` of pytorch_GAN_zoo, in its files: plain values as attributes."""


def read_file(path: str | Path) -> Any:
    """Content of a file of `torch.save` or safetensors; tensors and plain values, and no code of it runs.

    Raises:
        ReleaseError: when it is missing, damaged, or holds other Python objects.
    """
    path = Path(path)
    if not path.is_file():
        raise ReleaseError(f"there is no file {path}")
    if path.suffix == ".safetensors":
        weights.read_header(path)
        return weights.read(path)
    stand_ins: list[Any] = [(_ConfigOfGanZoo, "models.utils.config.BaseConfig")]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ReleaseError(
            f"{path} is refused: it holds Python objects beyond tensors and plain values, and reading those could run "
            f"code ({first_line(error)[:200]}). Save its state_dict() alone where it was made"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ReleaseError(f"{path} is damaged, or no file of torch.save ({error!r:.200})") from error
