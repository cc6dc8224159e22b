"""Tests of the processes of a run: rows R5 (torchrun), R11 (prompts and standard input) and R12 (one is killed)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from pytorch_lightning import Callback

import zoo
from tests.helpers import processes
from tests.helpers.training import SMALL_RUN
from zoo.callbacks import StopOnSignal
from zoo.errors import RecipeError, UserError
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.recipes import load_recipe
from zoo.training.contract import check_trainer
from zoo.training.processes import check_processes, describe_lost_process
from zoo.training.roll_call import RollCall
from zoo.training.strategies import strategy_fault

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


GLOO = RuntimeError("[pair.cc:545] gloo: Read error [127.0.0.1]:23938: Connection reset by peer")


def trainer_of(rank: int, world_size: int, *exit_codes: int | None) -> Any:
    """A trainer whose launcher has started processes, of which some have ended."""

    def child(code: int | None) -> Any:
        def wait(timeout: float) -> int:
            if code is None:
                raise subprocess.TimeoutExpired("python", timeout)
            return code

        return SimpleNamespace(wait=wait)

    launcher = SimpleNamespace(procs=[child(code) for code in exit_codes])
    return SimpleNamespace(global_rank=rank, world_size=world_size, strategy=SimpleNamespace(launcher=launcher))


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        (trainer_of(0, 2, -9), "process 1 of 2 (counted from 0) is gone, killed by SIGKILL"),
        (trainer_of(0, 3, None, 7), "process 2 of 3 (counted from 0) is gone, with exit code 7"),
        (trainer_of(1, 2), "process 0 of 2 (counted from 0) is gone"),
        (trainer_of(1, 3), "one of the processes 0, 2 of 3 (counted from 0) is gone"),
        (trainer_of(0, 3, -9, -9), "processes 1, 2 of 3 (counted from 0) are gone, killed by SIGKILL"),
        (trainer_of(0, 1), None),
    ],
)
def test_the_process_that_is_gone_is_named(trainer: Any, expected: str | None) -> None:
    """Row R12, from every side that can see it."""
    assert describe_lost_process(GLOO, trainer) == expected


def test_the_machine_of_a_process_that_is_gone_is_named() -> None:
    """Issue 24, point 5."""
    trainer = trainer_of(0, 4)
    trainer.num_nodes = 2
    for missing, expected in (
        ([2, 3], "processes 2, 3 of 4 (counted from 0) on machine 1 of 2 (node-b) are gone"),
        ([1], "process 1 of 4 (counted from 0) on machine 0 of 2 (node-a) is gone"),
        ([1, 2], "processes 1, 2 of 4 (counted from 0) on machines 0, 1 of 2 (node-a, node-b) are gone"),
    ):
        trainer.strategy.roll_call = roll_call(store=None, rank=0)
        trainer.strategy.roll_call.missing = lambda missing=missing: missing
        assert describe_lost_process(GLOO, trainer) == expected


def roll_call(store: Any, rank: int) -> Any:
    """The roll call of one of four processes on two machines, in a store."""
    call = RollCall.__new__(RollCall)
    call.rank, call.processes, call._store = rank, 4, store
    call.hosts = ["node-a", "node-a", "node-b", "node-b"]
    return call


def test_processes_that_do_not_answer_are_missing() -> None:
    store = torch.distributed.HashStore()  # type: ignore[attr-defined]
    left = [roll_call(store, rank) for rank in (0, 2)]
    threads = [Thread(target=lambda call=call: found.append(call.missing(patience=0.5))) for call in left]
    found: list[list[int]] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1, 3], [1, 3]]


def test_without_the_store_the_process_that_held_it_is_missing() -> None:
    def gone(*_: Any) -> None:
        raise dist.DistNetworkError("Connection reset by peer")

    assert roll_call(SimpleNamespace(set=gone), 3).missing() == [0]


@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed_stage_3", "fsdp_cpu_offload", "model_parallel"])
def test_strategies_that_divide_a_network_are_refused_with_what_to_do(strategy: str) -> None:
    message = rf"trainer\.strategy: {strategy} is refused: .* GANs of this size do not need it: .* Leave it out: "
    with pytest.raises(RecipeError, match=message + r"trainer\.devices=2 trains a copy on each device"):
        load_recipe("dcgan_digits", {"trainer": {"strategy": strategy}})


def test_the_largest_recipe_is_as_large_as_the_refusal_says() -> None:
    with torch.device("meta"):
        model = load_recipe("biggan_imagenet256").model.build()
    trained = sum(w.numel() for network in (model.generator, model.discriminator) for w in network.parameters())
    averaged = sum(w.numel() for w in model.average.parameters())
    assert f"{trained / 1e6:.0f} million weights" in str(strategy_fault("fsdp"))
    assert f"{4 * (4 * trained + averaged) / 1e9:.1f} GB" in str(strategy_fault("fsdp"))  # gradient, two moments


def test_python_refuses_them_with_what_to_use() -> None:
    class FSDPStrategy:
        """Lightning's own needs a GPU."""

    with pytest.raises(ValueError, match=r"FSDPStrategy is refused: .*strategy=zoo\.Replicas\(\)"):
        check_trainer(SimpleNamespace(precision="32-true", world_size=1, strategy=FSDPStrategy()))  # type: ignore[arg-type]


def test_other_strategies_are_left_to_lightning() -> None:
    assert [strategy_fault(name) for name in ("auto", "ddp", "ddp_find_unused_parameters_true", "Replicas")] == [
        None
    ] * 4


def test_the_start_of_other_processes_does_not_count_as_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line "60,032 images in 20 s" counted the 7 s in which the second process started: issue 24, point 4."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])

    class SlowStart(Callback):
        """Takes 1,000 seconds before the training begins."""

        def setup(self, *_: Any, **__: Any) -> None:
            """Let the time pass."""
            passed[0] += 1000

    monkeypatch.setattr("zoo.runs.recorder.time", clock)
    monkeypatch.setattr("zoo.runs.training_run.time", clock)
    monkeypatch.setattr("zoo.runs.training_run.StopOnSignal", type("Both", (SlowStart, StopOnSignal), {}))
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", **SMALL_RUN)
    assert passed == [1000]
    assert 0 < run.seconds < 1000
    assert 0 < RunFolder(run.folder).ends()[0]["seconds"] < 1000


def test_other_errors_are_not_taken_for_a_lost_process() -> None:
    assert describe_lost_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), trainer_of(0, 2)) is None


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the other process")
def test_a_killed_process_ends_the_run_in_one_line(tmp_path: Path) -> None:
    """SIGKILL of one of two processes: row R12. The line names it, and the command that goes on."""
    words = "recipe=dcgan_digits images=3000000 out=run model.width=4 trainer.accelerator=cpu trainer.devices=2"
    few = "callbacks.SampleMetrics=null callbacks.SampleGrid=null callbacks.Alarms=null callbacks.SaveEvery.every=1280"
    command = ["-m", "zoo.fit", *words.split(), *few.split()]
    environment = {**os.environ, "PYTHONPATH": processes.PATH}
    first = processes.start(command, tmp_path, environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not checkpoints_in(tmp_path / "run") and first.poll() is None:
        time.sleep(0.05)
    assert first.poll() is None, first.communicate()[1]
    (second,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(second), signal.SIGKILL)
    error = first.communicate(timeout=60)[1]
    assert first.returncode == 1, error
    assert error.splitlines()[-1] == (
        "zoo.fit: stopped, process 1 of 2 (counted from 0) is gone, killed by SIGKILL. Go on from the last checkpoint: "
        "python -m zoo.fit resume=run"
    )
    assert "Traceback" not in error
