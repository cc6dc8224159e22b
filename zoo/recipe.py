"""A recipe: one YAML file that is a whole run. Found, read, overridden, and turned into objects.

A recipe never inherits: what is in the file is what runs. `zoo.checking` finds every fault of file and command line
before anything is built, and reports all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.classes import class_path
from zoo.errors import RecipeError, UserError, first_line, nearest


@dataclass(frozen=True)
class Part:
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
        pretrained: the trained model whose weights it starts from, see `zoo.finetuning`; empty for random ones.
    """

    name: str
    seed: int
    images: int
    model: Part
    data: Part
    trainer: dict[str, Any]
    callbacks: dict[str, Part]
    loggers: dict[str, Part]
    notes: list[str] = field(default_factory=list)
    pretrained: str = ""

    def to_yaml(self) -> str:
        """The whole recipe with every default written out; itself a recipe."""

        def section(part: Part) -> dict[str, Any]:
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


# --- reading ---------------------------------------------------------------------------------------------------------


def recipe_folder() -> Path:
    """Where the recipes of the zoo lie: inside an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parent
    return package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the zoo."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def find_recipe(name: str) -> Path:
    """The file of a recipe, given by its name or by its path.

    Raises:
        UserError: when there is no such recipe.
    """
    if name.endswith((".yaml", ".yml")):
        if Path(name).is_file():
            return Path(name)
        raise UserError(f"there is no recipe file {name}")
    if name in recipe_names():
        return recipe_folder() / f"{name}.yaml"
    raise UserError(
        f"there is no recipe called {name!r}.{nearest(name, recipe_names())} `python -m zoo` lists all; a file of "
        "your own is given by its path, ending in .yaml"
    )


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Nested values from `key=value` words; dots nest, and values are read as YAML.

    Raises:
        UserError: for a word without "=", or a value that is not YAML.
    """
    nested = OmegaConf.create({})
    for word in arguments:
        if "=" not in word or word.startswith("="):
            raise UserError(f"{word!r} is not of the form key=value, such as images=20000 or model.width=32")
        try:
            one = OmegaConf.to_container(OmegaConf.from_dotlist([word]), resolve=False)
            nested = OmegaConf.merge(nested, OmegaConf.create(_numbered(one)))  # type: ignore[assignment]
        except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            raise UserError(f"the value in {word!r} cannot be read: {first_line(error)}") from error
    result = OmegaConf.to_container(nested, resolve=False)
    assert isinstance(result, dict)
    return {str(key): value for key, value in result.items()}


def _numbered(node: Any, depth: int = 0) -> Any:
    """Whole numbers below a setting, as in data.batch_size.128=8, are numbers and no names."""
    if not isinstance(node, dict):
        return node
    return {
        int(key) if depth > 1 and str(key).isdecimal() else key: _numbered(value, depth + 1)
        for key, value in node.items()
    }


def load_recipe(where: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read, override and check a recipe.

    Args:
        where: its name or path.
        overrides: nested values that replace the file's, such as {"model": {"width": 32}}; None removes a callback. A
            class stands for its name.

    Raises:
        RecipeError: with every fault that was found.
    """
    from zoo.checking import SECTIONS, Check  # here, because checking builds on this file

    path = where if isinstance(where, Path) else find_recipe(where)
    overrides = {key: _with_names(value) for key, value in (overrides or {}).items()}
    subject = str(path.stem if path.parent == recipe_folder() else path)
    if overrides:
        subject += " with " + " ".join(_as_words(overrides))
    try:
        written = OmegaConf.load(path)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise RecipeError(subject, [f"not readable as YAML: {error}"]) from error
    content = OmegaConf.to_container(written, resolve=False)
    if not isinstance(content, dict):
        raise RecipeError(subject, ["a recipe is a mapping with the sections " + ", ".join(SECTIONS)])
    plain = {str(key): value for key, value in content.items()}
    return Check(subject).recipe(path.stem, plain, overrides)


def _with_names(node: Any) -> Any:
    """Settings in which classes have become names, which is what a recipe can write down."""
    if isinstance(node, dict):
        return {key: _with_names(value) for key, value in node.items()}
    return class_path(node) if isinstance(node, type) else node


def _as_words(nested: Mapping[str, Any], prefix: str = "") -> list[str]:
    words = []
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            words += _as_words(value, f"{prefix}{key}.")
        else:
            shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
            words.append(f"{prefix}{key}={shown}")
    return words
