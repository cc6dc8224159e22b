"""Read the values of recipe files and of `key=value` arguments, so that a setting that is a text keeps the text typed.

A value is read before the type of its setting is known. What is written as Python writes a number (`64`, `0.5`) is a
number at once, because a text setting can still take it back. Other spellings of a number (`010`, `1e-3`, `2026_11_28`)
and lists on the command line become a `Word`, which keeps the text until the type decides. Everything else is a text:
YAML's octal numbers, its numbers to base 60 (`1:30`), its dates, and `yes`, `no`, `on` and `off` are not used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import yaml

PLAIN_SCALAR = "tag:zoo,2026:plain"
MERGE = "tag:yaml.org,2002:merge"
CONSTANTS = {"": None, "null": None, "~": None, "true": True, "false": False}
INFINITE = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
NUL = "\0"
MOST_LEVELS, MOST_VALUES = 20, 100_000
"""Limits of the depth and the number of values of one file; references of YAML to itself could exceed any memory."""


class Word(str):
    """A text without quotes that is a number, a truth value or a list where the setting is no text."""

    def value(self) -> Any:
        """Return what the text stands for where the setting is no text."""
        if self in ("True", "False"):
            return self == "True"
        if self.startswith("["):
            return without_words(read_yaml(self))
        return INFINITE[self] if self in INFINITE else number(self)


def number(text: str) -> int | float | None:
    """Return the number that Python reads in a text; None if it reads none."""
    if not any(character.isdecimal() for character in text):  # nan, inf, infinity
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return None


def without_words(value: Any) -> Any:
    """Return nested values with what each `Word` stands for where the setting is no text."""
    if isinstance(value, dict):
        return {key: without_words(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_words(item) for item in value]
    return value.value() if isinstance(value, Word) else value


def merged(values: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return nested values with changes; mappings are merged, other values replaced."""
    result = dict(values)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def flattened(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one mapping with dotted keys; an empty mapping counts as a value.

    Args:
        node: the settings.
        prefix: beginning of every key, without the dot.
    """
    flat: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        flat |= flattened(value, name) if isinstance(value, Mapping) and value else {name: value}
    return flat


def read_scalar(text: str) -> Any:
    """Return the value of a text without quotes.

    Example:
        >>> [read_scalar(text) for text in ("64", "0.5", "true", "null", "010", "1:30", "cat")]
        [64, 0.5, True, None, '010', '1:30', 'cat']
        >>> read_scalar("010").value(), type(read_scalar("1:30")).__name__
        (10, 'str')
    """
    if text in CONSTANTS:
        return CONSTANTS[text]
    read = number(text)
    if read is not None and repr(read) == text:
        return read
    return Word(text) if read is not None or text in INFINITE or text in ("True", "False") else text


def read_argument(text: str) -> Any:
    """Return the value of a `key=value` argument.

    A text in quotes is the text within them; a mapping is written `{a: 1}`; a list in brackets becomes a `Word`.
    """
    if text[:1] not in ("[", "{", '"', "'"):
        return read_scalar(text)
    try:
        read = read_yaml(text)
    except yaml.YAMLError:
        return text
    if isinstance(read, list):
        return Word(text)
    if isinstance(read, dict) and read and ":" not in text:  # {2}, of a regular expression
        return text
    return read


def as_argument(value: Any) -> str:
    """Return a value as it is typed behind `key=`, so that `read_argument` reads it again.

    Example:
        >>> [as_argument(value) for value in (True, None, [0, 4095], "cat", "1e3", ["a", "b c"])]
        ['true', '', '[0, 4095]', 'cat', '"1e3"', '["a", "b c"]']
    """
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str):
        return value if value and type(read_argument(value)) is str else json.dumps(value)
    return "" if value is None else json.dumps(value)


def read_yaml(text: str) -> Any:
    """Return the content of a YAML text, in which plain scalars are read by `read_scalar`.

    Raises:
        yaml.YAMLError: if it is not valid YAML, names a key twice, or is too large.
    """
    try:
        content = yaml.load(text, _Loader)
    except (ValueError, RecursionError, OverflowError) as error:  # ValueError: of a tag such as !!int
        reason = f"nested deeper than {MOST_LEVELS} levels" if isinstance(error, RecursionError) else str(error)
        raise yaml.YAMLError(reason) from error
    _check_size(content)
    return content


class _Loader(yaml.SafeLoader):
    """A loader that leaves the type of a plain scalar to `read_scalar` and refuses a key that is given twice."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag of a node."""
        if kind is yaml.ScalarNode and implicit[0]:
            return MERGE if value == "<<" else PLAIN_SCALAR
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping."""
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen and key_node.tag != MERGE:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key}", key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return {str(key) if isinstance(key, Word) else key: value for key, value in mapping.items()}


_Loader.add_constructor(PLAIN_SCALAR, lambda _, node: read_scalar(node.value))


def _check_size(content: Any) -> None:
    """Check depth and size of nested values, in which the same mapping may stand in several places, and their texts.

    Raises:
        yaml.YAMLError: if one is too large, or a text has a NUL character, which no path and no name can have.
    """
    todo, count = [(content, 1)], 0
    while todo:
        value, depth = todo.pop()
        count += 1
        if depth > MOST_LEVELS:
            raise yaml.YAMLError(f"nested deeper than {MOST_LEVELS} levels")
        if count > MOST_VALUES:
            raise yaml.YAMLError(f"more than {MOST_VALUES:,} values")
        if isinstance(value, str) and NUL in value:
            raise yaml.YAMLError(f"a NUL character in the text {value!r}")
        if isinstance(value, dict):
            todo += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            todo += [(item, depth + 1) for item in value]
