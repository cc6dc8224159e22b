"""Signatures as schemas: the names, types and defaults of the settings that a constructor takes.

There is no second configuration class beside each model. The parameters of `DCGAN.__init__` are the settings that a
recipe, a notebook, a checkpoint and a release may give, and OmegaConf checks their types before anything is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field, make_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.config.fixed import fixed_settings, keyword_parameter
from zoo.config.type_descriptions import describe_type
from zoo.config.values import Word, read_yaml
from zoo.errors import did_you_mean

REQUIRED = inspect.Parameter.empty
PLAIN = (int, float, str, bool, tuple, list, dict, type(None))
SEED_RULE = "a seed is a whole number from 0 to 2^32 - 1"


def settings_of(target: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return type and default of every setting of a class or function; `REQUIRED` stands for no default.

    `**name` in a constructor passes further settings on to the parent class, so the parent's settings are added, except
    those that the constructor fixes. Parameters that no recipe can express, such as modules, are left out.
    """
    fixed = fixed_settings(target)
    return {name: setting for name, setting in _declared(target).items() if name not in fixed}


def fixed_in(target: Callable[..., Any]) -> dict[str, str]:
    """Return the settings of a class that it or a parent fixes, each with the name of the class that fixes it."""
    declared = _declared(target)
    return {name: owner for name, owner in fixed_settings(target).items() if name in declared}


