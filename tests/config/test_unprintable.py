"""What a command prints where the terminal, or the file behind a pipe, cannot show every character."""

from __future__ import annotations

import io
import sys

import pytest

from zoo.config.command_line import run_command


def named() -> None:
    """Print a range, and a name that is not UTF-8."""
    print("± 1, K\udce4fer")


@pytest.mark.parametrize(
    ("encoding", "text"), [("ascii", rb"\xb1 1, K\udce4fer"), ("utf-8", b"\xc2\xb1 1, K\\udce4fer")]
)
def test_what_cannot_be_shown_is_escaped(encoding: str, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended the command with a UnicodeEncodeError, after all its work."""
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding=encoding))
    with pytest.raises(SystemExit) as ended:
        run_command("named", named, [])
    assert ended.value.code == 0
    assert content.getvalue().strip() == text
