"""The zoo of another checkout, which takes turns with `peers.py` over pipes: one runs while the other waits.

Two packages `zoo` cannot live in one process. So `Baseline` starts this file in a second process, in which the other
checkout comes first on the path. The process reads what to build from its first line of input, and plays one turn for
each further line; for each turn it writes one line with the seconds of the clock and of the processor it took.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar, TextIO

import torch
from pytorch_lightning import Callback, Trainer
from turns import batches_for, fit

import zoo
from zoo.errors import UserError


class Baseline:
    """A second process, as a context manager; `play` is an opponent of `turns.Turns`.

    Args:
        folder: the other checkout.
        order: what to build: `model` (name of the class), `settings` (those that the class there does not have are left
            out), `images_seen`, `batch_size`, `resolution`, `precision`, `threads`, and `rounds` in a turn.

    Raises:
        UserError: when the process ends before its time; the text has its last lines.
    """

    command: ClassVar = (sys.executable, __file__)
    """What is started."""

    def __init__(self, folder: Path, order: dict[str, Any]) -> None:
        self.folder, self.order = folder, order

    def __enter__(self) -> Baseline:
        path = os.pathsep.join([str(self.folder.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(self.order["threads"])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        answer = self.ask(json.dumps(self.order))
        package = answer["package"]
        if not Path(package).resolve().is_relative_to(self.folder.resolve()):
            self.__exit__()
            raise UserError(f"baseline={self.folder}: the second process imports another zoo than the one there")
        self.has_model = answer.get("has_model", True)
        """Whether the other version has the model at all."""
        return self

    def play(self, rounds: int) -> tuple[float, float]:
        """Let the process play one turn; return the seconds of the clock and of the processor that it took."""
        if rounds != self.order["rounds"]:
            raise ValueError(f"a turn of the baseline has {self.order['rounds']} rounds; {rounds} were asked for")
        answer = self.ask("go")
        return answer["seconds"], answer["processor_seconds"]

    def ask(self, line: str) -> dict[str, Any]:
        """Send a line and return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(line, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.errors.seek(0)
            said = " / ".join(self.errors.read().strip().splitlines()[-3:])
            raise UserError(f"baseline={self.folder}: the second process ended: {said}")
        result: dict[str, Any] = json.loads(answer)
        return result

    def __exit__(self, *args: object) -> None:
        self.process.communicate()  # closes its input, at which it ends
        self.errors.close()


class Answers(Callback):
    """Plays a turn for each line of input, and answers with the seconds it took.

    Args:
        rounds: in a turn.
        channel: where answers are written.
    """

    def __init__(self, rounds: int, channel: TextIO) -> None:
        self.rounds, self.channel = rounds, channel

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        """Wait for the first turn."""
        self.wait(trainer)

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """After a turn, answer and wait for the next."""
        if model.rounds % self.rounds == 0:
            wall, processor = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
            print(json.dumps({"seconds": wall, "processor_seconds": processor}), file=self.channel, flush=True)
            self.wait(trainer)

    def wait(self, trainer: Trainer) -> None:
        """Wait for a line; at the end of input, end the training."""
        trainer.should_stop = not sys.stdin.readline()
        self.began = time.perf_counter(), time.process_time()


def main() -> None:
    """Build what the first line says, and take turns."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print does not disturb the answers
    order = json.loads(sys.stdin.readline())
    torch.set_num_threads(order["threads"])
    torch.manual_seed(0)
    kind = getattr(zoo, order["model"], None)
    if kind is None:  # a model that is newer than this version
        print(json.dumps({"package": zoo.__file__, "has_model": False}), file=channel, flush=True)
        return
    known = {key for base in kind.__mro__ for key in inspect.signature(base.__init__).parameters}
    model = kind(**{key: value for key, value in order["settings"].items() if key in known})
    model.images_seen = order["images_seen"]
    batches = batches_for(model, 8, order["batch_size"], order["resolution"])
    print(json.dumps({"package": zoo.__file__}), file=channel, flush=True)
    answers = Answers(order["rounds"], channel)
    fit(model, [b if b[1] is not None else b[0] for b in batches], order["precision"], "cpu", answers)


if __name__ == "__main__":
    main()
