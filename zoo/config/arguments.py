"""Parse the `key=value` arguments of a command line into nested values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.errors import UserError, first_line


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Return nested values from `key=value` arguments.

    Args:
        arguments: the arguments; dots in a key nest, and a value is read as YAML.

    Raises:
        UserError: for an argument without "=", or a value that is not YAML.
    """
    nested = OmegaConf.create({})
    for argument in arguments:
        if "=" not in argument or argument.startswith("="):
            raise UserError(f"{argument!r} is not of the form key=value, such as images=20000 or model.width=32")
        try:
            parsed = OmegaConf.to_container(OmegaConf.from_dotlist([argument]), resolve=False)
            addition = OmegaConf.create(_with_integer_keys(parsed))
            nested = OmegaConf.merge(nested, addition)  # type: ignore[assignment]
        except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            raise UserError(f"the value in {argument!r} cannot be read: {first_line(error)}") from error
    result = OmegaConf.to_container(nested, resolve=False)
    assert isinstance(result, dict)
    return {str(key): value for key, value in result.items()}


def _with_integer_keys(node: Any, depth: int = 0) -> Any:
    """Turn keys of digits below a setting into integers, as in data.batch_size.128=8."""
    if not isinstance(node, dict):
        return node
    return {
        int(key) if depth > 1 and str(key).isdecimal() else key: _with_integer_keys(value, depth + 1)
        for key, value in node.items()
    }
