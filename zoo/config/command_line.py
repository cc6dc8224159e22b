"""How a command line becomes a call, and how faults end it."""

from __future__ import annotations

import inspect
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from zoo.config.arguments import parse_arguments
from zoo.config.settings import check_settings
from zoo.errors import RecipeError, UserError

HELP = ("-h", "--help", "help")


def run_command(name: str, function: Callable[..., int | None], arguments: Sequence[str] | None = None) -> NoReturn:
    """Call `function` with the `key=value` words of the command line and exit.

    Exit codes: what the function returns, or 0; 2 for a fault the user can mend, with its text and no traceback.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if any(word in HELP for word in words):
        print(help_text(name, function))
        sys.exit(0)
    for library in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning.*", category=UserWarning)
    for category in (DeprecationWarning, FutureWarning):  # for the developers of libraries
        warnings.filterwarnings("ignore", category=category)
    warnings.showwarning = _show_warning
    try:
        sys.exit(function(**parse_arguments(words)) or 0)
    except UserError as error:
        print(f"zoo.{name}: {error}" if name else f"zoo: {error}", file=sys.stderr)
        sys.exit(2)


def checked_arguments(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """The words of a command checked against the function that does its work.

    Raises:
        RecipeError: with every fault.
    """
    values, faults = check_settings(function, given, "")
    if faults:
        raise RecipeError("the command line", faults)
    return values


def help_text(name: str, function: Callable[..., Any]) -> str:
    """The command and its function's docstring."""
    return f"python -m zoo.{name} key=value ...\n\n{inspect.cleandoc(function.__doc__ or '')}"


def _show_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    """One line: where in a library a warning was raised helps nobody who runs a command."""
    print(f"warning: {message}", file=sys.stderr)
