"""Tests of the check of a run's processes: rows R5 (torchrun) and R11 (prompts and standard input)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import UserError
from zoo.training.processes import check_processes

ONE: dict[str, Any] = {"accelerator": "cpu", "devices": 1}
TWO: dict[str, Any] = {"accelerator": "cpu", "devices": 2}


def torchrun(monkeypatch: pytest.MonkeyPatch, processes: int, here: int) -> None:
    """The environment of a process that torchrun started."""
    for name, value in {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": here, "RANK": 0, "LOCAL_RANK": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")


def test_processes_of_torchrun_that_would_not_train_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torchrun --nproc_per_node 2 -m zoo.fit` without trainer.devices=2: row R5."""
    torchrun(monkeypatch, processes=2, here=2)
    message = "torchrun started 2 processes, but these settings are for 1, so they would not train together. Give "
    with pytest.raises(UserError, match=message + "trainer.devices=2$"):
        check_processes(ONE)
    check_processes(TWO)


def test_the_number_of_machines_is_part_of_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    torchrun(monkeypatch, processes=4, here=2)
    with pytest.raises(UserError, match=r"settings are for 2, .* Give trainer.devices=2 trainer.num_nodes=2$"):
        check_processes(TWO)
    check_processes({**TWO, "num_nodes": 2})


def test_another_launchers_second_process_does_not_train_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_utilities.core.rank_zero.rank_zero_only.rank", 1)
    with pytest.raises(UserError, match="started several processes, of which this is number 2, but these settings are"):
        check_processes(ONE)


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("devices", [1, 2])
def test_processes_that_would_keep_the_model_are_refused(method: str, devices: int) -> None:
    """Lightning chooses `fork` at a prompt; the trained model would be lost: row R11."""
    with pytest.raises(UserError, match=f"starts the processes by {method}, .* Put the call into a file and run that"):
        check_processes({"accelerator": "cpu", "devices": devices, "strategy": f"ddp_{method}"})


def test_a_program_from_standard_input_is_refused_before_training(tmp_path: Path) -> None:
    """`zoo.fit(trainer={"devices": 2})` from standard input: row R11."""
    program = "import zoo; zoo.fit('dcgan_digits', out='run', trainer={'devices': 2, 'accelerator': 'cpu'})"
    ended = subprocess.run([sys.executable], input=program, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "from standard input or from python -c cannot be run again. Put the call into a file" in ended.stderr
    assert not (tmp_path / "run").exists()
    assert "can't open file" not in ended.stderr
