"""Descriptions of types in plain words, for error texts and help."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

SIMPLE = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
    Any: "any value",
}


def describe_type(hint: Any) -> str:
    """Describe a type in words, such as "an integer" or "one of 'constant', 'linear'".

    Args:
        hint: the type as an annotation gives it.
    """
    if hint in SIMPLE:
        return SIMPLE[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        return " or ".join(describe_type(argument) for argument in arguments)
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}: " + ", ".join(describe_type(argument) for argument in arguments)
    if origin in (tuple, list):
        return f"a list, each {describe_type(arguments[0])}"
    if origin is dict:
        return f"a mapping from {describe_type(arguments[0])} to {describe_type(arguments[1])}"
    return f"a {getattr(hint, '__name__', hint)}"
