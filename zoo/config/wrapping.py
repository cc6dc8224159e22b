"""Wrap the model of a recipe in a mixture, or take its base out of one, when `model.class` asks for it.

A model of one class may be the base of another, as in `MixGAN`: `model.class=MixGAN` on a recipe of a DCGAN makes the
recipe's model the base of the mixture, and settings elsewhere that refer to the model, such as `${model.channels}`,
refer to the base. `model.class=DCGAN` on the recipe of a mixture does the opposite.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from zoo.config.class_names import PUBLIC
from zoo.config.kinds import Kinds
from zoo.config.settings import settings_of
from zoo.errors import UserError

ONLY_OF_WRAPPERS = ("MixtureReport",)
"""Callbacks that work with no other models."""


def member_section(model: Mapping[str, Any]) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return the keys of the section with the settings of a single GAN, and these: of a mixture those of its base.

    Args:
        model: settings of the model of a recipe.
    """
    base = model.get("base")
    return (("model", "base"), base) if isinstance(base, Mapping) else (("model",), model)


def follow_wrapper(written: dict[str, Any], overrides: dict[str, Any], kinds: Kinds) -> list[str]:
    """Move the settings of a recipe's model where a new `model.class` needs them; change both arguments in place.

    Nothing is moved unless exactly one of the old and the new class has a base.

    Args:
        written: content of the recipe's file, interpolations not yet resolved.
        overrides: nested values that replace those of the file.
        kinds: the base class of each section, among them that of models.

    Returns:
        Notes for the user.
    """
    old, new = written.get("model"), overrides.get("model")
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)) or "class" not in new or "class" not in old:
        return []
    is_wrapper, was_wrapper = (has_base(_model_class(section["class"], kinds)) for section in (new, old))
    if is_wrapper and not was_wrapper:
        return _wrap(written, overrides, dict(old), dict(new), kinds)
    if was_wrapper and not is_wrapper and isinstance(old.get("base"), Mapping):
        return _unwrap(written, overrides, old, new)
    return []


def has_base(target: Any) -> bool:
    """Return whether the models of a class are built around another model, their setting `base`."""
    return "base" in getattr(target, "nested", ())


def wrapper_hint(setting: str, kinds: Kinds) -> str:
    """Return how to get a setting that a model lacks but a public class around other models has; "" if none has it.

    Args:
        setting: name of the setting.
        kinds: the base class of each section, among them that of models.
    """
    for name, path in PUBLIC.items():
        target = _model_class(name, kinds) if path.startswith("zoo.models.") else None
        if target is not None and has_base(target) and setting in settings_of(target):
            return (
                f" {name} has it: model.class={name} model.{setting}=VALUE trains a mixture whose base is this recipe's"
                " model"
            )
    return ""


def _wrap(
    written: dict[str, Any], overrides: dict[str, Any], old: dict[Any, Any], new: dict[Any, Any], kinds: Kinds
) -> list[str]:
    """Make the model of the recipe the base of the new class.

    Args:
        written: content of the recipe's file, changed in place.
        overrides: values that replace those of the file, changed in place.
        old: section `model` of the file.
        new: section `model` of the overrides.
        kinds: the base class of each section, among them that of models.

    Returns:
        Notes for the user.
    """
    base = new.get("base") or {}
    base = {"class": str(base)} if isinstance(base, str) else base
    if not isinstance(base, Mapping):
        return []  # reported later, with the other faults
    own = settings_of(_model_class(new["class"], kinds))
    of_base = settings_of(_model_class(base.get("class", old["class"]), kinds) or kinds.model.base)
    moved = {key: value for key, value in new.items() if key not in own and key in of_base}
    kept = {key: value for key, value in new.items() if key not in moved and key != "base"}
    seed = {"seed": old.pop("seed")} if "seed" in old else {}  # a base has no seed of its own
    to_base = partial(_refer, r"(?!base\b)", "model.base.")
    _replace(
        written, {**written, "model": {"class": str(new["class"]), **seed, "base": old}}, partial(to_base, kept=seed)
    )
    base = {"base": {**moved, **base}} if moved or base else {}
    _replace(overrides, {**overrides, "model": {**kept, **base}}, partial(to_base, kept=own))
    name = str(new["class"])
    notes = [f"the recipe's {old['class']} is the base of the {name}: its settings are model.base.NAME"]
    if moved:
        notes.append(f"{', '.join(f'model.{key} is model.base.{key}' for key in moved)}; {name} has no such setting")
    return notes


def _unwrap(
    written: dict[str, Any], overrides: dict[str, Any], old: Mapping[Any, Any], new: Mapping[Any, Any]
) -> list[str]:
    """Make the base in the recipe the model.

    Args:
        written: content of the recipe's file, changed in place.
        overrides: values that replace those of the file, changed in place.
        old: section `model` of the file.
        new: section `model` of the overrides.

    Returns:
        Notes for the user.
    """
    seed = {"seed": old["seed"]} if "seed" in old else {}
    model = {**seed, **old["base"]}
    to_model = partial(_refer, r"base\.", "model.", kept=())
    _replace(written, {**written, "model": model}, to_model)
    _replace(overrides, overrides, to_model)
    notes = [f"the base of the recipe's {old['class']} is the model: its settings are model.NAME"]
    callbacks = written.get("callbacks")
    if isinstance(callbacks, Mapping):
        dropped = [name for name in callbacks if name in ONLY_OF_WRAPPERS]
        written["callbacks"] = {name: value for name, value in callbacks.items() if name not in dropped}
        if dropped:
            notes.append(f"callbacks.{', callbacks.'.join(dropped)} is left out; {new['class']} is no mixture")
    return notes


def _refer(after: str, to: str, text: str, kept: Collection[str]) -> str:
    """Return a text in which references to settings of the model have another beginning.

    Args:
        after: regular expression for what follows `model.` in a reference that is changed; it is removed.
        to: new beginning of the reference.
        text: the text, such as "${model.channels}".
        kept: names of settings whose references stay as they are.
    """

    def changed(match: re.Match[str]) -> str:
        return match[0] if match[2] in kept else match[1] + to + match[2]

    return re.sub(r"(\$\{\s*)model\." + after + r"(\w+)", changed, text)


def _replace(holder: dict[str, Any], content: Mapping[str, Any], change: Callable[[str], str]) -> None:
    """Replace the content of a dictionary by other content, with every text that has a reference changed."""
    changed = _map_texts(content, change)
    holder.clear()
    holder.update(changed)


def _map_texts(node: Any, change: Callable[[str], str]) -> Any:
    """Return nested values with every text that contains a reference changed."""
    if isinstance(node, Mapping):
        return {key: _map_texts(value, change) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_map_texts(value, change) for value in node]
    return change(node) if isinstance(node, str) and "${" in node else node


def _model_class(name: Any, kinds: Kinds) -> Any:
    """Return the model class of a name; None if there is none, which is reported later, with the other faults."""
    try:
        target = kinds.find(str(name))
    except UserError:
        return None
    return target if inspect.isclass(target) and issubclass(target, kinds.model.base) else None
