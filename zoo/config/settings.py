"""A constructor's signature as a schema: the names, types and defaults of what it takes.

There is no second configuration class beside each model. What `DCGAN.__init__` accepts is what a recipe, a notebook, a
checkpoint and a hub file may say, and OmegaConf checks the types before anything is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field, make_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.errors import did_you_mean

REQUIRED = inspect.Parameter.empty
PLAIN = (int, float, str, bool, tuple, list, dict, type(None))


def settings_of(target: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Every setting of a class or function: name -> (type, default), `REQUIRED` standing for no default.

    `**name` in a constructor means "and what my parent takes": the walk goes on up the inheritance. Parameters that
    no recipe can express, such as modules, are left out.
    """
    if not inspect.isclass(target):
        return _parameters(target)[0]
    found: dict[str, tuple[Any, Any]] = {}
    for owner in target.__mro__:
        if "__init__" not in vars(owner):
            continue
        own, passes_on = _parameters(vars(owner)["__init__"])
        found = {**own, **found}
        if not passes_on:
            break
    return found


def _parameters(function: Callable[..., Any]) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Settings of one function, and whether it passes further keywords on."""
    try:
        hints = get_type_hints(function)
    except Exception:  # a name that only a type checker can see; the value is then not checked
        hints = {}
    found, passes_on = {}, False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            passes_on = True
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name != "self":
            hint = hints.get(parameter.name, Any)
            if _is_plain(hint):
                found[parameter.name] = (hint, parameter.default)
    return found, passes_on


def _is_plain(hint: Any) -> bool:
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return any(_is_plain(part) for part in get_args(hint) if part is not type(None))
    return not inspect.isclass(kind) or kind is Any or issubclass(kind, PLAIN)


def check_settings(
    target: Callable[..., Any], given: Mapping[str, Any], where: str, complete: bool = True, called: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Values with their types checked and defaults filled in, and a line for every fault.

    Args:
        target: the class or function that will be called.
        given: name -> value, as read from YAML.
        where: prefix of names in the faults, such as "model.".
        complete: whether to add defaults and to miss what has none.
        called: what to call the target in a fault, instead of its name.
    """
    name = called or getattr(target, "__name__", str(target))
    known = settings_of(target)
    values: dict[str, Any] = {}
    faults = []
    for key, value in given.items():
        if key not in known:
            faults.append(f"{where}{key}: {name} has no setting of that name.{did_you_mean(str(key), known)}")
            continue
        try:
            values[key] = _converted(known[key][0], value)
        except ValueError:
            faults.append(f"{where}{key}: {value!r} is not {described(known[key][0])}")
    for key, (hint, default) in known.items():
        if not complete or key in given:
            continue
        if default is REQUIRED:
            faults.append(f"{where}{key}: missing; {name} needs it ({described(hint)})")
        else:
            values[key] = default
    return {key: values[key] for key in known if key in values}, faults


def _converted(hint: Any, value: Any) -> Any:
    """The value as the annotated type, after OmegaConf's rules ("3" is an int, "abc" is not).

    Raises:
        ValueError: when it is none.
    """
    if isinstance(value, dict) and any(_keyed_by_numbers(part) for part in (hint, *get_args(hint))):
        value = {int(key) if str(key).isdecimal() else key: one for key, one in value.items()}  # JSON has texts only
    try:
        schema = OmegaConf.structured(make_dataclass("Setting", [("value", hint, field(default=MISSING))]))
    except OmegaConfBaseException:  # a type OmegaConf does not know: leave the check to the constructor
        return value
    try:
        result = OmegaConf.to_container(OmegaConf.merge(schema, {"value": value}), resolve=True)
    except OmegaConfBaseException as error:
        raise ValueError(str(error)) from error
    assert isinstance(result, dict)
    converted = result["value"]
    return tuple(converted) if get_origin(hint) is tuple else converted


def _keyed_by_numbers(hint: Any) -> bool:
    return get_origin(hint) is dict and get_args(hint)[0] is int


def described(hint: Any) -> str:
    """A type in words: "an integer", "one of 'constant', 'linear'"."""
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "null"}
    if hint in words:
        return words[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, parts))
    if origin in (Union, UnionType):
        return " or ".join(described(part) for part in parts)
    if origin is tuple and Ellipsis not in parts:
        return f"a list of {len(parts)}: " + ", ".join(described(part) for part in parts)
    if origin in (tuple, list):
        return f"a list, each {described(parts[0])}"
    if origin is dict:
        return f"a mapping from {described(parts[0])} to {described(parts[1])}"
    return f"a {getattr(hint, '__name__', hint)}"
