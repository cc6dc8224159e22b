"""Commands called in this process, for their exit codes."""

from __future__ import annotations

from typing import Any

import pytest

from zoo.audit.command import main as audit
from zoo.config.command_line import run_command
from zoo.runs.fitting import main
from zoo.sample import main as sample


def command(*words: str, name: str = "fit", function: Any = main) -> int:
    """Exit code of a command, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command(name, function, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def audit_command(*words: str) -> int:
    """Exit code of `python -m zoo.audit`."""
    return command(*words, name="audit", function=audit)


def draw(*words: str) -> int:
    """Exit code of `python -m zoo.sample`, called in this process."""
    return command(*words, name="sample", function=sample)
