"""Settings that a constructor hands to its parent class itself, as in `super().__init__(width=8, **settings)`.

Such a class leaves its user no choice of them: a second value would be Python's "multiple values for keyword argument".
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any


def fixed_settings(target: Callable[..., Any]) -> dict[str, str]:
    """Return the settings that a class and its parents fix, each with the name of the class that fixes it.

    A name that a class has as a parameter of its own is not fixed: `def __init__(self, width=8, **settings)`.
    """
    return dict(_fixed_settings(target))


@cache
def _fixed_settings(target: Callable[..., Any]) -> dict[str, str]:
    """Return what `fixed_settings` returns, kept for the next time: signatures take long to read."""
    fixed: dict[str, str] = {}
    free: set[str] = set()
    owners = [owner for owner in getattr(target, "__mro__", ()) if "__init__" in vars(owner)]
    for owner, parent in pairwise(owners):
        constructor = vars(owner)["__init__"]
        keyword = keyword_parameter(constructor)
        if not keyword:
            break
        free |= {name for name in inspect.signature(constructor).parameters if name not in fixed}
        count, names = _handed_on(constructor, keyword)
        for name in (*_positional(vars(parent)["__init__"])[:count], *names):
            if name not in free:
                fixed.setdefault(name, owner.__name__)
    return fixed


@cache
def keyword_parameter(function: Callable[..., Any]) -> str:
    """Return the name of a function's parameter for further keywords (`**name`), or "" if there is none."""
    parameters = inspect.signature(function).parameters.values()
    return next((parameter.name for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD), "")


def _positional(constructor: Callable[..., Any]) -> Sequence[str]:
    """Return the names of the parameters that a constructor takes by position, without `self`."""
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


@cache
def _handed_on(constructor: Callable[..., Any], keyword: str) -> tuple[int, tuple[str, ...]]:
    """Return what a constructor adds to the keywords that it hands on: the number of values by position, and names.

    Args:
        constructor: the `__init__` of a class. Without its source, as of a class typed into an interpreter, nothing is
            known of it.
        keyword: name of its parameter for further keywords.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, TypeError, SyntaxError):
        return 0, ()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"):
            continue
        hands_on = any(
            part.arg is None and isinstance(part.value, ast.Name) and part.value.id == keyword for part in node.keywords
        )
        if hands_on:
            by_super = isinstance(node.func.value, ast.Call)  # otherwise Parent.__init__(self, ...)
            values = node.args if by_super else node.args[1:]
            starred = [i for i, value in enumerate(values) if isinstance(value, ast.Starred)]
            names = tuple(part.arg for part in node.keywords if part.arg is not None)
            return min([*starred, len(values)]), names
    return 0, ()
