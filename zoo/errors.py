"""Errors that a user can correct. A command prints their text and exits with code 2, without a traceback."""

from __future__ import annotations

import difflib
import math
import shlex
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """A request that cannot be carried out; the text names the option, the value got, the rule and the remedy."""


class RecipeError(UserError, ValueError):
    """A recipe or command line with faults, all of them reported together.

    Args:
        subject: description of what was read, such as "recipes/dcgan_digits.yaml with model.widht=3".
        faults: one line for each fault.
    """

    def __init__(self, subject: str, faults: list[str]) -> None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{subject} has {count}", *(f"  {fault}" for fault in faults)]))
        self.faults = faults


class DataError(UserError, ValueError):
    """Training data that are missing, damaged, too few, or do not fit the model."""


class CheckpointError(UserError, ValueError):
    """A checkpoint that cannot be read, written or used for what was asked."""


class ReleaseError(CheckpointError):
    """A release (a folder or file of a pretrained model) that cannot be found, read, verified or written."""


class DownloadError(UserError):
    """A file that cannot be downloaded, or that is not the file its digest promises."""


class LostProcessError(UserError):
    """The end of a run on several devices because one of its processes is gone."""


class FeatureError(UserError, ValueError):
    """Features that cannot be extracted: a missing package, missing weights, images of another kind."""


def require_at_least(least: float, **values: float) -> None:
    """Check that values are finite and at least as large as a bound.

    Args:
        least: the bound.
        values: the values by name.

    Raises:
        ValueError: naming the first value that is below the bound, infinite or not a number.
    """
    for name, value in values.items():
        if not least <= value < math.inf:
            finite = " and finite" if value == math.inf else ""
            raise ValueError(f"{name} must be at least {least:g}{finite}; got {value}")


def did_you_mean(name: str, known: Iterable[str], lists: bool = True) -> str:
    """Return " Did you mean X?" for the closest known name, or all names when none is close and they are few.

    Args:
        name: the name that is not known.
        known: names that are.
        lists: whether to list them; not where the message has done so.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]}?"
    return f" Known: {', '.join(names)}." if lists and names and len(", ".join(names)) < 400 else ""


def first_of(names: Sequence[str], most: int) -> str:
    """Return at most so many of several names, joined by commas, with an ellipsis for the rest."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def shell_word(value: object) -> str:
    """Return a path or another value as one word of a shell command, in quotes where it needs them.

    Commands in messages are pasted, and folders have spaces and brackets in their names.
    """
    return shlex.quote(str(value))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its class if the text is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]
