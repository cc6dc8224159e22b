"""A recipe: one YAML file that is a whole run. Read, overridden, checked, and turned into objects.

A recipe never inherits: what is in the file is what runs. Every fault of file and command line is found before anything
is built, and all are reported together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import Callback, LightningDataModule, Trainer
from pytorch_lightning.loggers import Logger

from zoo.classes import class_path, find_class
from zoo.errors import RecipeError, UserError, first_line, nearest
from zoo.gan import GAN
from zoo.settings import check_settings, settings_of

SECTIONS = ("seed", "images", "model", "data", "trainer", "callbacks", "loggers")
REFUSED_BY_TRAINER = {
    "accumulate_grad_batches": "Lightning's accumulation knows one optimizer; set model.micro_batches",
    "callbacks": "it is a section of its own; use callbacks.NAME",
    "check_val_every_n_epoch": "there is no validation loop; metrics are callbacks",
    "default_root_dir": "set the run folder with out=FOLDER",
    "enable_checkpointing": "callbacks.SaveEvery saves, by images seen",
    "fast_dev_run": "set images to a few batches",
    "gradient_clip_algorithm": "the loop clips each player by norm; set model.clip_norm",
    "gradient_clip_val": "Lightning clips for one optimizer; set model.clip_norm, which clips each player",
    "inference_mode": "there is no validation loop",
    "limit_train_batches": "a run's length is `images`",
    "limit_val_batches": "there is no validation loop; metrics are callbacks",
    "logger": "it is a section of its own; use loggers.NAME",
    "max_epochs": "a run's length is `images`",
    "max_steps": "a run's length is `images`; Lightning would count every optimizer's steps",
    "min_epochs": "a run's length is `images`",
    "min_steps": "a run's length is `images`",
    "num_sanity_val_steps": "there is no validation loop",
    "use_distributed_sampler": "the data follow the clock on any number of devices",
    "val_check_interval": "there is no validation loop; metrics are callbacks",
}


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

    def to_yaml(self) -> str:
        """The whole recipe with every default written out; itself a recipe."""

        def section(part: Part) -> dict[str, Any]:
            plain = {key: list(v) if isinstance(v, tuple) else v for key, v in part.arguments.items()}
            return {"class": class_path(part.target), **plain}

        whole = {
            "seed": self.seed,
            "images": self.images,
            "model": section(self.model),
            "data": section(self.data),
            "trainer": self.trainer,
            "callbacks": {name: section(part) for name, part in self.callbacks.items()},
            "loggers": {name: section(part) for name, part in self.loggers.items()},
        }
        return str(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))


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
            nested = OmegaConf.merge(nested, OmegaConf.from_dotlist([word]))  # type: ignore[assignment]
        except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            raise UserError(f"the value in {word!r} cannot be read: {first_line(error)}") from error
    result = OmegaConf.to_container(nested, resolve=False)
    assert isinstance(result, dict)
    return {str(key): value for key, value in result.items()}


def load_recipe(where: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read, override and check a recipe.

    Args:
        where: its name or path.
        overrides: nested values that replace the file's, such as {"model": {"width": 32}}; None removes a callback.

    Raises:
        RecipeError: with every fault that was found.
    """
    path = where if isinstance(where, Path) else find_recipe(where)
    subject = str(path.stem if path.parent == recipe_folder() else path)
    if overrides:
        subject += " with " + " ".join(_as_words(overrides))
    try:
        written = OmegaConf.load(path)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise RecipeError(subject, [f"not readable as YAML: {error}"]) from error
    if not isinstance(written, DictConfig):
        raise RecipeError(subject, ["a recipe is a mapping with the sections " + ", ".join(SECTIONS)])
    return _Check(subject).recipe(path.stem, written, dict(overrides or {}))


def _as_words(nested: Mapping[str, Any], prefix: str = "") -> list[str]:
    words = []
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            words += _as_words(value, f"{prefix}{key}.")
        else:
            words.append(f"{prefix}{key}={value}")
    return words


# --- checking --------------------------------------------------------------------------------------------------------


