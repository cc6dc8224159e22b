"""The help of a command: its docstring and signature as text.

A command is named by the import path of its function. Signature and docstring are read from the source file, so that
`--help` imports neither torch nor Lightning.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.config.docstrings import Docstring, paragraphs, parse_docstring
from zoo.config.fixed import keyword_parameter
from zoo.config.settings import REQUIRED, settings_of
from zoo.config.type_descriptions import describe_type

ROOT = Path(__file__).parent.parent.parent
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
    if isinstance(function, str):
        module, _, name = function.rpartition(".")
        return _Source(module).documentation(name)
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


class _Source:
    """A module of this package that is read, not imported.

    Args:
        module: dotted name of the module.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        tree = ast.parse(ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))
        self.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        self.assigned = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        self.imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def documentation(self, name: str) -> Documentation:
        """Return docstring and options of a function, or of the function that it wraps (`functools.wraps`)."""
        node = self.functions[name]
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "wraps":
                return documentation(self._path(ast.unparse(decorator.args[0])))
        parameters = [*node.args.posonlyargs, *node.args.args]
        defaults = [*[None] * (len(parameters) - len(node.args.defaults)), *node.args.defaults, *node.args.kw_defaults]
        options = {
            parameter.arg: (self._type(parameter.annotation), ast.literal_eval(default) if default else REQUIRED)
            for parameter, default in zip([*parameters, *node.args.kwonlyargs], defaults)
        }
        further = "" if node.args.kwarg is None else node.args.kwarg.arg
        return Documentation(parse_docstring(ast.get_docstring(node)), options, further)

    def _path(self, name: str) -> str:
        """Return the import path of a name of this module."""
        first, _, rest = name.partition(".")
        path = self.imported.get(first, f"{self.module}.{first}")
        return f"{path}.{rest}" if rest else path

    def _type(self, annotation: ast.expr | None) -> Any:
        """Evaluate an annotation."""
        names = {node.id for node in ast.walk(annotation or ast.Constant(None)) if isinstance(node, ast.Name)}
        known = {name: self._value(name) for name in names if name in self.imported or name in self.assigned}
        return Any if annotation is None else eval(ast.unparse(annotation), known)

    def _value(self, name: str) -> Any:
        """Return the type that a name of this module stands for, such as a `Literal` that is defined in another one."""
        if name in self.assigned:
            return self._type(self.assigned[name])
        module, _, attribute = self.imported[name].rpartition(".")
        return _Source(module)._value(attribute) if module.startswith("zoo.") else getattr(import_module(module), name)
