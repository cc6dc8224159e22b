"""The help of a command: its docstring and signature as text.

A command is named by the import path of its function. Signature and docstring are read from the source file
(`zoo.config.stand_ins`), so that `--help` imports neither torch nor Lightning.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.config.docstrings import Docstring, paragraphs, parse_docstring
from zoo.config.fixed import keyword_parameter
from zoo.config.settings import REQUIRED, settings_of
from zoo.config.stand_ins import stand_in
from zoo.config.type_descriptions import describe_type

WIDTH = 100


@dataclass(frozen=True)
class Documentation:
    """Everything that the help of a function shows.

    Args:
        docstring: the function's docstring.
        options: type and default of each option by its name; `REQUIRED` is the default of a required option.
        further: name of the parameter that takes all further options, such as `overrides`; empty if there is none.
    """

    docstring: Docstring
    options: dict[str, tuple[Any, Any]]
    further: str


def help_text(name: str, function: str | Callable[..., Any], actions: Mapping[str, str] | None = None) -> str:
    """Return the help of a command.

    Args:
        name: name of the command, such as `fit`.
        function: the command's function or its import path.
        actions: for a command with several actions, the import path of the function of each, by the option that
            chooses it.
    """
    shown = documentation(function)
    parts = [f"python -m zoo.{name} key=value ...", shown.docstring.summary, shown.docstring.details]
    options = _option_lines(shown)
    if options:
        parts.append("\n".join(["options", *options]))
    for option, path in (actions or {}).items():
        action = documentation(path)
        parts.append("\n".join([f"{option}=...: {action.docstring.summary}", *_option_lines(action)]))
    if shown.docstring.examples:
        parts.append("\n".join(["examples", *(f"  {line}" for line in shown.docstring.examples)]))
    return "\n\n".join(part for part in parts if part)


def documentation(function: str | Callable[..., Any]) -> Documentation:
    """Return docstring and options of a function, which is given itself or by its import path."""
    function = stand_in(function) if isinstance(function, str) else function
    return Documentation(parse_docstring(function.__doc__), settings_of(function), keyword_parameter(function))


def _option_lines(shown: Documentation) -> list[str]:
    """Return the lines about the options of one function: name, default and type, then the description."""
    lines = []
    descriptions = shown.docstring.arguments
    for name, (hint, default) in shown.options.items():
        text = f"{describe_type(hint)}, required" if default is REQUIRED else describe_type(hint)
        lines.append(f"  {name}={'...' if default is REQUIRED else _yaml(default)} ({text})")
        lines += _indented(descriptions.get(name, ""))
    if shown.further in descriptions:
        lines += ["  KEY=VALUE", *_indented(descriptions[shown.further])]
    return lines


def _indented(description: str) -> list[str]:
    """Return the lines of a description: paragraphs are wrapped, list items stay on one line each.

    Python's None is written null, as on the command line.
    """
    lines: list[str] = []
    for text in paragraphs(re.sub(r"\bNone\b", "null", description)):
        lines += [text] if text.startswith("- ") else textwrap.wrap(text, WIDTH - 6, break_on_hyphens=False)
    return [f"      {line}" for line in lines]


def _yaml(default: Any) -> str:
    """Return a default as it would be written on the command line."""
    return default if isinstance(default, str) and default else json.dumps(default)
