"""Build a class that a user named, and say where its own code fails."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UserError, first_line

PACKAGE, STDLIB = Path(__file__).parents[1], Path(sysconfig.get_path("stdlib"))
INSTALLED = frozenset({"site-packages", "dist-packages"})
TWICE = re.compile(r"got multiple values for (?:keyword )?argument '(\w+)'")


def build(target: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> Any:
    """Call a class with checked arguments.

    Args:
        target: the class, of this library or of the user's own.
        arguments: its arguments.
        where: name of the section or option that names the class, such as "model", for the error.

    Raises:
        UserError: when the class refuses a value, needs a package that is not installed, or is the user's own and
            fails; it then names the line of the user's file. Faults of other code are not caught.
    """
    try:
        return target(**arguments)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    except ImportError as error:  # a package that is optional in another library, such as a logger's
        reason = " ".join(str(error).split()) or "a package is missing"
        raise UserError(f"{where}: {reason}. Install the package, or leave {where} out") from error
    except Exception as error:
        if fault := _fault(target, arguments, where, error):
            raise UserError(fault) from error
        raise


def _fault(target: Callable[..., Any], arguments: Mapping[str, Any], where: str, error: Exception) -> str:
    """Describe an error of the user's own class, or of a call of it that Python refuses; "" for any other error."""
    name = getattr(target, "__name__", str(target))
    frames = traceback.extract_tb(error.__traceback__)[1:]  # without the call above
    own = [frame for frame in frames if _is_own(frame.filename)]
    twice = TWICE.search(str(error)) if isinstance(error, TypeError) else None
    if twice and twice[1] in arguments and len(frames) == len(own):
        setting = twice[1]
        return (
            f"{where}.{setting}: a constructor of {name} gives it to its parent class itself; got "
            f"{arguments[setting]!r} as well. Make it a parameter: def __init__(self, {setting}=..., **settings)"
        )
    if not frames and isinstance(error, TypeError):  # a parameter that no recipe can express, and without a default
        return f"{where}: {first_line(error)}. A recipe gives plain values only; give such a parameter a default"
    if own:
        place = f"{Path(own[-1].filename).name}, line {own[-1].lineno}"
        return f"{where}: building {name} fails at {place}: {type(error).__name__}: {first_line(error)}"
    return ""


def _is_own(filename: str) -> bool:
    """Return whether a line of code is the user's: neither of this library nor of an installed one."""
    path = Path(filename)
    is_installed = path.is_relative_to(STDLIB) or not INSTALLED.isdisjoint(path.parts)
    return not (filename.startswith("<frozen") or path.is_relative_to(PACKAGE) or is_installed)
