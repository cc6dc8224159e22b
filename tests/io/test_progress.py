"""Lines about work that takes longer than a few seconds: row A5."""

from __future__ import annotations

import time

import pytest

from zoo.io import progress
from zoo.io.progress import LateLines, progress_goes_to, step


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(progress, "AGAIN", 0.05)


def waited(lines: list[str], n: int) -> list[str]:
    until = time.monotonic() + 10
    while len(lines) < n and time.monotonic() < until:
        time.sleep(0.01)
    return lines


@pytest.mark.usefixtures("soon")
def test_a_step_that_takes_long_is_shown_again_and_again() -> None:
    """The timer shows it although the step calls nothing: row A5."""
    lines: list[str] = []
    late = LateLines(lines.append)
    late.tell("clusters")
    assert waited(lines, 2)[:2] == ["clusters, 0 s so far"] * 2
    late.tell("features", 3, 10)
    assert waited(lines, len(lines) + 1)[-1] == "features: 3 of 10, 0 s so far"
    late.stop()
    count = len(lines)
    time.sleep(0.2)
    assert len(lines) == count


def test_a_short_step_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    late = LateLines(lines.append)
    for i in range(100):
        late.tell(f"step {i}")
    late.stop()
    with step("short", 2) as advance:
        advance(2)
    assert not lines
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("soon")
def test_a_step_is_counted_on_the_error_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with step("decoding", 4) as advance:
        advance(1)
        advance(2)
        time.sleep(0.3)
    assert "decoding: 3 of 4, 0 s so far\n" in capsys.readouterr().err


def test_steps_go_to_a_listener() -> None:
    told: list[tuple[str, int, int | None]] = []
    with progress_goes_to(lambda *said: told.append(said)):
        with step("decoding", 4) as advance:
            advance(1)
            advance(3)
        with step("clusters"):
            pass
    assert told == [("decoding", 0, 4), ("decoding", 1, 4), ("decoding", 4, 4), ("clusters", 0, None)]
