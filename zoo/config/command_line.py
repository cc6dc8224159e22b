"""Run a function as a command: `key=value` arguments become a call, faults of the user an exit code."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn, get_args

from zoo.config.arguments import parse_arguments
from zoo.config.fixed import keyword_parameter
from zoo.config.help_text import help_text
from zoo.config.settings import check_settings, settings_of
from zoo.config.stand_ins import stand_in
from zoo.errors import RecipeError, UserError

NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of texts that cannot be paths on this system, wherever they are first looked up."""
SIGPIPE = 13
"""Number of the signal that ends other commands here; `signal.SIGPIPE` is missing on Windows."""
HELP = ("-h", "--help", "help")


def run_command(
    name: str,
    function: str | Callable[..., int | None],
    arguments: Sequence[str] | None = None,
    actions: Mapping[str, str] | None = None,
    first: str = "",
    paths: str = "",
) -> NoReturn:
    """Call a function with the `key=value` arguments of the command line and exit.

    Exit codes: the function's return value, or 0 for None; 2 for a fault that the user can mend, which is printed
    without a traceback.

    Args:
        name: name of the command, such as `fit`.
        function: the function, or its import path: then it is imported only when the arguments are without fault.
        arguments: the arguments; None for those of this process.
        actions: for the help of a command with several actions, see `zoo.config.help_text.help_text`.
        first: import path of a function that is called with the same arguments before `function` is imported, and
            raises a `UserError` for what it finds without torch.
        paths: name of an option that takes a list of paths, which are written without the name, see `split_paths`.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    with quiet_pipe():
        _escape_what_cannot_be_shown()
        sys.exit(_code_of(name, function, given, actions, first, paths))


def _code_of(
    name: str,
    function: str | Callable[..., int | None],
    given: Sequence[str],
    actions: Mapping[str, str] | None,
    first: str,
    paths: str,
) -> int:
    """Call a function with `key=value` arguments, and return the exit code; see `run_command`."""
    if any(argument in HELP for argument in given):
        print(help_text(name, function, actions))
        return 0
    try:
        alone, given = split_paths(given) if paths else ([], given)
        parsed = parse_arguments(given) | ({paths: alone} if alone else {})
        values = checked_arguments(function, parsed, called=name)
        if first:
            import_function(first)(**values)
        target = import_function(function) if isinstance(function, str) else function
        _silence_libraries()
        return target(**values) or 0
    except UserError as error:
        print(f"zoo.{name}: {error}" if name else f"zoo: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in NO_PATH:
            raise
        print(
            f"zoo.{name}: {str(error.filename)[:80]}: {error.strerror}; give the path of a file or folder",
            file=sys.stderr,
        )
        return 2


def split_paths(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate paths from `key=value` arguments; a path may have a `=` as well, such as `runs/x/seed=0`.

    A path is what has no `=`, what has a `/` before it, and what exists.

    Returns:
        The paths, and the other arguments.
    """
    paths = [text for text in arguments if "=" not in text or "/" in text.partition("=")[0] or os.path.exists(text)]
    return paths, [text for text in arguments if text not in paths]


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End the process quietly, as other commands do, when the reader of its output closes the pipe (`| head -3`)."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        sys.exit(128 + SIGPIPE)


def import_function(path: str) -> Callable[..., Any]:
    """Import a function by its import path, such as `zoo.runs.fitting.main`."""
    module, _, name = path.rpartition(".")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def checked_arguments(function: str | Callable[..., Any], given: Mapping[str, Any], called: str = "") -> dict[str, Any]:
    """Check the arguments of a command against the function that does its work, and fill in defaults.

    A function with a parameter `**name` is given all further arguments unchecked. Settings of another object, such as
    `data.root=photos`, are checked where that object is built, which knows their types.

    Args:
        function: the function, or its import path: then its signature is read from its source file.
        given: the arguments, as `parse_arguments` returns them.
        called: name of the command in a fault, if not that of the function.

    Raises:
        RecipeError: with every fault.
    """
    function = stand_in(function) if isinstance(function, str) else function
    known = settings_of(function)
    further = {key: value for key, value in given.items() if key not in known} if keyword_parameter(function) else {}
    further |= {
        key: value
        for key, value in given.items()
        if isinstance(value, dict) and key in known and dict[str, Any] in (known[key][0], *get_args(known[key][0]))
    }
    own = {key: value for key, value in given.items() if key not in further}
    values, faults = check_settings(function, own, "", called=called)
    if faults:
        raise RecipeError("the command line", faults)
    return {**values, **further}  # further last: the defaults of the settings of other objects are replaced


def _escape_what_cannot_be_shown() -> None:
    """Print characters that the terminal does not have as escapes, as `sys.stderr` does, not as an error."""
    if isinstance(sys.stdout, TextIOWrapper):
        with suppress(OSError):  # of a stream that stands for the terminal and cannot be changed
            sys.stdout.reconfigure(errors="backslashreplace")


def _silence_libraries() -> None:
    """Silence Lightning's messages and warnings for developers; show other warnings on one line each."""
    for library in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning.*", category=UserWarning)
    for category in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=category)
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    """Print the text of a warning without its source line, which lies in a library."""
    print(f"warning: {message}", file=sys.stderr)
