"""Recipes as checked data: which classes a run is built from, and with which arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from zoo.config.class_names import class_path
from zoo.errors import UserError


@dataclass(frozen=True)
class ClassSpec:
    """A class and the checked arguments it will be built with."""

    where: str
    target: Callable[..., Any]
    arguments: dict[str, Any]

    def build(self) -> Any:
        """Call the class.

        Raises:
            UserError: when the class refuses a value.
        """
        try:
            return self.target(**self.arguments)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{self.where}: {error}") from error


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Args:
        name: of the file, without its ending; names the run's folder.
        seed: of everything random.
        images: length of the run, in real images shown to the discriminator over all devices.
        model: a `GAN`.
        data: a `LightningDataModule`.
        trainer: arguments of `pytorch_lightning.Trainer`.
        callbacks: by name.
        loggers: by name, beside the run's own CSV and TensorBoard files.
        notes: what was decided on the user's behalf, to be shown.
        pretrained: the trained model whose weights it starts from, see `zoo.runs.finetuning`; empty for random ones.
    """

    name: str
    seed: int
    images: int
    model: ClassSpec
    data: ClassSpec
    trainer: dict[str, Any]
    callbacks: dict[str, ClassSpec]
    loggers: dict[str, ClassSpec]
    notes: list[str] = field(default_factory=list)
    pretrained: str = ""

    def to_yaml(self) -> str:
        """The whole recipe with every default written out; itself a recipe."""

        def section(part: ClassSpec) -> dict[str, Any]:
            plain = {key: list(v) if isinstance(v, tuple) else v for key, v in part.arguments.items()}
            return {"class": class_path(part.target), **plain}

        whole = {
            "seed": self.seed,
            "images": self.images,
            "pretrained": self.pretrained,
            "model": section(self.model),
            "data": section(self.data),
            "trainer": self.trainer,
            "callbacks": {name: section(part) for name, part in self.callbacks.items()},
            "loggers": {name: section(part) for name, part in self.loggers.items()},
        }
        return OmegaConf.to_yaml(OmegaConf.create(whole))  # quotes texts that would be read back as numbers
