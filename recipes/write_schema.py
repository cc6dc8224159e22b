"""Write the JSON schema by which an editor completes and checks a recipe file: `python recipes/write_schema.py`.

Names, types, defaults and descriptions in `recipes/schema.json` are those of the constructors that a recipe calls. Run
this script, and `recipes/write_typed_settings.py`, after a constructor, its docstring or the table of public names has
changed; `tests/recipes/test_schema.py` compares the files with what the scripts would write. They lie beside the
recipes, outside the package, because only developers of this library run them and they need every class of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pytorch_lightning import Trainer

from zoo.config.checking import REFUSED_BY_TRAINER, top_level
from zoo.config.class_names import PUBLIC, find_class
from zoo.config.docstrings import paragraphs, parse_docstring
from zoo.config.kinds import Kind
from zoo.config.published import SECTION, published_number
from zoo.config.settings import REQUIRED, is_plain, settings_of
from zoo.runs.recipes import KINDS
from zoo.training.precision import PRECISIONS

SCHEMA = Path(__file__).resolve().parent / "schema.json"
Json = dict[str, Any]

INTERPOLATION: Json = {"$ref": "#/definitions/interpolation"}
SCALARS: dict[Any, str] = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
WIDTH = 118


# --- what a recipe may name ------------------------------------------------------------------------------------------


def classes_of(kind: Kind) -> dict[str, type]:
    """Return the public classes that a section may name, by name and sorted."""
    classes = {name: find_class(name) for name in sorted(PUBLIC)}
    return {name: c for name, c in classes.items() if issubclass(c, kind.base) and c not in KINDS.abstract}


def trainer_settings() -> dict[str, tuple[Any, Any]]:
    """Return type and default of the arguments of Lightning's Trainer that a recipe may give."""
    settings = {name: setting for name, setting in settings_of(Trainer).items() if name not in REFUSED_BY_TRAINER}
    threads = (int | Literal["auto"], "auto")
    return {**settings, "precision": (Literal[(*PRECISIONS, "auto")], "auto"), "threads": threads}


def descriptions_of(target: type) -> dict[str, str]:
    """Return the description of each setting from the docstrings of a class and its parents."""
    descriptions: dict[str, str] = {}
    for owner in target.__mro__:
        descriptions = {**parse_docstring(owner.__doc__).arguments, **descriptions}
    return descriptions


def nested_in(target: type) -> tuple[str, ...]:
    """Return the names of the settings of a class that are models themselves."""
    nested: tuple[str, ...] = getattr(target, "nested", ())
    return nested


def text_of(description: str) -> str:
    """Return a description as YAML sees it: on one line, with null for None."""
    return re.sub(r"\bNone\b", "null", " ".join(paragraphs(description)))


# --- JSON schema -----------------------------------------------------------------------------------------------------


def recipe_schema() -> Json:
    """Return the JSON schema (draft 7) of a recipe."""
    models, sources = classes_of(KINDS.model), classes_of(KINDS.data)
    callbacks, loggers = classes_of(KINDS.callback), classes_of(KINDS.logger)
    described = {name: text_of(text) for name, text in parse_docstring(top_level.__doc__).arguments.items()}
    plain = {name: setting_schema(*setting, described[name]) for name, setting in settings_of(top_level).items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Recipe of a GAN",
        "description": "One training run: model, data, trainer, callbacks and loggers.",
        "type": "object",
        "additionalProperties": False,
        "required": ["images", "model", "data"],
        "properties": {
            **plain,
            "model": {"$ref": "#/definitions/model"},
            "data": section_schema(sources, "Source of images."),
            "trainer": {
                "description": "Arguments of pytorch_lightning.Trainer.",
                "type": "object",
                "additionalProperties": False,
                "properties": {name: setting_schema(*setting, "") for name, setting in trainer_settings().items()},
            },
            "callbacks": named_sections_schema("callback", callbacks, "Callbacks by name; null removes one."),
            "loggers": named_sections_schema(
                "logger", loggers, "Loggers by name, beside the run's CSV and TensorBoard."
            ),
            SECTION: {
                "description": "Published numbers, which `zoo.evaluate compare=published` prints beside ours.",
                "type": ["array", "null"],
                "items": published_schema(),
            },
        },
        "definitions": {
            "interpolation": {"type": "string", "pattern": r"\$\{.+\}"},
            "model": section_schema(models, "The GAN."),
            "callback": {
                "type": ["object", "null"],
                "properties": {"class": class_name(callbacks)},
                **rules(callbacks),
            },
            "logger": {"type": ["object", "null"], "properties": {"class": class_name(loggers)}, **rules(loggers)},
            **{
                name: class_schema(target)
                for classes in (models, sources, callbacks, loggers)
                for name, target in classes.items()
            },
        },
    }


def published_schema() -> Json:
    """Return the schema of an entry of the section of published numbers."""
    described = parse_docstring(published_number.__doc__).arguments
    settings = settings_of(published_number)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: setting_schema(*setting, text_of(described[name])) for name, setting in settings.items()},
        "required": [name for name, (_, default) in settings.items() if default is REQUIRED],
    }


