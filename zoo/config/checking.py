"""Check a recipe against the signatures of the classes that it names, and report all faults at once."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.config import published
from zoo.config.class_names import class_path, other_lightning
from zoo.config.durations import duration_fault
from zoo.config.kinds import Kind, Kinds
from zoo.config.recipe import ClassSpec, Recipe
from zoo.config.references import Keys, references_in
from zoo.config.settings import check_settings, settings_of
from zoo.config.values import merged
from zoo.config.wrapping import follow_wrapper, wrapper_hint
from zoo.errors import RecipeError, UserError, did_you_mean

TOP_LEVEL = ("seed", "images", "pretrained")
SECTIONS = (*TOP_LEVEL, "model", "data", "trainer", "callbacks", "loggers")
"""Sections that a run is built from; beside them a recipe may state published numbers, see `zoo.config.published`."""
REFUSED_BY_TRAINER = {
    "accumulate_grad_batches": "Lightning's accumulation knows one optimizer; set model.micro_batches",
    "barebones": "set trainer.log_every_n_steps and remove callbacks instead",
    "callbacks": "it is a section of its own; use callbacks.NAME",
    "check_val_every_n_epoch": "there is no validation loop; metrics are callbacks",
    "default_root_dir": "set the run folder with out=FOLDER",
    "enable_checkpointing": "callbacks.SaveEvery saves, by images seen",
    "enable_model_summary": "the headline of a run is fixed",
    "enable_progress_bar": "without a terminal progress is plain lines; redirect the output to be rid of it",
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
    "plugins": "the zoo sets its own for checkpoints",
    "use_distributed_sampler": "the data follow the clock on any number of devices",
    "val_check_interval": "there is no validation loop; metrics are callbacks",
}
LENGTHS = ("epochs", "steps", "iterations", "kimg", "n_epochs", "num_epochs")
"""Names that other libraries give to the length of a run."""
MIXTURES = ("mix", "mixture", "components")
"""Names that a user may try for the number of members of a mixture."""


class Check:
    """The check of one recipe.

    Args:
        subject: description of the recipe for the first line of the error.
        kinds: the base class of each section.
    """

    def __init__(self, subject: str, kinds: Kinds) -> None:
        self.subject, self.kinds = subject, kinds
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.references: dict[Keys, str] = {}
        self._unresolved: set[str] = set()
        self._left_out: dict[str, str] = {}  # settings of the file that a new class does not take, and that class

    def recipe(self, name: str, written: dict[str, Any], overrides: dict[str, Any]) -> Recipe:
        """Return the checked recipe.

        Args:
            name: name of the recipe.
            written: content of the file, interpolations not yet resolved.
            overrides: nested values that replace those of the file.

        Raises:
            RecipeError: with every fault.
        """
        for key in dict.fromkeys([*written, *overrides]):
            if key not in (*SECTIONS, published.SECTION):
                self.faults.append(f"{key}: {_unknown_section(str(key), {**written, **overrides}, self.kinds)}")
        self.notes += follow_wrapper(written, overrides, self.kinds)
        self._follow_new_data(written, overrides)
        self._drop_settings_of_other_classes(written, overrides)
        resolved = self._resolved(written, overrides)
        given = {key: resolved[key] for key in TOP_LEVEL if key in resolved}
        values, faults = check_settings(top_level, given, "", called="a recipe")
        self.faults += faults
        if values.get("images", 1) < 1:
            self.faults.append(f"images: the length of a run must be at least 1 image; got {values['images']}")
        seed = values.get("seed", 0)
        model = self.class_section("model", resolved.get("model"), self.kinds.model, seed)
        data = self.class_section("data", resolved.get("data"), self.kinds.data, seed)
        trainer = self.trainer(resolved.get("trainer") or {})
        callbacks = self.named_sections("callbacks", resolved.get("callbacks"), self.kinds.callback)
        loggers = self.named_sections("loggers", resolved.get("loggers"), self.kinds.logger)
        numbers, faults = published.check_numbers(resolved.get(published.SECTION))
        self.faults += faults
        if self.faults or model is None or data is None:
            raise RecipeError(self.subject, list(dict.fromkeys(self.faults)))
        return Recipe(
            name,
            **values,
            model=model,
            data=data,
            trainer=trainer,
            callbacks=callbacks,
            loggers=loggers,
            notes=self.notes,
            references=self.references,
            numbers=numbers,
        )

    def _follow_new_data(self, written: dict[str, Any], overrides: dict[str, Any]) -> None:
        """Make a recipe with another data source unconditional, unless a number of classes is given with it."""
        old, new = _mapping(written.get("data")), _mapping(overrides.get("data"))
        written_model, model, where = _mapping(written.get("model")), overrides.get("model", {}), "model"
        is_mixture = isinstance(written_model.get("base"), Mapping)
        if is_mixture:  # a mixture has the classes of its base
            written_model, where = written_model["base"], "model.base"
            model = model.get("base", {}) if isinstance(model, Mapping) else None
        classes = written_model.get("num_classes", 0)
        if "class" not in new or new["class"] == old.get("class") or not classes:
            return
        if not isinstance(model, Mapping) or "num_classes" in model:
            return
        target = self._class_or_none(model.get("class", written_model.get("class")))
        if inspect.isclass(target) and "num_classes" not in settings_of(target):  # the class decides, see `fixed_in`
            return
        changed = {**model, "num_classes": 0}
        overrides["model"] = {**overrides.get("model", {}), "base": changed} if is_mixture else changed
        self.notes.append(
            f"{where}.num_classes is 0 because data.class was changed; for a conditional model on labelled data give "
            f"{where}.num_classes= the number of its classes (the recipe's own data have {classes})"
        )

    def _drop_settings_of_other_classes(self, written: dict[str, Any], overrides: Mapping[str, Any]) -> None:
        """Remove the file's settings of a class that the overrides replace by another.

        Of a model, the settings that the new class does not have are removed. Of data, only the settings that all
        sources share are kept, because the same name, such as `root`, means another folder.
        """
        shared = set(settings_of(self.kinds.source)) - {"held_out"}
        model = _mapping(written.get("model"))
        sections: list[tuple[str, str, type, Any, Mapping[str, Any]]] = [
            ("model", "model", self.kinds.model.base, written, overrides),
            ("model.base", "base", self.kinds.model.base, model, _mapping(overrides.get("model"))),
            ("data", "data", self.kinds.data.base, written, overrides),
        ]
        for section, key, kind, holder, changes in sections:
            old, given = _mapping(holder.get(key)), _mapping(changes.get(key))
            if "class" not in given or given["class"] == old.get("class"):
                continue
            target = self._class_or_none(given["class"])
            if not (inspect.isclass(target) and issubclass(target, kind)):
                continue
            known = set(settings_of(target)) & shared if section == "data" else set(settings_of(target))
            dropped = [str(name) for name in old if name != "class" and name not in known]
            holder[key] = {name: value for name, value in old.items() if name not in dropped}
            self._left_out |= {f"{section}.{name}": target.__name__ for name in dropped}
            dropped = [name for name in dropped if name not in given]
            if dropped:
                verb = "is" if len(dropped) == 1 else "are"
                self.notes.append(f"{section}.class was changed; the recipe's {', '.join(dropped)} {verb} left out")

    def _resolved(self, written: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
        """Merge file and overrides, and replace interpolations by the values they refer to."""
        objects = {"allow_objects": True}  # texts whose type the setting decides, see zoo.config.values.Word
        both = OmegaConf.create(merged(written, overrides), flags=objects)
        self.references = references_in(both)
        return self._resolved_mapping(both, "")

    def _resolved_mapping(self, node: DictConfig, where: str) -> dict[Any, Any]:
        """Return a mapping with every interpolation resolved; keys keep their type."""
        result: dict[Any, Any] = {}
        for key in node:
            name = where + str(key)
            try:
                value = node[key]
                if isinstance(value, DictConfig):
                    result[key] = self._resolved_mapping(value, f"{name}.")
                else:
                    result[key] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            except OmegaConfBaseException:
                raw = OmegaConf.to_container(node, resolve=False)
                assert isinstance(raw, dict)
                self._unresolved.add(name)
                left_out = self._left_out.get(str(raw[key]).strip("${} "))
                missing = f"a setting that {left_out} does not take" if left_out else "something that is not there"
                self.faults.append(f"{name}: {raw[key]} refers to {missing}. Give {name}=VALUE")
        return result

    def class_section(self, where: str, section: Any, kind: Kind, seed: int | None = None) -> ClassSpec | None:
        """Check a section that names a class; return None if it has a fault that hides its class.

        Args:
            where: name of the section, such as "model" or "callbacks.SampleGrid".
            section: content of the section.
            kind: base class that the named class must extend.
            seed: the recipe's seed, for a class that has a seed, unless the section gives one; None for none.
        """
        if section is None or (isinstance(section, Mapping) and section.get("class") is None):
            self.faults.append(f"{where}: missing; it is a mapping with `class`, {kind.description}, and its settings")
            return None
        if not isinstance(section, Mapping):
            self.faults.append(f"{where}: must be a mapping with `class` and its settings; got {section!r}")
            return None
        arguments = {str(key): value for key, value in section.items() if key != "class"}
        try:
            target = self.kinds.find(str(section["class"]), kind.base)
        except UserError as error:
            self.faults.append(f"{where}.class: {error}")
            return None
        if not (inspect.isclass(target) and issubclass(target, kind.base)):
            fault = other_lightning(target) or f"{section['class']} is not {kind.description}"
            self.faults.append(f"{where}.class: {fault}")
            return None
        if target in self.kinds.abstract:
            self.faults.append(f"{where}.class: {section['class']} is a base to extend; name a class built on it")
            return None
        if seed is not None and "seed" in settings_of(target):
            arguments.setdefault("seed", seed)
        for name in getattr(target, "nested", ()):
            arguments[name] = self.nested_model(f"{where}.{name}", arguments)
        values, faults = check_settings(target, arguments, f"{where}.", beside=("class",))
        if where == "model":
            unknown = {f"model.{key}": key for key in arguments if key not in settings_of(target)}
            faults = [f + wrapper_hint(unknown.get(f.partition(":")[0], ""), self.kinds) for f in faults]
        self.faults += [fault for fault in faults if fault.partition(":")[0] not in self._unresolved]
        return ClassSpec(where, target, values)

    def nested_model(self, where: str, outer: Mapping[str, Any]) -> dict[str, Any]:
        """Check a model within a model; return its settings with every default, and by default the outer seed.

        Args:
            where: name of the inner section, such as "model.base".
            outer: settings of the outer model.
        """
        given = outer.get(where.rpartition(".")[2])
        section = {"class": given} if isinstance(given, str) else given
        inner = self.class_section(where, section, self.kinds.model, outer.get("seed", 0))
        return {} if inner is None else {"class": class_path(inner.target), **inner.arguments}

    def named_sections(self, where: str, section: Any, kind: Kind) -> dict[str, ClassSpec]:
        """Check a section whose entries name a class each; an entry's name is its class unless it has a key `class`."""
        if section is None:
            return {}
        if not isinstance(section, Mapping):
            self.faults.append(
                f"{where}: must be a mapping from a name to settings, such as SaveEvery: {{every: 50000}}"
            )
            return {}
        specs = {}
        for name, given in section.items():
            if given is None:  # removed on the command line, as in callbacks.SampleGrid=null
                continue
            if not isinstance(given, Mapping):
                self.faults.append(f"{where}.{name}: must be a mapping of settings, {{}} for none; got {given!r}")
                continue
            spec = self.class_section(f"{where}.{name}", {"class": name, **given}, kind)
            if spec is not None:
                specs[str(name)] = spec
        return specs

    def _class_or_none(self, name: Any) -> Any:
        """Return the class of a name; None if there is none, which is reported later, with the other faults."""
        try:
            return self.kinds.find(str(name))
        except UserError:
            return None

    def trainer(self, section: Any) -> dict[str, Any]:
        """Check the arguments of Lightning's Trainer, and refuse those that the GAN loop sets or cannot honour."""
        if not isinstance(section, Mapping):
            self.faults.append(f"trainer: must be a mapping of arguments of pytorch_lightning.Trainer; got {section!r}")
            return {}
        self.faults += [f"trainer.{key}: {REFUSED_BY_TRAINER[key]}" for key in section if key in REFUSED_BY_TRAINER]
        allowed = {str(key): value for key, value in section.items() if key not in REFUSED_BY_TRAINER}
        precision = {"precision": str(allowed.pop("precision"))} if "precision" in allowed else {}
        for given in precision.values():
            if given != "auto" and (fault := self.kinds.precision_fault(given)):
                self.faults.append(f"trainer.precision: {fault}; use bf16-mixed, 32-true, or auto, which chooses")
        if fault := self.kinds.strategy_fault(str(allowed.get("strategy", "auto"))):
            self.faults.append(
                f"trainer.strategy: {fault}. Leave it out: trainer.devices=2 trains a copy on each device. If memory "
                "is short: model.micro_batches=2, or trainer.precision=bf16-mixed"
            )
            del allowed["strategy"]
        threads = {"threads": allowed.pop("threads")} if "threads" in allowed else {}
        if threads and threads["threads"] != "auto" and not is_count(threads["threads"]):
            self.faults.append(
                "trainer.threads: a number of threads from 1, or auto, which tries several at the start of a long run "
                f"on a CPU; got {threads['threads']!r}"
            )
        values, faults = check_settings(self.kinds.trainer, allowed, "trainer.", complete=False)
        self.faults += faults
        if fault := duration_fault(values.get("max_time")):
            self.faults.append(f"trainer.max_time: {fault}")
        return {**precision, **threads, **values}


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def top_level(images: int, seed: int = 0, pretrained: str = "") -> None:
    """Declare the settings of a recipe that belong to no section.

    Args:
        images: length of the run, in real images shown to the discriminator over all devices.
        seed: seed of everything random.
        pretrained: release or run whose weights the run starts from; empty for random weights.
    """


