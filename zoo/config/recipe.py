"""Recipes as checked data: the classes that a run is built from, and their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf

from zoo.config.building import build
from zoo.config.class_names import class_path
from zoo.config.references import Keys, with_references


@dataclass(frozen=True)
class ClassSpec:
    """A class and the checked arguments that it will be built with.

    Args:
        where: name of the section in the recipe, such as "model" or "callbacks.SaveEvery".
        target: the class.
        arguments: its arguments, with every default.
    """

    where: str
    target: Callable[..., Any]
    arguments: dict[str, Any]

    def build(self) -> Any:
        """Call the class with its arguments.

        Raises:
            UserError: see `zoo.config.building.build`.
        """
        return build(self.target, self.arguments, self.where)


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Args:
        name: name of the file without its ending; also the name of the folder for its runs.
        seed: seed of everything random.
        images: length of the run, in real images shown to the discriminator over all devices.
        model: class and arguments of the `GAN`.
        data: class and arguments of the `LightningDataModule`.
        trainer: arguments of `pytorch_lightning.Trainer`.
        callbacks: callbacks by name.
        loggers: loggers by name, beside the run's own CSV and TensorBoard files.
        notes: decisions made on the user's behalf, to be printed.
        pretrained: release or run whose weights the run starts from, see `zoo.runs.finetuning`; empty for random
            weights.
        references: settings that follow another one, such as `lr_horizon: ${images}`, by the keys that lead to them.
        numbers: published numbers of the recipe, see `zoo.config.published`; a run does not depend on them.
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
    references: Mapping[Keys, str] = field(default_factory=dict, compare=False)
    numbers: list[dict[str, Any]] = field(default_factory=list, compare=False)

    def to_yaml(self) -> str:
        """Return the recipe as YAML, which is itself a recipe: every default is written out, references are kept."""
        sections = with_references(self.sections(), self.references)
        if self.numbers:
            sections["numbers"] = self.numbers
        return OmegaConf.to_yaml(OmegaConf.create(sections))  # quotes texts that would be read back as numbers

    def sections(self) -> dict[str, Any]:
        """Return all settings as nested plain values, every default and every reference written out."""

        def section(spec: ClassSpec) -> dict[str, Any]:
            plain = {key: list(v) if isinstance(v, tuple) else v for key, v in spec.arguments.items()}
            return {"class": class_path(spec.target), **plain}

        return {
            "seed": self.seed,
            "images": self.images,
            "pretrained": self.pretrained,
            "model": section(self.model),
            "data": section(self.data),
            "trainer": self.trainer,
            "callbacks": {name: section(spec) for name, spec in self.callbacks.items()},
            "loggers": {name: section(spec) for name, spec in self.loggers.items()},
        }
