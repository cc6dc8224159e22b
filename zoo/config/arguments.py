"""Parse the `key=value` arguments of a command line into nested values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.config.values import NUL, merged, read_argument
from zoo.errors import UserError, first_line

KEY = re.compile(r"[^\s.=\[\]{}]+(\.[^\s.=\[\]{}]+)*")
"""Names joined by dots."""
PATTERNS = ("data.urls", "data.test_urls")
"""Settings with braces, which a shell turns into several arguments unless they are quoted."""


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Return nested values from `key=value` arguments.

    Args:
        arguments: the arguments; dots in a key nest, and `zoo.config.values.read_argument` reads the values. Of two
            values for one key the last counts, except for `PATTERNS`, of which one is allowed; mappings are merged.

    Raises:
        UserError: for an argument that is not of this form.
    """
    nested: dict[str, Any] = {}
    patterns = [argument for argument in arguments if argument.partition("=")[0] in PATTERNS]
    for key in {argument.partition("=")[0] for argument in patterns}:
        given = [argument for argument in patterns if argument.startswith(f"{key}=")]
        if len(given) > 1:
            raise UserError(
                f"{key} is given {len(given)} times, from {given[0]!r} to {given[-1]!r}: a shell makes several "
                f"arguments of a pattern with braces. Put it in quotes: '{key}=shards/train-{{000..999}}.tar'"
            )
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            raise UserError(f"{argument!r} is not of the form key=value, such as images=20000 or model.width=32")
        if NUL in argument:
            raise UserError(f"{argument!r} has a NUL character, which no setting can have; leave it out")
        if any("\ud800" <= character <= "\udfff" for character in argument):  # how Python reads other bytes
            raise UserError(
                f"{argument!r} is not UTF-8, as which recipes and reports are written. Rename the file or folder, or "
                "make a link to it"
            )
        if not KEY.fullmatch(key):
            raise UserError(
                f"{key!r} in {argument!r} is not the name of a setting: names joined by dots, such as model.width or "
                "callbacks.SaveEvery.every"
            )
        value = read_argument(text)
        _check_references(value, argument)
        for name in reversed(key.split(".")):
            value = {name: value}
        nested = merged(nested, _with_integer_keys(value))
    return nested


def _check_references(value: Any, argument: str) -> None:
    """Check the references to other settings in a value, such as `${images}`.

    Raises:
        UserError: for one that is not complete.
    """
    try:
        if isinstance(value, str):
            OmegaConf.create({"value": str(value)})
        elif isinstance(value, dict):
            OmegaConf.create(value, flags={"allow_objects": True})
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(f"the value in {argument!r} cannot be read: {first_line(error)}") from error


def _with_integer_keys(node: Any, depth: int = 0) -> Any:
    """Turn keys of digits below a setting into integers, as in data.batch_size.128=8."""
    if not isinstance(node, dict):
        return node
    return {
        int(key) if depth > 1 and str(key).isdecimal() else key: _with_integer_keys(value, depth + 1)
        for key, value in node.items()
    }