def class_schema(target: type) -> Json:
    """Return the schema of the settings of one class."""
    described = descriptions_of(target)
    settings = settings_of(target)
    properties = {name: setting_schema(*setting, described.get(name, "")) for name, setting in settings.items()}
    for name in nested_in(target):
        model = {"if": {"type": "object"}, "then": definition("model"), "else": class_name(classes_of(KINDS.model))}
        properties[name] = {"description": text_of(described[name]), **model}
    return {
        "description": parse_docstring(target.__doc__).summary,
        "type": "object",
        "additionalProperties": False,
        "properties": {"class": {}, **properties},
        "required": [name for name, (_, default) in settings.items() if default is REQUIRED],
    }


def section_schema(classes: Iterable[str], description: str) -> Json:
    """Return the schema of a section that names a class: the settings are those of the class."""
    return {
        "description": description,
        "type": "object",
        "required": ["class"],
        "properties": {"class": class_name(classes)},
        **rules(classes),
    }


def named_sections_schema(kind: str, classes: Iterable[str], description: str) -> Json:
    """Return the schema of a section with entries that are named by their class, or have a key `class`."""
    with_class = {"type": "object", "required": ["class"]}
    return {
        "description": description,
        "type": ["object", "null"],
        "properties": {
            name: {"if": with_class, "then": definition(kind), "else": {"anyOf": [{"type": "null"}, definition(name)]}}
            for name in classes
        },
        "patternProperties": {r"\.": {"type": ["object", "null"]}},
        "additionalProperties": {"anyOf": [{"type": "null"}, {"allOf": [with_class, definition(kind)]}]},
    }


def rules(classes: Iterable[str]) -> Json:
    """Return for each class the rule that a section which names it has its settings."""
    named = {"type": "object", "required": ["class"]}
    return {
        "allOf": [
            {"if": {**named, "properties": {"class": {"const": name}}}, "then": definition(name)} for name in classes
        ]
    }


def class_name(classes: Iterable[str]) -> Json:
    """Return the schema of the name of a class: one of this library, or an import path."""
    path = {"type": "string", "pattern": r"\.", "description": "Import path of your own class: my_ideas.Mine"}
    return {"anyOf": [{"enum": list(classes)}, path]}


def definition(name: str) -> Json:
    """Return a reference to a definition of the schema."""
    return {"$ref": f"#/definitions/{name}"}


def setting_schema(hint: Any, default: Any, description: str) -> Json:
    """Return the schema of one setting; an interpolation such as ${images} may stand for any value."""
    schema: Json = {"description": text_of(description)} if description else {}
    kinds = type_schemas(hint)
    if {"type": "string"} in kinds:
        schema |= any_of(hint)
    elif kinds:
        schema["anyOf"] = [*kinds, INTERPOLATION]
    if default is not REQUIRED:
        schema["default"] = default
    return schema


def alternatives(union: Any) -> list[Any]:
    """Return the alternatives of a type that YAML can express, sorted: `typing` caches `Union` in any order."""
    plain = sorted(filter(is_plain, get_args(union)), key=lambda hint: (hint is type(None), str(hint)))
    return [hint for hint in plain if not (hint is int and float in plain)]


def type_schemas(hint: Any) -> list[Json]:
    """Return the schema of each alternative of a type; nothing for a type of any value."""
    if hint is Any:
        return []
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return [schema for alternative in alternatives(hint) for schema in type_schemas(alternative)]
    if origin is Literal:
        return [{"enum": list(arguments)}]
    if origin is tuple and Ellipsis not in arguments:
        items = [any_of(argument) for argument in arguments]
        return [{"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}]
    if origin in (tuple, list):
        return [{"type": "array", "items": any_of(arguments[0])}]
    if origin is dict and arguments[0] is int:
        values = any_of(arguments[1])
        return [{"type": "object", "patternProperties": {"^[0-9]+$": values}, "additionalProperties": False}]
    if origin is dict:
        return [{"type": "object", "additionalProperties": any_of(arguments[1])}]
    return [{"type": SCALARS[hint]}]


def any_of(hint: Any) -> Json:
    """Return the schema of a type within a list or mapping."""
    schemas = type_schemas(hint)
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas} if schemas else {}


def json_text(node: Any, depth: int = 0) -> str:
    """Return JSON in which whatever fits into a line is on one line."""
    line = json.dumps(node, ensure_ascii=False)
    if len(line) + depth <= WIDTH or not isinstance(node, dict | list):
        return line
    if isinstance(node, list):
        items = [json_text(item, depth + 2) for item in node]
    else:
        items = [f"{json.dumps(key)}: {json_text(value, depth + 2)}" for key, value in node.items()]
    start, end = "{}" if isinstance(node, dict) else "[]"
    return start + ",".join(f"\n{' ' * (depth + 2)}{item}" for item in items) + f"\n{' ' * depth}{end}"


def schema_text() -> str:
    """Return the content of `recipes/schema.json`."""
    return json_text(recipe_schema()) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
