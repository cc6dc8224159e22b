"""Parse `key=value` words of a command line into nested values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.errors import UserError, first_line


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Nested values from `key=value` words; dots nest, and values are read as YAML.

    Raises:
        UserError: for a word without "=", or a value that is not YAML.
    """
    nested = OmegaConf.create({})
    for word in arguments:
        if "=" not in word or word.startswith("="):
            raise UserError(f"{word!r} is not of the form key=value, such as images=20000 or model.width=32")
        try:
            one = OmegaConf.to_container(OmegaConf.from_dotlist([word]), resolve=False)
            nested = OmegaConf.merge(nested, OmegaConf.create(_numbered(one)))  # type: ignore[assignment]
        except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            raise UserError(f"the value in {word!r} cannot be read: {first_line(error)}") from error
    result = OmegaConf.to_container(nested, resolve=False)
    assert isinstance(result, dict)
    return {str(key): value for key, value in result.items()}


def _numbered(node: Any, depth: int = 0) -> Any:
    """Whole numbers below a setting, as in data.batch_size.128=8, are numbers and no names."""
    if not isinstance(node, dict):
        return node
    return {
        int(key) if depth > 1 and str(key).isdecimal() else key: _numbered(value, depth + 1)
        for key, value in node.items()
    }