class _Check:
    """Collects the faults of one recipe."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.faults: list[str] = []
        self.notes: list[str] = []

    def recipe(self, name: str, written: DictConfig, overrides: dict[str, Any]) -> Recipe:
        for key in [*written, *overrides]:
            if key not in SECTIONS:
                self.faults.append(f"{key}: there is no such section.{nearest(str(key), SECTIONS)}")
        self._follow_new_data(written, overrides)
        self._drop_other_class(written, overrides)
        whole = self._resolved(written, overrides)
        top: dict[str, Any] = {"seed": 0, **{key: whole[key] for key in ("seed", "images") if key in whole}}
        numbers, faults = check_settings(_top_level, top, "")
        self.faults += faults
        if not faults and numbers["images"] < 1:
            self.faults.append(f"images: the length of a run must be at least 1 image; got {numbers['images']}")
        for section in ("model", "data"):  # one seed for everything, unless a part is given its own
            if isinstance(whole.get(section), dict):
                whole[section].setdefault("seed", top["seed"])
        model = self.part("model", whole.get("model"), GAN, "a GAN")
        data = self.part("data", whole.get("data"), LightningDataModule, "a source of images")
        trainer = self.trainer(whole.get("trainer") or {})
        callbacks = self.parts("callbacks", whole.get("callbacks"), Callback, "a Lightning callback")
        loggers = self.parts("loggers", whole.get("loggers"), Logger, "a Lightning logger")
        if self.faults or model is None or data is None:
            raise RecipeError(self.subject, list(dict.fromkeys(self.faults)))
        return Recipe(name, numbers["seed"], numbers["images"], model, data, trainer, callbacks, loggers, self.notes)

    def _follow_new_data(self, written: DictConfig, overrides: dict[str, Any]) -> None:
        """A recipe pointed at other data becomes unconditional, unless its number of classes was given as well."""
        new_data, model = overrides.get("data"), overrides.get("model") or {}
        classes = (written.get("model") or {}).get("num_classes", 0)
        if not (isinstance(new_data, Mapping) and "class" in new_data and classes) or "num_classes" in model:
            return
        if new_data["class"] == (written.get("data") or {}).get("class"):
            return
        overrides["model"] = {**model, "num_classes": 0}
        self.notes.append(
            f"model.num_classes is 0 because data.class was changed; give model.num_classes={classes} for "
            "a conditional model on labelled data"
        )

    def _drop_other_class(self, written: DictConfig, overrides: Mapping[str, Any]) -> None:
        """When the command line changes a section's class, the file's settings unknown to the new class go."""
        for section in ("model", "data"):
            given, old = overrides.get(section), written.get(section)
            if not isinstance(given, Mapping) or "class" not in given or not isinstance(old, DictConfig):
                continue
            if given["class"] == old.get("class"):
                continue
            try:
                known = settings_of(find_class(str(given["class"])))
            except UserError:
                continue  # reported later, with the other faults
            dropped = [str(key) for key in old if key != "class" and key not in known]
            for key in dropped:
                del old[key]
            if dropped:
                self.notes.append(f"{section}: {given['class']} has no {', '.join(dropped)}; the recipe's are left out")

    def _resolved(self, written: DictConfig, overrides: Mapping[str, Any]) -> dict[str, Any]:
        try:
            whole = OmegaConf.to_container(OmegaConf.merge(written, OmegaConf.create(dict(overrides))), resolve=True)
        except (OmegaConfBaseException, TypeError, ValueError) as error:
            raise RecipeError(self.subject, [*self.faults, first_line(error)]) from error
        assert isinstance(whole, dict)
        return {str(key): value for key, value in whole.items()}

    def part(self, where: str, section: Any, kind: type, kind_in_words: str) -> Part | None:
        """Check one section that names a class."""
        if not isinstance(section, Mapping) or "class" not in section:
            self.faults.append(f"{where}: missing; it is a mapping with `class`, {kind_in_words}, and its settings")
            return None
        arguments = {str(key): value for key, value in section.items() if key != "class"}
        try:
            target = find_class(str(section["class"]))
            if not (inspect.isclass(target) and issubclass(target, kind)):
                raise UserError(f"{section['class']} is not {kind_in_words}")
        except UserError as error:
            self.faults.append(f"{where}.class: {error}")
            return None
        values, faults = check_settings(target, arguments, f"{where}.")
        self.faults += faults
        return Part(where, target, values)

    def parts(self, where: str, section: Any, kind: type, kind_in_words: str) -> dict[str, Part]:
        """Check a section of named parts; the name is the class unless `class` says otherwise."""
        if section is None:
            return {}
        if not isinstance(section, Mapping):
            self.faults.append(
                f"{where}: must be a mapping from a name to settings, such as SaveEvery: {{every: 50000}}"
            )
            return {}
        found = {}
        for name, given in section.items():
            if given is None:  # removed on the command line, as in callbacks.SampleGrid=null
                continue
            if not isinstance(given, Mapping):
                self.faults.append(f"{where}.{name}: must be a mapping of settings, {{}} for none; got {given!r}")
                continue
            part = self.part(f"{where}.{name}", {"class": name, **given}, kind, kind_in_words)
            if part is not None:
                found[str(name)] = part
        return found

    def trainer(self, section: Any) -> dict[str, Any]:
        """Check the arguments of Lightning's Trainer, and refuse those that a GAN's loop must not have."""
        if not isinstance(section, Mapping):
            self.faults.append("trainer: must be a mapping of arguments of pytorch_lightning.Trainer")
            return {}
        allowed = {str(key): value for key, value in section.items() if key not in REFUSED_BY_TRAINER}
        self.faults += [f"trainer.{key}: {REFUSED_BY_TRAINER[key]}" for key in section if key in REFUSED_BY_TRAINER]
        if str(allowed.get("precision", "")) in ("16", "16-mixed", "16-true"):
            self.faults.append(
                f"trainer.precision: {allowed['precision']} is refused, since one loss scaler cannot serve two "
                "players and gradient penalties underflow; use bf16-mixed, 32-true, or auto"
            )
        given = {key: value for key, value in allowed.items() if (key, value) != ("precision", "auto")}
        values, faults = check_settings(Trainer, given, "trainer.", complete=False)
        self.faults += faults
        return {**{key: allowed[key] for key in allowed if key == "precision"}, **values}


def _top_level(images: int, seed: int = 0) -> None:
    """The signature that a recipe's plain numbers are checked against."""
