"""Random command lines end by a plan or by a fault of the user, never by a traceback: row W3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.command_lines import command_lines, fault_of, planning_only, real_fault_of, seconds_of_imports


def test_random_command_lines_end_by_a_plan_or_a_fault_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with planning_only():
        faults = [(words, fault) for command, words in command_lines(80, seed=1) if (fault := fault_of(command, words))]
    assert faults == []


def test_a_real_command_ends_with_an_exit_code(tmp_path: Path) -> None:
    importing = seconds_of_imports("watch")
    assert real_fault_of("watch", ["run=nowhere", "every=ten"], tmp_path, importing) == ""
    assert "ended with code 1: " in real_fault_of("nothing", [], tmp_path, importing)  # there is no such module


def test_a_real_command_that_takes_too_long_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.command_lines.LONGEST", 0)
    words = ["recipe=dcgan_digits", "check=true"]  # imports torch, for seconds
    assert real_fault_of("fit", words, tmp_path, importing=0.1) == "took longer than 0 s after its imports"


def test_a_traceback_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.runs.watching.command.read_run", lambda folder: 1 / 0)
    assert "ZeroDivisionError" in fault_of("watch", ["run=."])