def _unknown_section(key: str, sections: Mapping[str, Any], kinds: Kinds) -> str:
    """Return the fault for an unknown key at the top level, which often is a setting of some section.

    Args:
        key: the unknown key.
        sections: content of the recipe, to know which classes it names.
        kinds: the base class of each section.
    """
    if key in REFUSED_BY_TRAINER:
        return f"there is no such section; {REFUSED_BY_TRAINER[key]}"
    section, _, setting = key.partition(".")
    if setting and section in SECTIONS:  # from Python: {"model.width": 8}
        for name in reversed(setting.split(".")):
            setting = f'{{"{name}": {setting if setting.startswith("{") else "..."}}}'
        return f"names joined by dots are for the command line; from Python give {section}={setting}"
    if key in MIXTURES:
        return "there is no such section; a mixture of the recipe's model is model.class=MixGAN model.components=3"
    if key in LENGTHS:
        return "there is no such section; a run's length is `images`, the number of real images shown"
    candidates = [
        f"{section}.{name}"
        for section in ("model", "data", "trainer")
        for name in _setting_names(section, _mapping(sections.get(section)), kinds)
        if name == key or name.endswith(f"_{key}")
    ]
    exact = [name for name in candidates if name.endswith(f".{key}")]
    candidates = exact or candidates
    hint = f" Did you mean {' or '.join(candidates)}?" if candidates else did_you_mean(key, SECTIONS)
    return f"there is no such section.{hint}"


def _setting_names(section: str, given: Mapping[str, Any], kinds: Kinds) -> list[str]:
    """Return the names of a section's settings; if its class cannot be found, those that are given."""
    if section == "trainer":
        return sorted(settings_of(kinds.trainer))
    try:
        return sorted(settings_of(kinds.find(str(given.get("class")))))
    except (UserError, TypeError, ValueError):
        return sorted(map(str, given))


def _mapping(section: Any) -> Mapping[str, Any]:
    """Return a section, or an empty one in place of anything that is no mapping."""
    return section if isinstance(section, Mapping) else {}