def _declared(target: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return type and default of every parameter that a recipe can express, also of those that a class fixes."""
    if not inspect.isclass(target):
        return dict(_parameters(target))
    settings: dict[str, tuple[Any, Any]] = {}
    for owner in target.__mro__:
        if "__init__" not in vars(owner):
            continue
        settings = {**_parameters(vars(owner)["__init__"]), **settings}
        if not keyword_parameter(vars(owner)["__init__"]):
            break
    return settings


@cache
def _parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return type and default of the parameters of one function that a recipe can express."""
    try:
        hints = get_type_hints(function)
    except Exception:  # a name that only a type checker can see; the value is then not checked
        hints = {}
    settings = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and parameter.name != "self":
            hint = hints.get(parameter.name, Any)
            if is_plain(hint):
                settings[parameter.name] = (hint, parameter.default)
    return settings


def is_plain(hint: Any) -> bool:
    """Return whether a recipe can express some value of a type."""
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return any(is_plain(argument) for argument in get_args(hint) if argument is not type(None))
    return not inspect.isclass(kind) or kind is Any or issubclass(kind, PLAIN)


def check_settings(
    target: Callable[..., Any],
    given: Mapping[str, Any],
    where: str,
    complete: bool = True,
    called: str = "",
    beside: tuple[str, ...] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Check the types of given values and fill in defaults; return the values and a line for every fault.

    Args:
        target: class or function that will be called.
        given: values by name, as read from YAML.
        where: prefix of names in the faults, such as "model.".
        complete: whether to add defaults and to report missing settings that have none.
        called: name of the target in a fault, if not its own.
        beside: further keys that stand beside these settings, to be suggested for a misspelt one.
    """
    name = called or getattr(target, "__name__", str(target))
    known, fixed = settings_of(target), fixed_in(target)
    values: dict[str, Any] = {}
    faults = []
    for key, value in given.items():
        if key in fixed:
            faults.append(
                f"{where}{key}: {fixed[key]}.__init__ gives its parent class a value of its own, so it is no setting "
                f"of {name}; got {_shown(value)}. Leave {where}{key} out, or make it a parameter of "
                f"{fixed[key]}.__init__"
            )
            continue
        if key not in known:
            hint = _hint_for(str(key), (*known, *beside), where, getattr(target, "nested", ()))
            faults.append(f"{where}{key}: {name} has no setting of that name.{hint}")
            continue
        hint, default = known[key]
        if value is None and is_empty(default):  # `data.group=` unsets what a recipe has
            values[key] = default
            continue
        try:
            values[key] = _converted(hint, value)
        except ValueError:
            faults.append(f"{where}{key}: {_shown(value)} is not {describe_type(hint)}")
        negative = bool(where) or inspect.isclass(target)  # else a command or a recipe itself
        if key == "seed" and isinstance(values.get(key), int) and not is_seed(values[key], allows_negative=negative):
            faults.append(f"{where}{key}: {SEED_RULE}; got {_shown(value)}")
    for key, (hint, default) in known.items():
        if not complete or key in given:
            continue
        if default is REQUIRED:
            faults.append(f"{where}{key}: missing; {name} needs it ({describe_type(hint)})")
        else:
            values[key] = default
    return {key: values[key] for key in known if key in values}, faults


def _hint_for(key: str, known: tuple[str, ...], where: str, nested: tuple[str, ...]) -> str:
    """Return what may be meant by an unknown setting; in a mixture that is a setting of its members."""
    hint = did_you_mean(key, known)
    return f" Settings of its members: {where}{nested[0]}.{key}" if nested and "Did you mean" not in hint else hint


def is_seed(value: int, allows_negative: bool = False) -> bool:
    """Return whether a number can seed the random generators of torch and NumPy; of these only torch takes negatives.

    On a CPU torch uses the last 32 bits alone, so larger numbers would be seeds that others are already.

    A class of the user's may give negative numbers a meaning of their own.
    """
    return (-(2**63) if allows_negative else 0) <= value < 2**32


def is_empty(default: Any) -> bool:
    """Return whether the default of a setting is an empty text, list or mapping, which a missing value stands for."""
    return isinstance(default, str | tuple | list | dict) and not default


def _shown(value: Any) -> str:
    """Return a value as it was given."""
    return "null" if value is None else str(value) if isinstance(value, Word) else repr(value)


def _converted(hint: Any, value: Any) -> Any:
    """Convert a value to the annotated type by OmegaConf's rules ("3" is an integer, "abc" is not).

    A list that is written as a text, as on the command line, is read where the setting is no text.

    Raises:
        ValueError: when the value is not of that type.
    """
    value = _typed(hint, value)
    if value == "???" and hint is not Any and str not in _members(hint):  # to OmegaConf a missing value of any type
        raise ValueError(f"not {describe_type(hint)}")
    if isinstance(value, dict) and any(_keyed_by_integers(part) for part in (hint, *get_args(hint))):
        value = {int(key) if str(key).isdecimal() else key: item for key, item in value.items()}  # JSON has text keys
    if _has_nan(value):
        raise ValueError(f"not {describe_type(hint)}")
    if _is_of_type(hint, value):
        return value
    schema = _schema(hint)
    if schema is None:
        return _one_of(hint, value)
    try:
        result = OmegaConf.to_container(OmegaConf.merge(schema, {"value": value}), resolve=True)
    except (OmegaConfBaseException, TypeError, OverflowError) as error:
        if len(_members(hint)) > 1:  # of a union OmegaConf takes exact types only
            return _one_of(hint, value)
        raise ValueError(str(error)) from error
    assert isinstance(result, dict)
    converted = result["value"]
    return tuple(converted) if get_origin(hint) is tuple else converted


def _is_of_type(hint: Any, value: Any) -> bool:
    """Return whether a value is a number, a truth value or None of just the type that is wanted.

    OmegaConf would return it as it is, but takes a millisecond. It replaces some texts, so they are left to it.
    """
    kind = type(value)
    return kind in (int, float, bool, type(None)) and kind in _members(hint)


def _has_nan(value: Any) -> bool:
    """Return whether a value, or one within it, is NaN, which no setting can mean."""
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return any(map(_has_nan, value)) if isinstance(value, list | tuple) else isinstance(value, float) and value != value


def _typed(hint: Any, value: Any) -> Any:
    """Return a value in which the type has decided what each `Word` stands for: the text typed, or something else."""
    kinds = _members(hint)
    if isinstance(value, Word):
        if value.startswith("[") and any(get_origin(kind) in (list, tuple) for kind in kinds):
            value = read_yaml(value)
        elif any(kind is str or (get_origin(kind) is Literal and value in get_args(kind)) for kind in kinds):
            return str(value)
        else:
            value = value.value()
    if str in kinds and isinstance(value, bool | int | float) and type(value) not in kinds:
        return str(value).lower() if isinstance(value, bool) else repr(value)  # as typed
    if isinstance(value, list | tuple):
        inner = next((get_args(kind) for kind in kinds if get_origin(kind) in (list, tuple)), (Any,))
        hints = [inner[min(i, len(inner) - 1)] for i in range(len(value))]
        items = [_typed_item(inner[0] if each is Ellipsis else each, item) for each, item in zip(hints, value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, dict):
        inner = next((get_args(kind) for kind in kinds if get_origin(kind) is dict), (Any, Any))
        return {key: _typed_item(inner[1], item) for key, item in value.items()}
    return value


def _typed_item(hint: Any, item: Any) -> Any:
    """Return an entry of a list or mapping as `_typed` does; OmegaConf does not refuse a list among numbers.

    Raises:
        ValueError: for a list or mapping where a single value belongs.
    """
    typed = _typed(hint, item)
    if hint in (int, float, str, bool) and isinstance(typed, list | tuple | dict):
        raise ValueError(f"not {describe_type(hint)}")
    return typed


def _one_of(hint: Any, value: Any) -> Any:
    """Convert a value to a type that OmegaConf does not know, or to the first type of a union that it fits.

    Unknown types are left to the constructor to check.

    Raises:
        ValueError: when the value is of no type of the union.
    """
    if get_origin(hint) is Literal:
        if any(value == known and type(value) is type(known) for known in get_args(hint)):
            return value
        raise ValueError(f"not {describe_type(hint)}")
    members = _members(hint)
    if members == (hint,) or (value is None and type(None) in members):
        return value
    exact = [member for member in members if (get_origin(member) or member) in (type(value),)]
    for member in (*exact, *members):
        if member is not type(None) and is_plain(member):
            try:
                return _converted(member, value)
            except ValueError:
                continue
    if all(is_plain(member) for member in members):
        raise ValueError(f"not {describe_type(hint)}")
    return value


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union; of another type, the type alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


@cache
def _schema(hint: Any) -> Any:
    """Return a configuration with one value of a type, or None for a type that OmegaConf does not know.

    Such a value is left to the constructor to check. A schema costs milliseconds and is never changed, so it is kept.
    """
    try:
        return OmegaConf.structured(make_dataclass("Setting", [("value", hint, field(default=MISSING))]))
    except OmegaConfBaseException:
        return None


def _keyed_by_integers(hint: Any) -> bool:
    """Return whether a type is a mapping with integer keys."""
    return get_origin(hint) is dict and get_args(hint)[0] is int
